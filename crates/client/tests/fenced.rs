//! Writing under a lease, against a fake store: every write in order, each applied once, none after
//! the lease was lost by the holder's own reckoning, none of a stale holder ever.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use leasehold_client::{LeaseGuard, LostReason, Mutation, StoreClient, StoreConfig, StoreError};
use leasehold_types::{FencingToken, StoreRefusal};
use support::fake_lease::{CLUSTER_ID, FakeCluster};
use support::fake_store::{FakeStore, Fate};
use support::{ManualClock, client, ms, until, within};

const TTL: Duration = Duration::from_secs(9);

struct Scene {
    store: FakeStore,
    address: String,
    client: StoreClient,
    guard: LeaseGuard,
    clock: Arc<ManualClock>,
    _cluster: FakeCluster,
}

async fn scene() -> Scene {
    let (cluster, clock) = FakeCluster::start(1).await;
    let guard = client(cluster.endpoints(), &clock).acquire("r").ttl(TTL).await.unwrap();
    let (store, address) = FakeStore::start().await;
    let client = StoreClient::new(&address).unwrap();
    Scene { store, address, client, guard, clock, _cluster: cluster }
}

#[tokio::test]
async fn writes_carry_token_cluster_and_a_sequence_that_counts_from_one() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    let written = within(fenced.put("k", "a")).await.unwrap();
    assert_eq!((written.mark.token, written.mark.sequence), (1, 1));
    within(fenced.append("k", "b")).await.unwrap();
    within(fenced.write(vec![])).await.unwrap();
    let log = store.log();
    assert_eq!(store.sequences(), [1, 2, 3]);
    assert!(log.iter().all(|write| write.token == 1 && write.cluster_id == CLUSTER_ID));
    assert!(log.iter().all(|write| write.resource == "r"));
    assert_eq!(store.value(), "ab");
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_repeated_under_the_same_number_and_applied_once() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    store.meets([Fate::AppliedAnswerLost, Fate::AppliedAnswerLost]);
    within(fenced.append("k", "a")).await.unwrap();
    store.meets([Fate::LostUnknown, Fate::NotApplied]);
    within(fenced.append("k", "b")).await.unwrap();
    assert_eq!(store.sequences(), [1, 1, 1, 2, 2, 2]);
    assert_eq!(store.value(), "ab");
}

#[tokio::test]
async fn a_write_that_is_never_answered_is_repeated_too() {
    let Scene { store, client, guard, .. } = scene().await;
    store.meets([Fate::AppliedThenSilence]);
    client.fenced(&guard).append("k", "a").await.unwrap();
    assert_eq!((store.sequences(), store.value()), (vec![1, 1], "a".into()));
}

#[tokio::test]
async fn writes_of_all_handles_of_one_lease_share_one_order() {
    let Scene { store, client, address, guard, .. } = scene().await;
    let again = StoreClient::new(&address).unwrap();
    let handles = [client.fenced(&guard), client.fenced(&guard), again.fenced(&guard)];
    store.meets([Fate::AppliedAnswerLost]);
    let mut writers = Vec::new();
    for at in 0..30 {
        let handle = handles[at % 3].clone();
        writers.push(tokio::spawn(async move { handle.append("k", "x").await }));
    }
    for writer in writers {
        within(writer).await.unwrap().unwrap();
    }
    let expected: Vec<u64> = std::iter::once(1).chain(1..=30).collect();
    assert_eq!(store.sequences(), expected);
    assert_eq!(store.value(), "x".repeat(30));
}

#[tokio::test]
async fn story_8_a_dropped_write_is_settled_before_the_next_one_gets_a_number() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    store.meets([Fate::AppliedThenSilence]);
    let dropped = tokio::spawn({
        let fenced = fenced.clone();
        async move { within(fenced.append("k", "a")).await }
    });
    until("the first write", || (store.log().len() == 1).then_some(())).await;
    dropped.abort();
    within(fenced.append("k", "b")).await.unwrap();
    assert_eq!((store.sequences(), store.value()), (vec![1, 1, 2], "ab".into()));
    // The first attempt's late duplicate.
    let token = FencingToken::new(1).unwrap();
    let late = client.write_with("r", token, 1, vec![Mutation::append("k", "a")]).await;
    let stale = matches!(late, Err(StoreError::Refused(StoreRefusal::StaleSequence { .. })));
    assert!(stale, "{late:?}");
    assert_eq!(store.value(), "ab");
}

#[tokio::test]
async fn a_stale_token_is_an_error_of_its_own_with_the_mark() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    store.raise_mark(7);
    let stale = StoreError::StaleToken { token: 1, mark_token: 7, mark_sequence: 0 };
    assert_eq!(within(fenced.put("k", "a")).await, Err(stale.clone()));
    assert_eq!(within(fenced.get("k")).await, Err(stale.clone()));
    assert_eq!(within(fenced.list("")).await, Err(stale));
    assert_eq!(store.value(), "");
}

#[tokio::test]
async fn a_write_that_is_found_stale_after_an_attempt_without_an_answer_stays_unknown() {
    let Scene { store, client, guard, .. } = scene().await;
    store.meets([Fate::AppliedAnswerLostThenOvertaken]);
    match within(client.fenced(&guard).append("k", "a")).await {
        Err(StoreError::Fault(fault)) => assert!(!fault.surely_not_applied()),
        other => panic!("it was applied, and the client is told {other:?}"),
    }
    assert_eq!((store.sequences(), store.value()), (vec![1, 1], "a".into()));
}

#[tokio::test]
async fn a_write_that_is_found_stale_after_attempts_that_were_surely_not_applied_is_refused() {
    let Scene { store, client, guard, .. } = scene().await;
    store.meets([Fate::NotApplied, Fate::NotApplied]);
    store.raise_mark(7);
    let stale = StoreError::StaleToken { token: 1, mark_token: 7, mark_sequence: 0 };
    assert_eq!(within(client.fenced(&guard).put("k", "a")).await, Err(stale));
    assert_eq!((store.sequences(), store.value()), (vec![1, 1, 1], String::new()));
}

#[tokio::test]
async fn after_the_lease_is_lost_nothing_is_sent() {
    let Scene { store, client, guard, clock, .. } = scene().await;
    let fenced = client.fenced(&guard);
    clock.suspend(TTL);
    let lost = StoreError::Lost(LostReason::BoundPassed);
    assert_eq!(within(fenced.put("k", "a")).await, Err(lost.clone()));
    assert_eq!(within(fenced.get("k")).await, Err(lost.clone()));
    assert_eq!(within(fenced.list("")).await, Err(lost));
    assert!(store.log().is_empty());
}

#[tokio::test]
async fn a_dropped_guard_ends_writing_at_once() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    drop(guard);
    assert_eq!(within(fenced.put("k", "a")).await, Err(StoreError::Lost(LostReason::Released)));
    assert!(store.log().is_empty());
}

#[tokio::test]
async fn a_write_that_was_surely_not_applied_when_the_lease_was_lost_says_lost() {
    let Scene { store, client, guard, clock, .. } = scene().await;
    let fenced = client.fenced(&guard);
    store.meets([Fate::NotApplied; 1_000]);
    let writer = tokio::spawn(async move { within(fenced.put("k", "a")).await });
    until("an attempt", || (!store.log().is_empty()).then_some(())).await;
    clock.suspend(TTL);
    assert_eq!(within(writer).await.unwrap(), Err(StoreError::Lost(LostReason::BoundPassed)));
}

#[tokio::test]
async fn a_write_of_unknown_outcome_when_the_lease_was_lost_stays_unknown() {
    let Scene { store, client, guard, clock, .. } = scene().await;
    let fenced = client.fenced(&guard);
    store.meets([Fate::LostUnknown; 1_000]);
    let writer = tokio::spawn(async move { within(fenced.put("k", "a")).await });
    until("an attempt", || (!store.log().is_empty()).then_some(())).await;
    clock.suspend(TTL);
    match within(writer).await.unwrap() {
        Err(StoreError::Fault(fault)) => assert!(!fault.surely_not_applied()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bad_field_costs_no_number() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    match within(fenced.put("", "a")).await {
        Err(StoreError::BadField(bad)) => assert_eq!(bad.field, "mutations[0].key"),
        other => panic!("{other:?}"),
    }
    within(fenced.put("k", "a")).await.unwrap();
    assert_eq!(store.sequences(), [1]);
}

#[tokio::test]
async fn a_read_under_a_lease_raises_the_mark_first() {
    let Scene { store, client, guard, .. } = scene().await;
    let fenced = client.fenced(&guard);
    within(fenced.get("k")).await.unwrap();
    assert_eq!(within(fenced.list("")).await.unwrap().len(), 3, "all pages");
    assert_eq!(client.get("r", "k", None).await.unwrap().mark.token, 1);
    assert_eq!(store.value(), "");
}

#[tokio::test]
async fn a_writer_without_a_sequence_repeats_only_what_was_surely_not_applied() {
    let (store, address) = FakeStore::start().await;
    let client = StoreClient::new(&address).unwrap();
    let token = FencingToken::new(5).unwrap();
    let append = || vec![Mutation::append("k", "a")];
    store.meets([Fate::NotApplied, Fate::NotApplied]);
    client.write_with("r", token, 0, append()).await.unwrap();
    assert_eq!(store.log().len(), 3);
    store.meets([Fate::AppliedAnswerLost]);
    let unknown = client.write_with("r", token, 0, append()).await;
    assert!(matches!(unknown, Err(StoreError::Fault(_))), "{unknown:?}");
    assert_eq!((store.log().len(), store.value()), (4, "aa".into()));
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_a_fault_within_the_time_allowed() {
    let config = StoreConfig {
        endpoint: "127.0.0.1:1".into(),
        request_timeout: ms(200),
        ..StoreConfig::default()
    };
    let client = StoreClient::with(config).unwrap();
    assert!(matches!(client.status().await, Err(StoreError::Fault(_))));
}

#[test]
fn every_bad_field_of_a_store_configuration_is_named() {
    let field = |config| StoreClient::with(config).unwrap_err().field.into_owned();
    let good = || StoreConfig { endpoint: "a:1".into(), ..StoreConfig::default() };
    assert_eq!(field(StoreConfig { endpoint: "a".into(), ..good() }), "endpoint");
    assert_eq!(field(StoreConfig { cluster_id: "x".repeat(257), ..good() }), "cluster_id");
    let zero = Duration::ZERO;
    assert_eq!(field(StoreConfig { request_timeout: zero, ..good() }), "request_timeout");
    assert_eq!(field(StoreConfig { connect_timeout: zero, ..good() }), "connect_timeout");
}
