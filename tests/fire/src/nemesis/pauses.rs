//! SIGSTOP and SIGCONT: the leader, a follower, a client, a store.

use std::time::Duration;

use crate::Outcome;
use crate::rig::Rig;
use crate::rig::daemon::Daemon;

/// The leader, for less than an election or for several.
pub(super) async fn leader(rig: &mut Rig) -> Outcome<()> {
    let Some(at) = rig.wait_for_leader().await? else { return Ok(()) };
    let time = rig.between(200, 2_500);
    pause(rig, "pauses of the leader", time, |rig| &mut rig.cluster.nodes[at].daemon).await
}

/// A node that does not lead.
pub(super) async fn follower(rig: &mut Rig) -> Outcome<()> {
    let Some(leader) = rig.wait_for_leader().await? else { return Ok(()) };
    let count = rig.cluster.nodes.len();
    let at = (leader + rig.random.usize(1..count)) % count;
    let time = rig.between(200, 2_500);
    pause(rig, "pauses of a follower", time, |rig| &mut rig.cluster.nodes[at].daemon).await
}

/// A client, wherever it is in its work, for longer than its lease lives.
pub(super) async fn client(rig: &mut Rig) -> Outcome<()> {
    let at = rig.random.usize(..rig.crew.seats.len());
    let late = 1.1 + rig.random.f64();
    let time = rig.crew.workload.ttl.mul_f64(late);
    pause(rig, "pauses of a client", time, |rig| &mut rig.crew.seats[at].daemon).await
}

/// A store: what was sent to it waits in its sockets, and is answered when it wakes.
pub(super) async fn store(rig: &mut Rig) -> Outcome<()> {
    let at = rig.random.usize(..rig.cluster.stores.len());
    let time = rig.between(200, 2_500);
    pause(rig, "pauses of a store", time, |rig| &mut rig.cluster.stores[at].daemon).await
}

async fn pause(
    rig: &mut Rig,
    what: &str,
    time: Duration,
    whom: impl Fn(&mut Rig) -> &mut Daemon,
) -> Outcome<()> {
    let really = whom(rig).stop();
    rig.tally.add("pauses", u64::from(really));
    rig.tally.add(what, u64::from(really));
    rig.pass(time).await?;
    whom(rig).go_on();
    Ok(())
}
