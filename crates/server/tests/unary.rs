//! The unary calls, against one real node.

mod common;

use std::time::{Duration, Instant};

use common::*;
use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_types::{Refusal, WatchRefusal};

#[tokio::test]
async fn a_free_resource_is_granted_renewed_read_and_released() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let request = acquire_long("jobs/nightly");
    let lease = granted(&mut client, request.clone()).await;
    assert_eq!((lease.resource.as_str(), lease.holder.as_str()), ("jobs/nightly", "test/1/holder"));
    assert_eq!(lease.request_id, request.request_id);
    assert!(std(lease.valid_for) <= std(lease.ttl) && std(lease.ttl) == Duration::from_secs(60));

    let items = pb::RenewRequest {
        tokens: vec![lease.token, lease.token + 100],
        request_ids: vec![lease.request_id.clone(), vec![7; 16].into()],
    };
    let renewed = within(client.renew(items)).await.expect("answered").into_inner();
    let held = |at: usize| match &renewed.results[at].result {
        Some(pb::renew_result::Result::Claim(claim)) => match &claim.standing {
            Some(pb::claim::Standing::Lease(held)) => Some(held.token),
            _ => None,
        },
        _ => None,
    };
    assert_eq!(
        (held(0), held(1), held(2), held(3)),
        (Some(lease.token), None, Some(lease.token), None)
    );

    let state = get(&mut client, "jobs/nightly").await;
    assert_eq!(state.lease.expect("taken").token, lease.token);
    assert_eq!(state.queue_length, 0);
    assert!(release(&mut client, &lease).await.was_held);
    assert!(!release(&mut client, &lease).await.was_held);
    assert_eq!(get(&mut client, "jobs/nightly").await.lease, None);
    assert!(granted(&mut client, acquire("jobs/nightly")).await.token > lease.token);
}

#[tokio::test]
async fn a_repeated_acquire_answers_the_same_lease() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let request = acquire_long("r");
    let first = granted(&mut client, request.clone()).await;
    let again = granted(&mut client, request.clone()).await;
    assert_eq!(again.token, first.token);
    let other = pb::AcquireRequest { resource: "s".into(), ..request };
    let reused = client.acquire(other).await.expect_err("another resource");
    assert_eq!(reason(&reused), "REQUEST_REUSED");
}

#[tokio::test]
async fn a_taken_resource_is_refused_with_who_holds_it() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let lease = granted(&mut client, acquire_long("r")).await;
    let refused = client.acquire(acquire("r")).await.expect_err("taken");
    assert_eq!(refused.code(), tonic::Code::Aborted);
    let Problem::Refusal(Refusal::Held { resource, by }) = problem(&refused) else {
        panic!("{refused:?}")
    };
    assert_eq!((resource.as_str(), by.holder.as_str()), ("r", "test/1/holder"));
    assert_eq!(by.token.get(), lease.token);
}

#[tokio::test]
async fn the_ttl_in_effect_is_the_clusters_where_the_wish_is_outside() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let short = pb::AcquireRequest { ttl: Some(wire(Duration::from_millis(1))), ..acquire("r") };
    assert_eq!(std(granted(&mut client, short).await.ttl), TTL);
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_by_itself() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let lease = granted(&mut client, acquire("r")).await;
    eventually("the resource is free", async || {
        get(&mut client.clone(), "r").await.lease.is_none().then_some(())
    })
    .await;
    assert!(!release(&mut client, &lease).await.was_held);
}

#[tokio::test]
async fn a_token_is_refused_for_another_resource_and_when_it_was_never_issued() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let lease = granted(&mut client, acquire_long("r")).await;
    let wrong = pb::ReleaseRequest { resource: "s".into(), token: lease.token };
    assert_eq!(reason(&client.release(wrong).await.expect_err("wrong")), "WRONG_RESOURCE");
    let unknown = pb::ReleaseRequest { resource: "r".into(), token: u64::MAX };
    assert_eq!(reason(&client.release(unknown).await.expect_err("unknown")), "TOKEN_NOT_FOUND");
    assert_eq!(get(&mut client, "r").await.lease.expect("still held").token, lease.token);
}

#[tokio::test]
async fn a_cancel_ends_a_lease_and_what_it_never_saw_is_refused_later() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let lease = granted(&mut client, acquire_long("r")).await;
    let cancel = pb::CancelRequest { request_id: lease.request_id.clone() };
    let cancelled = client.cancel(cancel).await.expect("cancelled").into_inner();
    assert!(cancelled.was_live && cancelled.released_token == lease.token);

    let late = acquire("r");
    let cancel = pb::CancelRequest { request_id: late.request_id.clone() };
    let cancelled = client.cancel(cancel).await.expect("remembered").into_inner();
    assert!(!cancelled.was_live && cancelled.released_token == 0);
    assert_eq!(reason(&client.acquire(late).await.expect_err("cancelled")), "ENDED");
}

#[tokio::test]
async fn a_list_is_in_byte_order_and_in_pages() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    for name in ["b/2", "a/1", "b/1", "b/10", "c"] {
        granted(&mut client, acquire_long(name)).await;
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            pb::ListRequest { prefix: "b/".into(), page_size: 2, page_token: page_token.clone() };
        let page = client.list(request).await.expect("a page").into_inner();
        assert!(page.resources.len() <= 2 && page.revision > 0);
        names.extend(page.resources.into_iter().map(|state| state.resource));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["b/1", "b/10", "b/2"]);
}

#[tokio::test]
async fn a_call_that_waits_is_kept_alive_beyond_its_ttl_and_granted_with_a_sound_bound() {
    let cluster = Cluster::start(1).await;
    let mut holder = cluster.lease(0);
    let held = granted(&mut holder, acquire_long("r")).await;

    let mut client = cluster.lease(0);
    let sent = Instant::now();
    let waiting = tokio::spawn(async move { client.acquire(acquire_waiting("r")).await });
    queue_is(&holder, "r", 1).await;
    // More than two ttls: without renewals on its behalf the claim would be gone.
    let queued = Instant::now();
    while queued.elapsed() < TTL * 5 / 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(get(&mut holder, "r").await.queue_length, 1);
    }
    release(&mut holder, &held).await;
    let lease = within(waiting).await.expect("no panic").expect("granted").into_inner().lease;
    let answered = sent.elapsed();
    let lease = lease.expect("a lease");
    assert!(lease.token > held.token);
    let valid_for = std(lease.valid_for);
    // Counted from before the call was sent: longer than one ttl, and yet no more than one ttl from now.
    assert!(valid_for > std(lease.ttl), "{valid_for:?} says the renewals did not count");
    assert!(valid_for <= answered + std(lease.ttl), "{valid_for:?} after {answered:?} is too long");
}

#[tokio::test]
async fn a_call_that_waited_as_long_as_it_asked_is_told_so() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    granted(&mut client, acquire_long("r")).await;
    let wait = Some(wire(Duration::from_millis(300)));
    let over = within(client.acquire(pb::AcquireRequest { wait, ..acquire("r") })).await;
    let over = over.expect_err("the wait is over");
    assert_eq!((over.code(), reason(&over)), (tonic::Code::Aborted, "WAIT_OVER"));
    assert_eq!(get(&mut client, "r").await.queue_length, 0);
}

#[tokio::test]
async fn a_call_whose_claim_is_cancelled_is_told_so() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    granted(&mut client, acquire_long("r")).await;
    let request = acquire_waiting("r");
    let cancel = pb::CancelRequest { request_id: request.request_id.clone() };
    let mut other = cluster.lease(0);
    let waiting = tokio::spawn(async move { other.acquire(request).await });
    queue_is(&client, "r", 1).await;
    let cancelled = client.cancel(cancel).await.expect("cancelled").into_inner();
    assert!(cancelled.was_live && cancelled.released_token == 0);
    let ended = within(waiting).await.expect("no panic").expect_err("cancelled");
    assert_eq!(reason(&ended), "ENDED");
}

#[tokio::test]
async fn a_waiting_claim_whose_call_broke_drops_out_by_itself() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    granted(&mut client, acquire_long("r")).await;
    let mut other = cluster.lease(0);
    let waiting = tokio::spawn(async move { other.acquire(acquire_waiting("r")).await });
    queue_is(&client, "r", 1).await;
    waiting.abort();
    queue_is(&client, "r", 0).await;
}

#[tokio::test]
async fn a_call_that_does_not_wait_joins_the_waiting_claim_of_its_request_id() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let held = granted(&mut client, acquire_long("r")).await;
    let request = acquire_waiting("r");
    let repeat = pb::AcquireRequest { wait: None, ..request.clone() };
    let (mut one, mut two) = (cluster.lease(0), cluster.lease(0));
    let first = tokio::spawn(async move { granted(&mut one, request).await });
    queue_is(&client, "r", 1).await;
    let second = tokio::spawn(async move { granted(&mut two, repeat).await });
    release(&mut client, &held).await;
    let (first, second) = (within(first).await.expect("ok"), within(second).await.expect("ok"));
    assert_eq!(first.token, second.token);
}

#[tokio::test]
async fn calls_that_wait_are_bounded_and_the_one_too_many_is_surely_not_applied() {
    let cluster = Cluster::start_with(1, "waiting_calls_max = 1").await;
    let mut client = cluster.lease(0);
    granted(&mut client, acquire_long("r")).await;
    let mut other = cluster.lease(0);
    let waiting = tokio::spawn(async move { other.acquire(acquire_waiting("r")).await });
    queue_is(&client, "r", 1).await;
    let full = client.acquire(acquire_waiting("r")).await.expect_err("full");
    assert_eq!((full.code(), reason(&full)), (tonic::Code::ResourceExhausted, "QUEUE_FULL"));
    assert!(problem(&full).surely_not_applied());
    assert_eq!(get(&mut client, "r").await.queue_length, 1);
    waiting.abort();
}

#[tokio::test]
async fn every_bad_field_is_named_and_changes_nothing() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let before = granted(&mut client, acquire_long("before")).await;
    let long = "x".repeat(257);
    let duration = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });

    let good = acquire("r");
    let acquires = [
        ("resource", pb::AcquireRequest { resource: String::new(), ..good.clone() }),
        ("resource", pb::AcquireRequest { resource: long.clone(), ..good.clone() }),
        ("resource", pb::AcquireRequest { resource: "a\u{7}".into(), ..good.clone() }),
        ("holder", pb::AcquireRequest { holder: long.clone(), ..good.clone() }),
        ("holder", pb::AcquireRequest { holder: "a\nb".into(), ..good.clone() }),
        ("request_id", pb::AcquireRequest { request_id: vec![1; 15].into(), ..good.clone() }),
        ("request_id", pb::AcquireRequest { request_id: vec![].into(), ..good.clone() }),
        ("ttl", pb::AcquireRequest { ttl: None, ..good.clone() }),
        ("ttl", pb::AcquireRequest { ttl: duration(0, 0), ..good.clone() }),
        ("ttl", pb::AcquireRequest { ttl: duration(-1, 0), ..good.clone() }),
        ("ttl", pb::AcquireRequest { ttl: duration(i64::MAX, 0), ..good.clone() }),
        ("wait", pb::AcquireRequest { wait: duration(0, -1), ..good.clone() }),
        ("wait", pb::AcquireRequest { wait: duration(86_401, 0), ..good }),
    ];
    for (field, request) in acquires {
        refused_field(field, client.acquire(request).await.map(drop));
    }
    let renews = [
        ("tokens", vec![], vec![]),
        ("tokens[1]", vec![1, 0], vec![]),
        ("tokens", vec![1; 10_001], vec![]),
        ("request_ids[0]", vec![], vec![vec![1; 17].into()]),
    ];
    for (field, tokens, request_ids) in renews {
        refused_field(
            field,
            client.renew(pb::RenewRequest { tokens, request_ids }).await.map(drop),
        );
    }
    let releases =
        [("resource", String::new(), 1), ("token", "r".into(), 0), ("resource", long.clone(), 1)];
    for (field, resource, token) in releases {
        refused_field(
            field,
            client.release(pb::ReleaseRequest { resource, token }).await.map(drop),
        );
    }
    let cancel = pb::CancelRequest { request_id: vec![1; 3].into() };
    refused_field("request_id", client.cancel(cancel).await.map(drop));
    refused_field(
        "resource",
        client.get(pb::GetRequest { resource: long.clone() }).await.map(drop),
    );
    let lists = [
        ("prefix", pb::ListRequest { prefix: long.clone(), ..Default::default() }),
        ("page_size", pb::ListRequest { page_size: 1_001, ..Default::default() }),
        ("page_token", pb::ListRequest { page_token: long.clone(), ..Default::default() }),
    ];
    for (field, request) in lists {
        refused_field(field, client.list(request).await.map(drop));
    }
    let watch = pb::WatchRequest { prefix: long, after_revision: None };
    refused_field("prefix", client.watch(watch).await.map(drop));

    assert_eq!(
        get(&mut client, "r").await,
        pb::ResourceState { resource: "r".into(), ..Default::default() }
    );
    // Tokens are issued by grants alone, so the next one tells that nothing was granted in between.
    assert_eq!(granted(&mut client, acquire("r")).await.token, before.token + 1);
}

#[track_caller]
fn refused_field(field: &str, answer: Result<(), tonic::Status>) {
    let status = answer.expect_err(field);
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{field}: {status:?}");
    let Problem::BadField(bad) = problem(&status) else { panic!("{field}: {status:?}") };
    assert_eq!(bad.field, field);
}

#[tokio::test]
async fn a_revision_from_the_future_cannot_be_watched() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let request = pb::WatchRequest { prefix: String::new(), after_revision: Some(u64::MAX) };
    let refused = client.watch(request).await.expect_err("the future");
    assert_eq!(refused.code(), tonic::Code::OutOfRange);
    let Problem::Watch(WatchRefusal::InFuture { asked, .. }) = problem(&refused) else {
        panic!("{refused:?}")
    };
    assert_eq!(asked, u64::MAX);
}
