//! Who gets a vote: nobody with an older log, and nobody else in a term once it was given.

mod support;

use leasehold_raft::pb;
use leasehold_raft::transport::PeerFault;
use support::{Cluster, Options, grant};

struct Candidate {
    id: u64,
    term: u64,
    last_log_id: Option<pb::LogId>,
}

async fn ask_for_vote(
    cluster: &Cluster,
    voter: u64,
    candidate: &Candidate,
) -> Result<pb::VoteReply, PeerFault> {
    let from = cluster.node(candidate.id).peer_handler().facts();
    let call = pb::Call { from: Some(from), to_node_id: voter };
    let vote = pb::Vote { term: candidate.term, node_id: candidate.id, committed: false };
    // As at a hand-over of leadership, where a voter does not ask how long its leader was silent.
    let request = pb::VoteRequest {
        vote: Some(vote),
        last_log_id: candidate.last_log_id,
        leadership_transfer: true,
    };
    cluster.node(voter).peer_handler().vote(call, request).await
}

/// Nobody hears anybody, so nothing moves but what the test asks for.
fn silence(cluster: &Cluster) {
    for from in 1..=3 {
        for to in 1..=3 {
            cluster.net.cut(from, to);
        }
    }
}

#[tokio::test]
async fn a_candidate_whose_log_ends_earlier_is_not_elected_whatever_its_term() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    grant(cluster.node(leader), "committed", 60_000).await;
    cluster.settle().await;
    silence(&cluster);
    let [id, voter] = cluster.others(leader)[..] else { panic!("three nodes") };
    let mut term = cluster.node(voter).status().term;
    let reply = ask_for_vote(&cluster, voter, &Candidate { id, term, last_log_id: None }).await;
    let end = reply.expect("it is a member").last_log_id.expect("it holds entries");
    let older = pb::LogId { term: end.term - 1, index: end.index + 100 };
    let shorter = pb::LogId { term: end.term, index: end.index - 1 };
    for _ in 0..3 {
        for last_log_id in [None, Some(older), Some(shorter)] {
            let candidate = Candidate { id, term, last_log_id };
            let reply = ask_for_vote(&cluster, voter, &candidate).await.expect("it is a member");
            assert!(!reply.granted, "term {term}, log {last_log_id:?}: {reply:?}");
        }
        // Its log was all that was wrong. Now the vote it asks for is the very vote that stands, which
        // must not count as granted (openraft#1220): the next round asks for it with an older log.
        term += 1_000;
        let longer = Some(pb::LogId { term: end.term, index: end.index + 100 });
        let fitting = Candidate { id, term, last_log_id: longer };
        let reply = ask_for_vote(&cluster, voter, &fitting).await.expect("it is a member");
        assert!(reply.granted, "{reply:?}");
    }
    cluster.net.heal();
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_vote_that_was_given_is_remembered_after_a_power_cut() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let index = cluster.settle().await;
    silence(&cluster);
    let [first, voter] = cluster.others(leader)[..] else { panic!("three nodes") };
    let term = cluster.node(voter).status().term;
    let last_log_id = Some(pb::LogId { term, index: index + 100 });
    for round in 1..=5 {
        let term = term + 1_000 * round;
        let given = Candidate { id: first, term, last_log_id };
        let reply = ask_for_vote(&cluster, voter, &given).await.expect("it is a member");
        assert!(reply.granted, "round {round}: {reply:?}");
        cluster.kill(voter).await;
        silence(&cluster);
        cluster.disks[&voter].crash();
        cluster.start_node(voter).await;
        let other = Candidate { id: leader, term, last_log_id };
        let reply = ask_for_vote(&cluster, voter, &other).await.expect("it is a member");
        assert!(!reply.granted, "round {round}: {reply:?}");
        assert!(reply.vote.is_some_and(|vote| vote.term >= term), "round {round}: {reply:?}");
    }
    cluster.net.heal();
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_leader_that_restarts_is_elected_anew() {
    // A leadership that outlived its process would stamp from a note that the process did not make.
    let mut cluster = Cluster::start(Options { nodes: 1, ..Options::default() }).await;
    let mut terms = Vec::new();
    for _ in 0..3 {
        let leader = cluster.leader().await;
        terms.push(cluster.node(leader).status().term);
        cluster.kill(leader).await;
        cluster.start_node(leader).await;
    }
    assert!(terms.is_sorted_by(|earlier, later| earlier < later), "{terms:?}");
    cluster.shutdown().await;
}
