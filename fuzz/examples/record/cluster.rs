//! Three nodes on disks in memory: claims come, wait, are renewed and end; a leader is killed, one is
//! stopped, one comes back to find that it needs a snapshot.

use std::sync::Arc;
use std::time::Duration;

use leasehold_core::{Acquire, Command, Renew};
use leasehold_raft::SnapshotPolicy;
use leasehold_types::{FencingToken, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};

use crate::disks;
use crate::peers::Notebook;
use crate::seeds::Seeds;

#[allow(unused, reason = "shared with the tests of replication, which use more of it")]
#[path = "../../../crates/raft/tests/support/mod.rs"]
mod support;
use support::{Cluster, Options, ask, token};

const NODES: u64 = 3;

pub(crate) async fn record(seeds: &Seeds) {
    let snapshots = SnapshotPolicy { entries: 30, keep: 4, ..SnapshotPolicy::default() };
    let mut cluster = Cluster::start(Options { snapshots, ..Options::default() }).await;
    (1..=NODES).for_each(|id| listen(&cluster, id, seeds));
    work(&cluster, 0).await;

    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    work(&cluster, 1).await;
    cluster.start_node(leader).await;
    listen(&cluster, leader, seeds);
    cluster.settle().await;

    let leader = cluster.leader().await;
    cluster.kill(leader).await;
    work(&cluster, 2).await;
    work(&cluster, 3).await;
    cluster.start_node(leader).await;
    listen(&cluster, leader, seeds);
    cluster.settle().await;
    work(&cluster, 4).await;
    cluster.disks.values().for_each(|disk| disks::record(&disk.image(), seeds));
    cluster.shutdown().await;
}

fn listen(cluster: &Cluster, id: u64, seeds: &Seeds) {
    let (node, seeds) = (cluster.node(id).peer_handler(), seeds.clone());
    cluster.net.attach(id, Arc::new(Notebook { node, seeds }));
}

/// Through every node in turn, so that some of it is forwarded.
async fn work(cluster: &Cluster, round: u8) {
    let leader = cluster.leader().await;
    let mut through = cluster.others(leader);
    through.push(leader);
    for (number, node) in (0_u8..).zip(through.iter().cycle().take(9)) {
        let node = cluster.node(*node);
        let resource =
            ["jobs/nightly", "jobs/nightly/eu", "deploy/web", "élan"][usize::from(number % 4)];
        let who = [round + 1, number, 0, 0, 7, 7, 7, 7, 1, 2, 3, 4, 5, 6, 7, 8];
        let wait = if number.is_multiple_of(3) { 0 } else { 30_000 };
        let asked = ask(node, acquire(resource, who, wait)).await;
        let request = RequestId::from_bytes(who);
        let tokens: Vec<FencingToken> = token(&asked).into_iter().collect();
        ask(node, Command::Renew(Renew { tokens: tokens.clone(), requests: vec![request] })).await;
        match (number % 3, tokens.first()) {
            (0, Some(token)) => {
                let resource = ResourceName::new(resource).expect("a name");
                ask(node, Command::Release { resource, token: *token }).await;
            }
            (1, _) => _ = ask(node, Command::Cancel { request }).await,
            _ => {}
        }
    }
    // The shortest ttl is a second: some of it ends by itself.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn acquire(resource: &str, who: [u8; 16], wait_ms: u64) -> Command {
    Command::Acquire(Acquire {
        resource: ResourceName::new(resource).expect("a name"),
        holder: Holder::new("build-7/4711/nightly").expect("a holder"),
        request: RequestId::from_bytes(who),
        ttl: LeaseTtl::from_ms(1_000 + u64::from(who[1]) * 500).expect("a ttl"),
        wait: WaitLimit::from_ms(wait_ms).expect("a wait"),
    })
}
