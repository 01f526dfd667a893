//! A leader that was replaced behind its back, with its timers due: it ends nothing and renews nothing
//! (etcd#12528, etcd#15247).

mod support;

use leasehold_core::{Answer, EventKind};
use leasehold_raft::{Change, Role};
use support::{BOUND, Cluster, Options, acquire, ask, renew, token, try_ask, until};
use tokio::time::timeout;

const TTL_MS: u64 = 1_000;

/// Nothing goes in or out.
fn isolate(cluster: &Cluster, node: u64) {
    for other in cluster.others(node) {
        cluster.net.cut(node, other);
        cluster.net.cut(other, node);
    }
}

async fn successor_of(cluster: &Cluster, old: u64) -> u64 {
    let heard = cluster.others(old)[0];
    let status = until(cluster.node(heard), "another leader", |status| {
        status.serving && status.leader.as_ref().is_some_and(|leader| leader.node_id != old)
    });
    status.await.leader.expect("waited for").node_id
}

fn is_renewed(answer: &Answer) -> bool {
    matches!(answer, Answer::Renewed(items) if items[0].is_ok())
}

#[tokio::test]
async fn a_replaced_leader_ends_no_lease_that_its_successor_renewed() {
    let cluster = Cluster::start(Options::default()).await;
    let old = cluster.leader().await;
    let granted = ask(cluster.node(old), acquire("kept", TTL_MS)).await;
    let lease = token(&granted).expect("it was free");
    let mut feed = cluster.node(old).applied();
    let log_end = cluster.node(old).status().last_log_index;

    isolate(&cluster, old);
    let next = successor_of(&cluster, old).await;
    // Renewed until the deadline that the old leader knows is long past, on every clock there is.
    loop {
        let renewed = ask(cluster.node(next), renew(lease)).await;
        assert!(is_renewed(&renewed.answer), "{renewed:?}");
        if renewed.at.0 > granted.at.0 + 3 * TTL_MS {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let waited = cluster.node(old).status().last_log_index;
    assert!(waited > log_end, "the old leader wrote of time that passed: {waited:?} {log_end:?}");

    cluster.net.heal();
    until(cluster.node(old), "the old leader to follow", |now| now.role == Role::Follower).await;
    let renewed = ask(cluster.node(old), renew(lease)).await;
    assert!(is_renewed(&renewed.answer), "{renewed:?}");
    cluster.settle().await;
    while let Ok(change) = feed.try_recv() {
        let Change::Batch(batch) = &*change else { panic!("no snapshot was due: {change:?}") };
        let ended = batch.events.iter().any(|event| matches!(event.kind, EventKind::Ended { .. }));
        assert!(!ended, "{batch:?}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_replaced_leader_confirms_no_renewal() {
    let cluster = Cluster::start(Options::default()).await;
    let old = cluster.leader().await;
    let lease = token(&ask(cluster.node(old), acquire("lost", TTL_MS)).await).expect("free");
    isolate(&cluster, old);
    let before = cluster.node(old).status();
    assert!(before.role == Role::Leader && before.serving, "it has not noticed: {before:?}");
    let renewed = timeout(BOUND, try_ask(cluster.node(old), renew(lease))).await;
    let fault = renewed.expect("every request is answered").expect_err("no majority heard of it");

    let next = successor_of(&cluster, old).await;
    let again = timeout(BOUND, async {
        loop {
            let outcome = ask(cluster.node(next), acquire("lost", 60_000)).await;
            if let Some(token) = token(&outcome) {
                return token;
            }
        }
    });
    assert!(again.await.expect("the lease ends") > lease, "{fault}");
    cluster.net.heal();
    let renewed = ask(cluster.node(old), renew(lease)).await;
    assert!(!is_renewed(&renewed.answer), "{renewed:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_a_replaced_leader_had_in_its_log_is_unknown_and_not_proposed_again() {
    let cluster = Cluster::start(Options::default()).await;
    let old = cluster.leader().await;
    cluster.settle().await;
    isolate(&cluster, old);
    let log_end = cluster.node(old).status().last_log_index;
    let proposal = cluster.node(old).propose(acquire("perhaps", 60_000)).expect("there is room");
    let grown = |status: &leasehold_raft::NodeStatus| status.last_log_index > log_end;
    until(cluster.node(old), "the entry in its log", grown).await;
    successor_of(&cluster, old).await;
    cluster.net.heal();
    // Its successor's log may hold it as well: to propose it again could apply it twice.
    let outcome = timeout(BOUND, proposal).await.expect("every request is answered");
    let fault = outcome.expect_err("the entry was replaced");
    assert!(!fault.surely_not_applied(), "{fault}");
    cluster.shutdown().await;
}
