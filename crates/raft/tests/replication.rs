//! What a healthy cluster does, and what survives the loss of a leader or of all.

mod support;

use leasehold_raft::Role;
use support::{Cluster, Options, ask, grant, renew, token, until};

#[tokio::test]
async fn every_node_takes_commands_and_all_apply_the_same() {
    let cluster = Cluster::start(Options::default()).await;
    let mut tokens = Vec::new();
    for id in 1..=3 {
        tokens.push(grant(cluster.node(id), &format!("r/{id}"), 10_000).await);
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    cluster.settle().await;
    let mut snapshots = Vec::new();
    for id in 1..=3 {
        snapshots.push(cluster.node(id).query(|state| state.snapshot()).await.expect("founded"));
    }
    assert!(snapshots.iter().all(|snapshot| *snapshot == snapshots[0]));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_barrier_on_a_follower_shows_what_was_answered_before_it() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    for follower in cluster.others(leader) {
        let resource = format!("seen/{follower}");
        let token = grant(cluster.node(leader), &resource, 10_000).await;
        cluster.node(follower).barrier().await.expect("a majority answers");
        let seen =
            cluster.node(follower).query(move |state| state.get(&resource)).await.expect("founded");
        let held = seen.map(|view| view.lease.standing);
        assert_eq!(held, Some(leasehold_core::Standing::Held { token }));
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_tokens_grow_and_leases_keep_their_time() {
    let mut cluster = Cluster::start(Options::default()).await;
    let old = cluster.leader().await;
    let first = grant(cluster.node(old), "kept", 60_000).await;
    cluster.kill(old).await;
    let new = cluster.leader().await;
    assert_ne!(new, old);
    let second = grant(cluster.node(new), "later", 10_000).await;
    assert!(second > first);
    let outcome = ask(cluster.node(cluster.others(new)[0]), renew(first)).await;
    let leasehold_core::Answer::Renewed(items) = &outcome.answer else { panic!("{outcome:?}") };
    assert_eq!(items[0].as_ref().map(|claim| claim.valid_for_ms), Ok(60_000));
    cluster.start_node(old).await;
    cluster.settle().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn all_nodes_may_be_killed_at_once_and_nothing_answered_is_lost() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let mut tokens = Vec::new();
    for n in 0..20 {
        tokens.push(grant(cluster.node(leader), &format!("r/{n}"), 60_000).await);
    }
    for id in 1..=3 {
        cluster.kill(id).await;
    }
    for id in 1..=3 {
        cluster.start_node(id).await;
    }
    let leader = cluster.leader().await;
    cluster.node(leader).barrier().await.expect("a majority answers");
    let held =
        cluster.node(leader).query(|state| state.list("r/", None, 100)).await.expect("founded");
    let mut found: Vec<_> = held.iter().map(|view| view.lease.standing).collect();
    let mut expected: Vec<_> =
        tokens.iter().map(|token| leasehold_core::Standing::Held { token: *token }).collect();
    let by_token = |standing: &leasehold_core::Standing| match standing {
        leasehold_core::Standing::Held { token } => token.get(),
        leasehold_core::Standing::Waiting { .. } => 0,
    };
    found.sort_by_key(by_token);
    expected.sort_by_key(by_token);
    assert_eq!(found, expected);
    let next = grant(cluster.node(leader), "next", 10_000).await;
    assert!(tokens.iter().all(|token| *token < next));
    cluster.shutdown().await;
}

#[tokio::test]
async fn leadership_is_handed_over_on_request() {
    let cluster = Cluster::start(Options::default()).await;
    let old = cluster.leader().await;
    assert!(cluster.node(old).hand_over_leadership().await);
    until(cluster.node(old), "another leader", |status| {
        status.role == Role::Follower && status.leader.as_ref().is_some_and(|l| l.node_id != old)
    })
    .await;
    let outcome = ask(cluster.node(old), support::acquire("after", 10_000)).await;
    assert!(token(&outcome).is_some());
    cluster.shutdown().await;
}
