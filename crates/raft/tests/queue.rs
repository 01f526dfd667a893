//! Full queues answer at once, and never starve renewals.

mod support;

use leasehold_core::Answer;
use leasehold_raft::Limits;
use leasehold_types::Fault;
use support::{BOUND, Cluster, Options, acquire, grant, renew};
use tokio::time::timeout;

fn narrow() -> Options {
    let limits = Limits {
        batch_commands_max: 8,
        batches_in_flight_max: 1,
        queue_commands_max: 500,
        ..Limits::default()
    };
    Options { limits, ..Options::default() }
}

#[tokio::test]
async fn a_renewal_gets_through_a_queue_full_of_acquires() {
    let cluster = Cluster::start(narrow()).await;
    let leader = cluster.node(cluster.leader().await);
    let token = grant(leader, "kept", 60_000).await;
    let mut flood = Vec::new();
    let full = loop {
        match leader.propose(acquire(&format!("r/{}", flood.len()), 60_000)) {
            Ok(proposal) => flood.push(proposal),
            Err(fault) => break fault,
        }
    };
    assert_eq!(full, Fault::QueueFull { limit: 500 });
    let renewal = leader.propose(renew(token)).expect("renewals have a lane of their own");
    let renewed = timeout(BOUND, renewal).await.expect("in time").expect("a majority lives");
    assert!(matches!(&renewed.answer, Answer::Renewed(items) if items[0].is_ok()), "{renewed:?}");
    let last = timeout(BOUND, flood.pop().expect("there was a flood")).await;
    let last = last.expect("in time").expect("a majority lives");
    assert!(renewed.revision < last.revision, "the renewal overtook the flood");
    cluster.shutdown().await;
}

#[tokio::test]
async fn thousands_of_commands_through_a_follower_are_answered_each_with_its_own_outcome() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let follower = cluster.node(cluster.others(leader)[0]);
    let proposals: Vec<_> = (0..3_000)
        .map(|n| follower.propose(acquire(&format!("r/{n}"), 60_000)).expect("there is room"))
        .collect();
    for (n, proposal) in proposals.into_iter().enumerate() {
        let outcome = timeout(BOUND, proposal).await.expect("in time").expect("a majority lives");
        let Answer::Claim(claim) = outcome.answer else { panic!("{outcome:?}") };
        assert_eq!(claim.resource.as_str(), format!("r/{n}"));
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_node_that_shuts_down_answers_what_waits() {
    let mut cluster = Cluster::start(narrow()).await;
    let leader = cluster.leader().await;
    let node = cluster.node(leader).clone();
    let proposals: Vec<_> = (0..200)
        .map(|n| node.propose(acquire(&format!("r/{n}"), 60_000)).expect("there is room"))
        .collect();
    cluster.stop(leader).await;
    for proposal in proposals {
        let answer = timeout(BOUND, proposal).await.expect("every request is answered");
        let known =
            matches!(answer, Ok(_) | Err(Fault::ShuttingDown | Fault::OutcomeUnknown { .. }));
        assert!(known, "{answer:?}");
    }
    assert_eq!(node.propose(acquire("late", 1_000)).err(), Some(Fault::ShuttingDown));
    cluster.shutdown().await;
}
