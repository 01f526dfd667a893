//! Processes that are killed, stopped and started again. Each test checks that its fault happened.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::time::{Duration, Instant};

use harness::wire::{self, acquire, acquire_waiting, read, reason, write};
use harness::{Cluster, Options, PATIENCE};
use leasehold_api::pb::lease::v1 as pb;

const TTL: Duration = Duration::from_secs(60);

async fn holder_of(cluster: &Cluster, resource: &str) -> Option<pb::Lease> {
    let deadline = Instant::now() + PATIENCE;
    for node in (0..cluster.nodes.len()).cycle() {
        let get = pb::GetRequest { resource: resource.into() };
        let call = async { cluster.lease_client(node).get(get).await };
        if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(5), call).await {
            return answer.into_inner().state.expect("always there").lease;
        }
        assert!(Instant::now() < deadline, "nobody answered a get:\n{}", cluster.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("the nodes repeat for ever")
}

#[tokio::test]
async fn a_killed_leader_costs_no_lease_and_tokens_still_grow() {
    let mut cluster = Cluster::start(3).await;
    let mut last = 0;
    for round in 0..3 {
        let name = format!("kept/{round}");
        let lease = cluster.acquire(acquire(&name, "ann", TTL)).await.unwrap();
        assert!(lease.token > last);
        last = lease.token;
        let leader = cluster.wait_for_leader().await;
        let term = wire::status(cluster.address(leader)).await.unwrap().term;
        cluster.kill(leader);
        let next = cluster.wait_for_leader().await;
        assert_ne!(next, leader);
        assert!(wire::status(cluster.address(next)).await.unwrap().term > term, "a new leadership");
        let kept = holder_of(&cluster, &name).await.expect("an acknowledged lease is kept");
        assert_eq!(kept.token, lease.token);
        let refused = cluster.acquire(acquire(&name, "bob", TTL)).await.unwrap_err();
        assert_eq!(reason(&refused), "HELD");
        cluster.start_node(leader);
        cluster.wait_for_leader().await;
    }
}

#[tokio::test]
async fn all_nodes_killed_at_once_lose_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::start(3).await;
    let mut leases = Vec::new();
    for at in 0..20 {
        let request = acquire(&format!("all/{at}"), "ann", TTL);
        leases.push(cluster.acquire(request).await.unwrap());
    }
    let starts: Vec<u64> = incarnations(&cluster).await;
    for node in 0..3 {
        cluster.kill(node);
    }
    for node in 0..3 {
        cluster.start_node(node);
    }
    cluster.wait_for_leader().await;
    for lease in &leases {
        let kept = holder_of(&cluster, &lease.resource).await.expect("kept");
        assert_eq!(kept.token, lease.token);
    }
    let next = cluster.acquire(acquire("all/next", "ann", TTL)).await.unwrap();
    assert!(leases.iter().all(|lease| lease.token < next.token));
    for node in 0..3 {
        wait_until_up(&cluster, node).await;
    }
    let restarts: Vec<u64> = incarnations(&cluster).await;
    assert!(starts.iter().zip(&restarts).all(|(a, b)| a < b), "every node was started again");
}

async fn wait_until_up(cluster: &Cluster, node: usize) {
    let deadline = Instant::now() + PATIENCE;
    while wire::status(cluster.address(node)).await.is_none() {
        assert!(Instant::now() < deadline, "node {node} never came back:\n{}", cluster.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn incarnations(cluster: &Cluster) -> Vec<u64> {
    let mut all = Vec::new();
    for node in 0..cluster.nodes.len() {
        all.push(wire::status(cluster.address(node)).await.expect("up").incarnation);
    }
    all
}

#[tokio::test]
async fn a_single_node_started_again_serves_and_remembers() {
    let mut cluster = Cluster::start(1).await;
    let lease = cluster.acquire(acquire("one", "ann", TTL)).await.unwrap();
    for _ in 0..3 {
        cluster.kill(0);
        cluster.start_node(0);
        cluster.wait_for_leader().await;
        assert_eq!(holder_of(&cluster, "one").await.expect("kept").token, lease.token);
    }
    let next = cluster.acquire(acquire("two", "ann", TTL)).await.unwrap();
    assert!(next.token > lease.token);
}

#[tokio::test]
async fn a_stopped_leader_is_replaced_and_believes_nothing_old_when_it_wakes() {
    let cluster = Cluster::start(3).await;
    let ttl = Duration::from_secs(2);
    let first = cluster.acquire(acquire("stopped", "ann", ttl)).await.unwrap();
    let stopped = cluster.wait_for_leader().await;
    cluster.pause(stopped);
    let others: Vec<usize> = (0..3).filter(|node| *node != stopped).collect();
    let request = acquire_waiting("stopped", "bob", TTL, PATIENCE);
    let second = cluster.acquire_through(&others, request).await.unwrap();
    assert!(second.token > first.token);
    cluster.resume(stopped);
    let mut woken = cluster.lease_client(stopped);
    let deadline = Instant::now() + PATIENCE;
    let renewed = loop {
        let renew = pb::RenewRequest { tokens: vec![first.token], request_ids: vec![] };
        match woken.renew(renew).await {
            Ok(answer) => break answer.into_inner(),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        assert!(Instant::now() < deadline, "the woken node never answered");
    };
    let Some(pb::renew_result::Result::Refused(no)) = &renewed.results[0].result else {
        panic!("a lease that ended was renewed")
    };
    assert_eq!(no.reason, "NOT_HOLDER");
    assert_eq!(holder_of(&cluster, "stopped").await.unwrap().token, second.token);
}

#[tokio::test]
async fn a_follower_that_was_stopped_reads_nothing_old_when_it_wakes() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.wait_for_leader().await;
    let follower = (leader + 1) % 3;
    let mut reader = cluster.lease_client(follower);
    let get = || pb::GetRequest { resource: "read".into() };
    reader.get(get()).await.expect("it is connected");
    let mut answered = 0;
    for _ in 0..3 {
        cluster.pause(follower);
        let request = acquire("read", "ann", TTL);
        let lease = cluster.acquire_through(&[leader], request).await.unwrap();
        let mut asking = reader.clone();
        let asked = tokio::spawn(async move { asking.get(get()).await });
        assert!(wire::status(cluster.address(follower)).await.is_none(), "it is stopped");
        cluster.resume(follower);
        // The question was there before the news of the grant. Not knowing is an answer, an old one is not.
        if let Ok(answer) = asked.await.unwrap() {
            let held = answer.into_inner().state.unwrap().lease;
            assert_eq!(held.map(|held| held.token), Some(lease.token));
            answered += 1;
        }
        let release = pb::ReleaseRequest { resource: "read".into(), token: lease.token };
        cluster.lease_client(leader).release(release).await.unwrap();
    }
    assert!(answered > 0, "it never answered");
}

#[tokio::test]
async fn without_a_majority_nothing_is_granted_and_with_one_again_it_is() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.wait_for_leader().await;
    let followers: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    for node in &followers {
        cluster.kill(*node);
    }
    let request = acquire("alone", "ann", TTL);
    let mut client = cluster.lease_client(leader);
    let call = tokio::time::timeout(PATIENCE, client.acquire(request.clone()));
    let status = call.await.expect("every call is answered").expect_err("no majority, no grant");
    assert!(
        matches!(reason(&status).as_str(), "NO_LEADER" | "OUTCOME_UNKNOWN"),
        "not knowing is neither yes nor no: {status:?}"
    );
    for node in &followers {
        cluster.start_node(*node);
    }
    cluster.wait_for_leader().await;
    cluster.acquire(request).await.expect("the same id, asked again");
}

#[tokio::test]
async fn a_follower_that_was_away_too_long_is_brought_back_by_a_snapshot() {
    let options = Options {
        node_config: "[snapshots]\nentries = 50\nkeep = 10\n".into(),
        ..Options::default()
    };
    let mut cluster = Cluster::start_with(3, options).await;
    let leader = cluster.wait_for_leader().await;
    let away = (leader + 1) % 3;
    let index_before = wire::status(cluster.address(away)).await.unwrap().last_log_index;
    cluster.kill(away);
    let mut last = None;
    for at in 0..200 {
        let request = acquire(&format!("away/{at}"), "ann", TTL);
        last = Some(cluster.acquire_through(&[leader], request).await.unwrap());
    }
    let last = last.unwrap();
    let leader_status = wire::status(cluster.address(leader)).await.unwrap();
    assert!(leader_status.snapshot_index > index_before, "the log it needs is gone");
    cluster.start_node(away);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = wire::status(cluster.address(away)).await
            && status.snapshot_index > index_before
            && status.last_token >= last.token
        {
            break;
        }
        assert!(Instant::now() < deadline, "it never caught up:\n{}", cluster.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What came by snapshot counts: with the old leader gone, it is half of the majority.
    cluster.kill(leader);
    cluster.wait_for_leader().await;
    assert_eq!(holder_of(&cluster, &last.resource).await.unwrap().token, last.token);
}

#[tokio::test]
async fn a_node_on_a_wiped_disk_is_refused_by_its_peers() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.wait_for_leader().await;
    cluster.acquire(acquire("kept", "ann", TTL)).await.unwrap();
    let wiped = (leader + 1) % 3;
    cluster.kill(wiped);
    std::fs::remove_dir_all(cluster.directory().join(format!("node-{}", wiped + 1))).unwrap();
    cluster.start_node(wiped);
    // The other two go on; the wiped node never becomes part of a majority again.
    let other = (leader + 2) % 3;
    cluster.kill(other);
    let mut client = cluster.lease_client(leader);
    let call = tokio::time::timeout(PATIENCE, client.acquire(acquire("new", "ann", TTL)));
    call.await
        .expect("answered")
        .expect_err("one node that remembers and one that forgot are no majority");
    cluster.start_node(other);
    cluster.wait_for_leader().await;
    assert!(holder_of(&cluster, "kept").await.is_some());
}

#[tokio::test]
async fn sigterm_hands_leadership_over_and_exits_cleanly() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.wait_for_leader().await;
    cluster.acquire(acquire("kept", "ann", TTL)).await.unwrap();
    let status = cluster.terminate(leader);
    assert!(status.success(), "{status:?}\n{}", cluster.logs());
    let next = cluster.wait_for_leader().await;
    assert_ne!(next, leader);
    assert!(holder_of(&cluster, "kept").await.is_some());
}

#[tokio::test]
async fn a_stopped_store_answers_when_it_wakes_and_still_knows_its_marks() {
    let cluster = Cluster::start(1).await;
    let mut store = cluster.store_client();
    store.write(write("r", 2, 1, "k", "new")).await.unwrap();
    cluster.pause_store();
    let mut late = cluster.store_client();
    let waiting = tokio::spawn(async move { late.write(write("r", 1, 1, "k", "late")).await });
    assert!(wire::store_status(cluster.store_address()).await.is_none(), "it is stopped");
    cluster.resume_store();
    let refused = waiting.await.unwrap().unwrap_err();
    assert_eq!(reason(&refused), "STALE_TOKEN");
    let entry = store.get(read("r", "k")).await.unwrap().into_inner().entry.unwrap();
    assert_eq!(&entry.value[..], b"new");
}
