//! Partitions of every shape. One counts when the bridge dropped packets for it.

use std::time::Duration;

use super::kills;
use crate::Outcome;
use crate::rig::Rig;
use crate::rig::network::Host;
use crate::rig::partition::{self, Pair, between};

/// The nodes in random order.
fn shuffled(rig: &mut Rig) -> Vec<Host> {
    let mut hosts = rig.node_hosts();
    rig.random.shuffle(&mut hosts);
    hosts
}

/// A minority and a majority that do not hear each other.
pub(super) async fn in_two(rig: &mut Rig) -> Outcome<()> {
    let hosts = shuffled(rig);
    let (minority, majority) = hosts.split_at(hosts.len() / 2);
    hold(rig, "partitions in two", &between(minority, majority)).await
}

/// One node is not heard, or does not hear, by some or all of the others.
pub(super) async fn one_way(rig: &mut Rig) -> Outcome<()> {
    let hosts = shuffled(rig);
    let (one, others) = hosts.split_first().expect("a cluster has nodes");
    let others = &others[..rig.random.usize(1..=others.len())];
    let deaf = rig.random.bool();
    let pair = |other: &Host| {
        let (from, to) = if deaf { (other, one) } else { (one, other) };
        (from.clone(), to.clone())
    };
    let pairs: Vec<Pair> = others.iter().map(pair).collect();
    hold(rig, "partitions one way", &pairs).await
}

/// Two sides that hear each other only through one node between them.
pub(super) async fn bridge(rig: &mut Rig) -> Outcome<()> {
    let hosts = shuffled(rig);
    let (left, rest) = hosts.split_at(hosts.len() / 2);
    hold(rig, "partitions with a bridge", &between(left, &rest[1..])).await
}

/// The leader keeps its clients and too few of its followers.
pub(super) async fn leader_to_minority(rig: &mut Rig) -> Outcome<()> {
    let Some(leader) = rig.wait_for_leader().await? else { return Ok(()) };
    let hosts = rig.node_hosts();
    let mut others = hosts.clone();
    let leader = others.remove(leader);
    let kept = hosts.len() / 2 - rig.random.usize(0..=1).min(hosts.len() / 2);
    let away = &others[kept.min(others.len() - 1)..];
    hold(rig, "partitions of the leader to a minority", &between(&[leader], away)).await
}

/// Some clients reach no node, or no store.
pub(super) async fn clients(rig: &mut Rig) -> Outcome<()> {
    let mut clients = rig.client_hosts();
    rig.random.shuffle(&mut clients);
    clients.truncate(rig.random.usize(1..=clients.len()));
    let servers = if rig.random.bool() { rig.node_hosts() } else { rig.store_hosts() };
    hold(rig, "partitions of clients", &between(&clients, &servers)).await
}

/// A cut that comes and goes faster than anybody can adapt to it.
pub(super) async fn flapping(rig: &mut Rig) -> Outcome<()> {
    let hosts = shuffled(rig);
    let (minority, majority) = hosts.split_at(hosts.len() / 2);
    let pairs = between(minority, majority);
    let mut dropped = 0;
    for _ in 0..rig.random.usize(4..10) {
        partition::cut(&pairs)?;
        let (closed, open) = (rig.between(50, 400), rig.between(20, 300));
        rig.pass(closed).await?;
        dropped += partition::heal()?;
        rig.pass(open).await?;
    }
    count(rig, "partitions that flap", dropped);
    Ok(())
}

/// Cuts for a while; now and then a node dies meanwhile.
async fn hold(rig: &mut Rig, what: &str, pairs: &[Pair]) -> Outcome<()> {
    partition::cut(pairs)?;
    let time = rig.between(400, 2_500);
    rig.pass(time).await?;
    if rig.random.u8(..4) == 0 {
        kills::any(rig).await?;
        rig.pass(Duration::from_millis(300)).await?;
    }
    let dropped = partition::heal()?;
    count(rig, what, dropped);
    Ok(())
}

fn count(rig: &mut Rig, what: &str, dropped: u64) {
    rig.tally.add("partitions", u64::from(dropped > 0));
    rig.tally.add(what, u64::from(dropped > 0));
    rig.tally.add("packets dropped", dropped);
}
