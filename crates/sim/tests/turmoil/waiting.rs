//! A unary call that waits, over connections that break.

use std::time::Duration;

use leasehold_api::pb::lease::v1 as pb;

use crate::hosts::NODES;
use crate::lab::{Lab, World};
use crate::plain::{TTL, acquire, token};

const WAIT: Duration = Duration::from_secs(100);

async fn state(lab: &Lab, resource: &str) -> pb::ResourceState {
    let request = pb::GetRequest { resource: resource.to_owned() };
    let view = lab.plain(NODES[2]).get(request).await;
    view.expect("a majority answers").into_inner().state.unwrap_or_default()
}

#[test]
fn a_waiting_call_that_broke_is_kept_by_its_retry_and_granted_once() {
    let mut world = World::new(21);
    world.story("holder", async move |lab| {
        let lease = lab.client("holder", &NODES).acquire("r").await.expect("granted");
        lab.say("held");
        lab.hear("broken for long").await;
        lease.release().await.expect("a majority answers");
    });
    world.story("waiter", async move |lab| {
        lab.hear("held").await;
        let (mut first, mut second) = (lab.plain(NODES[0]), lab.plain(NODES[1]));
        let broken = tokio::spawn(async move { first.acquire(acquire("r", 1, WAIT)).await });
        lab.until("queued", async || state(&lab, "r").await.queue_length == 1).await;
        lab.cut("waiter", NODES[0]);
        let retry = tokio::spawn(async move { second.acquire(acquire("r", 1, WAIT)).await });
        // The first node notices, in two seconds at most, that nobody is there any more.
        let until = lab.now() + 3 * TTL;
        while lab.now() < until {
            assert_eq!(state(&lab, "r").await.queue_length, 1, "kept, and one claim only");
            tokio::time::sleep(TTL / 10).await;
        }
        assert!(lab.hits() > 0, "something met the cut");
        lab.say("broken for long");
        let granted = retry.await.expect("no panic").expect("granted");
        let granted = token(granted.into_inner());
        lab.mend("waiter", NODES[0]);
        for _ in 0..6 {
            let renew = pb::RenewRequest { tokens: vec![granted], request_ids: Vec::new() };
            let renewed = lab.plain(NODES[1]).renew(renew).await.expect("a majority answers");
            let result = renewed.into_inner().results.remove(0).result;
            assert!(matches!(result, Some(pb::renew_result::Result::Claim(_))), "{result:?}");
            tokio::time::sleep(TTL / 3).await;
        }
        broken.abort();
        let next = lab.plain(NODES[0]).acquire(acquire("next", 2, Duration::ZERO)).await;
        assert_eq!(token(next.expect("granted").into_inner()), granted + 1, "granted once");
    });
    world.run();
}

#[test]
fn a_waiting_call_that_nobody_repeats_is_kept_no_longer_and_never_granted() {
    let mut world = World::new(22);
    world.story("holder", async move |lab| {
        let lease = lab.client("holder", &NODES).acquire("r").await.expect("granted");
        lab.say("held");
        lab.hear("gone").await;
        let token = lease.token().get();
        lease.release().await.expect("a majority answers");
        let next = lab.plain(NODES[0]).acquire(acquire("next", 2, Duration::ZERO)).await;
        assert_eq!(crate::plain::token(next.expect("granted").into_inner()), token + 1);
    });
    world.story("waiter", async move |lab| {
        lab.hear("held").await;
        let mut node = lab.plain(NODES[0]);
        let broken = tokio::spawn(async move { node.acquire(acquire("r", 1, WAIT)).await });
        lab.until("queued", async || state(&lab, "r").await.queue_length == 1).await;
        lab.cut("waiter", NODES[0]);
        lab.until("dropped out", async || state(&lab, "r").await.queue_length == 0).await;
        lab.say("gone");
        broken.abort();
    });
    world.run();
}
