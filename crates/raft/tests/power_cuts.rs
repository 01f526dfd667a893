//! The power goes while snapshots are taken and logs are cut, and where there is only one node.

mod support;

use leasehold_core::Answer;
use leasehold_raft::SnapshotPolicy;
use leasehold_types::FencingToken;
use support::{Cluster, Options, ask, grant, renew};

async fn cut_the_power_of_all(cluster: &mut Cluster) {
    for id in cluster.others(0) {
        cluster.kill(id).await;
        cluster.disks[&id].crash();
    }
    for id in cluster.disks.keys().copied().collect::<Vec<_>>() {
        cluster.start_node(id).await;
    }
}

/// Every lease that was answered is still held, and revisions go on from the last one answered.
async fn still_held(cluster: &Cluster, leases: &[FencingToken], mut revision: u64) -> u64 {
    let leader = cluster.leader().await;
    for lease in leases {
        let outcome = ask(cluster.node(leader), renew(*lease)).await;
        let Answer::Renewed(items) = &outcome.answer else { panic!("{outcome:?}") };
        assert!(items[0].is_ok(), "{lease}: {outcome:?}");
        assert!(outcome.revision.0 > revision, "{revision}, then {outcome:?}");
        revision = outcome.revision.0;
    }
    revision
}

/// Each round writes another number of entries, so that the power goes at another place between two
/// snapshots. Each snapshot covers a few entries, and the log is cut right behind it.
async fn power_goes_again_and_again(nodes: u64, rounds: u64) {
    let snapshots = SnapshotPolicy { entries: 5, keep: 1, ..SnapshotPolicy::default() };
    let mut cluster = Cluster::start(Options { nodes, snapshots, ..Options::default() }).await;
    let (mut leases, mut revision) = (Vec::new(), 0);
    for round in 0..rounds {
        revision = still_held(&cluster, &leases, revision).await;
        let leader = cluster.leader().await;
        for n in 0..=round {
            let lease = grant(cluster.node(leader), &format!("r/{round}/{n}"), 600_000).await;
            assert!(leases.last() < Some(&lease), "{leases:?}, then {lease}");
            leases.push(lease);
        }
        cut_the_power_of_all(&mut cluster).await;
    }
    still_held(&cluster, &leases, revision).await;
    let status = cluster.node(cluster.leader().await).status();
    assert!(status.snapshot_index > Some(rounds), "snapshots were taken: {status:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_node_alone_loses_nothing_that_it_answered() {
    power_goes_again_and_again(1, 6).await;
}

#[tokio::test]
async fn power_cuts_around_snapshots_lose_nothing_that_was_answered() {
    power_goes_again_and_again(3, 5).await;
}
