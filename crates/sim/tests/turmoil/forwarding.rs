//! A node that does not lead passes requests on, one hop; and what is lost on that hop.

use std::time::Duration;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_types::Fault;

use crate::hosts::NODES;
use crate::lab::{World, others};
use crate::plain::{acquire, fault, token};

#[test]
fn a_request_to_a_follower_is_forwarded_and_answered_though_the_leader_changes() {
    let mut world = World::new(11);
    world.story("client", async move |lab| {
        let leader = lab.leader().await;
        let [follower, third] = others(leader);
        // The only way to the leader is through the follower.
        lab.cut("client", leader);
        lab.cut("client", third);
        let client = lab.client("client", &[follower]);
        let first = client.acquire("first").await.expect("granted");
        // The next one is under way to the leader when that fails.
        let second = tokio::spawn(client.acquire("second").into_future());
        tokio::time::sleep(Duration::from_millis(3)).await;
        lab.crash(leader).await;
        let second = second.await.expect("no panic").expect("granted");
        assert_eq!(second.token().get(), first.token().get() + 1, "asked twice, granted once");
        lab.bounce(leader).await;
        let third = client.acquire("third").await.expect("granted");
        assert_eq!(third.token().get(), second.token().get() + 1);
    });
    let ended = world.run();
    assert_eq!(ended.crashes, 1);
}

#[test]
fn a_forward_whose_reply_is_lost_is_asked_again_under_its_id_and_answered_as_it_stands() {
    let mut world = World::new(12);
    world.story("client", async move |lab| {
        let leader = lab.leader().await;
        let [follower, _] = others(leader);
        let mut asked = lab.plain(follower);
        token(
            asked.acquire(acquire("warm", 1, Duration::ZERO)).await.expect("granted").into_inner(),
        );
        lab.cut_one_way(leader, follower);
        let hits = lab.hits();
        let lost = asked.acquire(acquire("r", 2, Duration::ZERO)).await.expect_err("no reply");
        let fault = fault(&lost);
        assert!(matches!(fault, Fault::OutcomeUnknown { .. }), "{fault}");
        assert!(lab.hits() > hits, "the leader spoke into the cut");
        // It was done all the same.
        let view = lab.plain(leader).get(pb::GetRequest { resource: "r".to_owned() }).await;
        let state = view.expect("a majority answers").into_inner().state;
        let granted = state.and_then(|state| state.lease).expect("held").token;
        lab.mend(leader, follower);
        lab.until("the follower forwards again", async || {
            match asked.acquire(acquire("r", 2, Duration::ZERO)).await {
                Ok(answer) => {
                    assert_eq!(token(answer.into_inner()), granted, "as it stands");
                    true
                }
                Err(status) => {
                    crate::plain::fault(&status);
                    false
                }
            }
        })
        .await;
        let next = lab.plain(follower).acquire(acquire("next", 3, Duration::ZERO)).await;
        assert_eq!(token(next.expect("granted").into_inner()), granted + 1, "granted once");
    });
    world.run();
}

#[test]
fn every_node_answers_for_the_leader() {
    let mut world = World::new(13);
    world.story("client", async move |lab| {
        let leader = lab.leader().await;
        let mut last = 0;
        for (id, node) in (1..).zip(NODES) {
            if node != leader {
                lab.cut("client", leader);
            }
            let answer = lab.plain(node).acquire(acquire(node, id, Duration::ZERO)).await;
            let token = token(answer.expect("granted").into_inner());
            assert!(token > last);
            last = token;
            lab.mend("client", leader);
        }
    });
    world.run();
}
