//! Cut paths, dead disks, nodes that forgot.

mod support;

use std::time::Duration;

use leasehold_disk::fake::FakeDisk;
use leasehold_raft::transport::PeerFault;
use leasehold_raft::{NodeFailure, Role, pb};
use leasehold_types::Fault;
use support::{BOUND, Cluster, Options, acquire, ask, grant, try_ask, until};
use tokio::time::timeout;

#[tokio::test]
async fn a_leader_that_sends_but_hears_nothing_is_replaced() {
    let cluster = Cluster::start(Options::default()).await;
    let deaf = cluster.leader().await;
    grant(cluster.node(deaf), "before", 60_000).await;
    for other in cluster.others(deaf) {
        cluster.net.cut(other, deaf);
    }
    let heard = cluster.others(deaf)[0];
    let status = until(cluster.node(heard), "another leader", |status| {
        status.serving && status.leader.as_ref().is_some_and(|leader| leader.node_id != deaf)
    })
    .await;
    grant(cluster.node(heard), "meanwhile", 60_000).await;
    cluster.net.heal();
    until(cluster.node(deaf), "the old leader to follow", |now| {
        now.role == Role::Follower && now.term >= status.term
    })
    .await;
    cluster.settle().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_leader_without_a_majority_answers_soon_and_takes_up_again_when_it_returns() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    for other in cluster.others(leader) {
        cluster.net.cut(other, leader);
        cluster.net.cut(leader, other);
    }
    until(cluster.node(leader), "the majority to be missed", |status| !status.has_quorum).await;
    let answer = timeout(BOUND, try_ask(cluster.node(leader), acquire("r", 10_000))).await;
    let fault = answer.expect("every request is answered").expect_err("no majority");
    assert!(matches!(fault, Fault::NoLeader { .. } | Fault::OutcomeUnknown { .. }), "{fault}");
    let barrier = timeout(BOUND, cluster.node(leader).barrier()).await;
    assert!(matches!(barrier, Ok(Err(Fault::NoLeader { .. }))), "{barrier:?}");
    cluster.net.heal();
    grant(cluster.node(leader), "after", 10_000).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_follower_cut_off_and_back_does_not_depose_the_leader() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let term = cluster.node(leader).status().term;
    let alone = cluster.others(leader)[0];
    for other in cluster.others(alone) {
        cluster.net.cut(alone, other);
        cluster.net.cut(other, alone);
    }
    until(cluster.node(alone), "the silence to be noticed", |status| !status.serving).await;
    // Several elections' time, in which it must not raise its term.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    cluster.net.heal();
    grant(cluster.node(alone), "through it", 10_000).await;
    assert_eq!(cluster.node(leader).status().term, term);
    assert_eq!(cluster.leader().await, leader);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_wiped_node_is_not_believed_and_does_not_count() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    cluster.settle().await;
    let wiped = cluster.others(leader)[0];
    cluster.kill(wiped).await;
    cluster.disks.insert(wiped, FakeDisk::new(77));
    cluster.start_node(wiped).await;
    grant(cluster.node(leader), "by two", 10_000).await;
    let call =
        pb::Call { from: Some(cluster.node(wiped).peer_handler().facts()), to_node_id: leader };
    let vote = pb::Vote { term: 1_000, node_id: wiped, committed: false };
    let request =
        pb::VoteRequest { vote: Some(vote), last_log_id: None, leadership_transfer: false };
    let asked = cluster.node(leader).peer_handler().vote(call, request).await;
    assert!(
        matches!(&asked, Err(PeerFault::NotBelieved { why }) if why.contains("wiped")),
        "{asked:?}"
    );
    let called = cluster.net.answers(wiped);
    let calls = timeout(BOUND, async {
        while cluster.net.answers(wiped) < called + 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    calls.await.expect("the leader keeps trying");

    let second = cluster.others(leader).into_iter().find(|id| *id != wiped).expect("three nodes");
    cluster.kill(second).await;
    until(cluster.node(leader), "the majority to be missed", |status| !status.has_quorum).await;
    let answer = timeout(BOUND, try_ask(cluster.node(leader), acquire("by one", 10_000))).await;
    assert!(matches!(answer, Ok(Err(_))), "{answer:?}");
    cluster.start_node(second).await;
    grant(cluster.node(leader), "by two again", 10_000).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_failed_sync_stops_the_node_and_the_others_go_on() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    cluster.disks[&leader].fail_sync_at(1);
    let other = cluster.others(leader)[0];
    grant(cluster.node(other), "goes on", 10_000).await;
    let failure = timeout(BOUND, cluster.node(leader).failed()).await.expect("it fails");
    assert!(matches!(failure, NodeFailure::Storage { .. }), "{failure:?}");
    let answer = try_ask(cluster.node(leader), acquire("no", 10_000)).await;
    assert!(answer.is_err(), "{answer:?}");
    cluster.kill(leader).await;
    cluster.start_node(leader).await;
    grant(cluster.node(leader), "back", 10_000).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn power_cuts_lose_nothing_that_was_answered() {
    let mut cluster = Cluster::start(Options::default()).await;
    for round in 0..4 {
        let leader = cluster.leader().await;
        let token = grant(cluster.node(leader), &format!("r/{round}"), 600_000).await;
        for id in 1..=3 {
            cluster.kill(id).await;
            cluster.disks[&id].crash();
        }
        for id in 1..=3 {
            cluster.start_node(id).await;
        }
        let leader = cluster.leader().await;
        let outcome = ask(cluster.node(leader), support::renew(token)).await;
        let leasehold_core::Answer::Renewed(items) = &outcome.answer else { panic!("{outcome:?}") };
        assert!(items[0].is_ok(), "round {round}: {outcome:?}");
    }
    cluster.shutdown().await;
}
