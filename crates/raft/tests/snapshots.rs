//! Snapshots: taken, sent, installed; the log behind them is dropped.

mod support;

use std::sync::Arc;

use leasehold_core::{Command, Standing};
use leasehold_raft::{Change, SnapshotPolicy, TokioNode};
use leasehold_types::FencingToken;
use support::{BOUND, Cluster, Options, acquire, ask, grant, until};
use tokio::time::timeout;

fn often() -> Options {
    let snapshots = SnapshotPolicy { entries: 20, keep: 2, ..SnapshotPolicy::default() };
    Options { snapshots, ..Options::default() }
}

async fn many_entries(cluster: &Cluster, through: u64, entries: usize) {
    for _ in 0..entries {
        ask(cluster.node(through), Command::Pulse).await;
    }
}

/// A cluster one of whose nodes is down and misses more than the log keeps: that node, and the token
/// under which "held" was granted meanwhile.
async fn one_far_behind() -> (Cluster, u64, FencingToken) {
    let mut cluster = Cluster::start(often()).await;
    let leader = cluster.leader().await;
    let behind = cluster.others(leader)[0];
    cluster.kill(behind).await;
    let token = grant(cluster.node(leader), "held", 600_000).await;
    many_entries(&cluster, leader, 150).await;
    until(cluster.node(leader), "a snapshot", |status| status.snapshot_index > Some(100)).await;
    (cluster, behind, token)
}

/// How the claim on "held" stands on this node.
async fn holds(node: &TokioNode) -> Option<Standing> {
    let held = node.query(|state| state.get("held")).await.expect("founded");
    held.map(|view| view.lease.standing)
}

#[tokio::test]
async fn a_follower_far_behind_is_sent_a_snapshot_and_its_listeners_are_told() {
    let (mut cluster, behind, token) = one_far_behind().await;

    cluster.start_node(behind).await;
    let mut feed = cluster.node(behind).applied();
    let installed = timeout(BOUND, async {
        loop {
            let change: Arc<Change> = feed.recv().await.expect("the listener keeps up");
            if let Change::SnapshotInstalled { log_index, .. } = &*change {
                return *log_index;
            }
        }
    });
    assert!(installed.await.expect("a snapshot is installed") > 100);
    cluster.settle().await;
    assert_eq!(holds(cluster.node(behind)).await, Some(Standing::Held { token }));
    cluster.shutdown().await;
}

#[tokio::test]
async fn one_node_serves_again_after_the_entry_that_opened_its_leadership_was_purged() {
    let snapshots = SnapshotPolicy { entries: 5, keep: 0, ..SnapshotPolicy::default() };
    let mut cluster = Cluster::start(Options { nodes: 1, snapshots, ..Options::default() }).await;
    let first = grant(cluster.node(1), "held", 600_000).await;
    many_entries(&cluster, 1, 30).await;
    until(cluster.node(1), "a snapshot", |status| status.snapshot_index > Some(20)).await;
    for _ in 0..2 {
        cluster.stop(1).await;
        cluster.start_node(1).await;
        cluster.leader().await;
    }
    let next = grant(cluster.node(1), "next", 10_000).await;
    assert!(next > first);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cluster_restarts_from_snapshots_with_everything_it_held() {
    let mut cluster = Cluster::start(often()).await;
    let leader = cluster.leader().await;
    let mut tokens = Vec::new();
    for n in 0..60 {
        tokens.push(grant(cluster.node(leader), &format!("r/{n:02}"), 600_000).await);
    }
    for id in 1..=3 {
        cluster.kill(id).await;
        cluster.disks[&id].crash();
    }
    for id in 1..=3 {
        cluster.start_node(id).await;
    }
    let leader = cluster.leader().await;
    cluster.node(leader).barrier().await.expect("a majority answers");
    let held =
        cluster.node(leader).query(|state| state.list("r/", None, 100)).await.expect("founded");
    let held: Vec<_> = held.iter().map(|view| view.lease.standing).collect();
    let expected: Vec<_> = tokens.iter().map(|token| Standing::Held { token: *token }).collect();
    assert_eq!(held, expected);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_log_that_grows_large_is_cut_before_it_grows_long() {
    let snapshots = SnapshotPolicy { entries: 1_000_000, bytes: 4_000, keep: 5 };
    let cluster = Cluster::start(Options { nodes: 1, snapshots, ..Options::default() }).await;
    for n in 0..100 {
        ask(cluster.node(1), acquire(&format!("r/{n}"), 600_000)).await;
    }
    until(cluster.node(1), "a snapshot", |status| status.snapshot_index.is_some()).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_named_and_the_node_does_not_start() {
    let snapshots = SnapshotPolicy { entries: 5, keep: 0, ..SnapshotPolicy::default() };
    let mut cluster = Cluster::start(Options { nodes: 1, snapshots, ..Options::default() }).await;
    many_entries(&cluster, 1, 30).await;
    until(cluster.node(1), "a snapshot", |status| status.snapshot_index > Some(20)).await;
    cluster.stop(1).await;
    let bytes = cluster.disks[&1].contents("snapshot").expect("the one snapshot file");
    cluster.disks[&1].flip_bit("snapshot", bytes.len() as u64 * 4).expect("it is there");
    let error = cluster.try_start_node(1).await.expect_err("it is damaged");
    assert!(error.to_string().contains("snapshot"), "{error}");
}

#[tokio::test]
async fn a_snapshot_that_was_sent_survives_a_power_cut() {
    let (mut cluster, behind, token) = one_far_behind().await;
    cluster.start_node(behind).await;
    cluster.settle().await;
    assert!(cluster.node(behind).status().snapshot_index > Some(100), "it was sent one");

    cluster.kill(behind).await;
    cluster.disks[&behind].crash();
    for other in cluster.others(behind) {
        cluster.net.cut(other, behind);
        cluster.net.cut(behind, other);
    }
    // Alone, so that nobody sends it another.
    cluster.start_node(behind).await;
    assert_eq!(holds(cluster.node(behind)).await, Some(Standing::Held { token }));
    cluster.net.heal();
    cluster.shutdown().await;
}
