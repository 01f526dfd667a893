//! A Session stream outlives what happens to its connection and to the node at its other end.

use std::time::Duration;

use leasehold_client::{LeaseGuard, LeaseState, LostReason};
use leasehold_types::Standing;

use crate::hosts::NODES;
use crate::lab::{Ended, Lab, World, others};

const TTL: Duration = Duration::from_secs(4);
/// Longer than a ttl, so that the lease was renewed meanwhile or is lost.
const LONGER: Duration = Duration::from_secs(6);

/// Holds a lease over a fault between its client and the node that its stream goes to: the leader.
fn holds_through(
    seed: u64,
    fault: impl AsyncFnOnce(&Lab, &'static str) + 'static,
    healed: impl AsyncFnOnce(&Lab, &'static str) + 'static,
) -> Ended {
    let mut world = World::new(seed);
    world.story("client", async move |lab| {
        let client = lab.client("client", &NODES);
        let lease = client.acquire("r").ttl(TTL).await.expect("granted");
        // Its stream goes to the leader by now, or will after a first renewal.
        tokio::time::sleep(TTL / 2).await;
        let node = lab.leader().await;
        fault(&lab, node).await;
        held_for(&lab, &lease, LONGER).await;
        let [elsewhere, _] = others(node);
        let view = lab.client("reader", &[elsewhere]).get("r").await.expect("a majority answers");
        let held = view.lease.map(|claim| claim.standing);
        assert_eq!(held, Some(Standing::Held { token: lease.token() }));
        healed(&lab, node).await;
        held_for(&lab, &lease, LONGER).await;
        assert_eq!(lease.release().await, Ok(true));
    });
    world.run()
}

/// The client says at every moment that it holds.
async fn held_for(lab: &Lab, lease: &LeaseGuard, time: Duration) {
    let until = lab.now() + time;
    while lab.now() < until {
        let state = lease.state();
        assert!(!matches!(state, LeaseState::Lost { .. }), "{state:?} at {:?}", lab.now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_lease_is_held_while_its_client_is_cut_from_the_leader() {
    let ended = holds_through(
        1,
        async |lab, node| lab.cut("client", node),
        async |lab, node| lab.mend("client", node),
    );
    assert!(ended.hits > 0, "something met the cut");
}

#[test]
fn a_lease_is_held_while_the_leader_does_not_hear_its_client() {
    let ended = holds_through(
        2,
        async |lab, node| lab.cut_one_way("client", node),
        async |lab, node| lab.mend("client", node),
    );
    assert!(ended.hits > 0, "something met the cut");
}

#[test]
fn a_lease_is_held_while_its_client_does_not_hear_the_leader() {
    let ended = holds_through(
        3,
        async |lab, node| lab.cut_one_way(node, "client"),
        async |lab, node| lab.mend("client", node),
    );
    assert!(ended.hits > 0, "something met the cut");
}

#[test]
fn a_lease_is_held_while_its_stream_is_held_up_and_when_all_of_it_arrives_late() {
    let ended = holds_through(
        4,
        async |lab, node| lab.hold("client", node),
        async |lab, node| lab.let_go("client", node),
    );
    assert!(ended.hits > 0, "something was held up");
}

#[test]
fn a_lease_is_held_while_the_leader_crashes_and_comes_back() {
    let ended = holds_through(
        5,
        async |lab, node| lab.crash(node).await,
        async |lab, node| lab.bounce(node).await,
    );
    assert_eq!(ended.crashes, 1);
}

#[test]
fn a_lease_is_held_while_the_leader_is_cut_from_its_peers() {
    let ended = holds_through(
        6,
        async |lab, node| others(node).iter().for_each(|peer| lab.cut(node, peer)),
        async |lab, node| others(node).iter().for_each(|peer| lab.mend(node, peer)),
    );
    assert!(ended.hits > 0, "something met the cut");
}

#[test]
fn a_client_cut_from_all_nodes_stops_believing_before_another_is_granted() {
    let mut world = World::new(7);
    world.story("first", async move |lab| {
        let lease = lab.client("first", &NODES).acquire("r").ttl(TTL).await.expect("granted");
        lab.say("held");
        lab.hear("queued").await;
        NODES.iter().for_each(|node| lab.cut("first", node));
        assert_eq!(lease.lost().await, LostReason::BoundPassed);
        lab.note("lost");
        assert!(!lab.has_heard("granted"), "somebody else holds already");
        lab.say("lost");
    });
    world.story("second", async move |lab| {
        lab.hear("held").await;
        let client = lab.client("second", &NODES);
        let waiting = tokio::spawn(client.acquire("r").ttl(TTL).wait(5 * TTL).into_future());
        lab.until("in the queue", async || {
            client.get("r").await.is_ok_and(|view| view.queue_length == 1)
        })
        .await;
        lab.say("queued");
        let lease = waiting.await.expect("no panic").expect("granted");
        lab.say("granted");
        lab.note("granted");
        assert!(lab.has_heard("lost"), "the first still believes");
        lease.release().await.expect("a majority answers");
    });
    let ended = world.run();
    assert!(ended.hits > 0, "something met the cut");
}
