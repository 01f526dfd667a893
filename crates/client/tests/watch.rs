//! A watch that breaks goes on where it was, with nothing missed and nothing twice.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_client::{Client, ClientConfig, WatchError, WatchEventKind};
use leasehold_types::{Revision, WatchRefusal};
use support::fake_lease::FakeCluster;
use support::{client, ms, within};
use tonic::Status;

fn event(revision: u64) -> pb::Event {
    pb::Event {
        revision,
        kind: pb::EventKind::Released.into(),
        resource: "r".into(),
        holder: "h".into(),
        request_id: vec![1; 16].into(),
        token: 5,
        ttl: None,
    }
}

fn message(revisions: &[u64], revision: u64) -> Result<pb::WatchResponse, Status> {
    let events = revisions.iter().map(|revision| event(*revision)).collect();
    Ok(pb::WatchResponse { events, revision })
}

fn asked_after(cluster: &FakeCluster) -> Vec<Option<u64>> {
    cluster.watched().iter().map(|request| request.after_revision).collect()
}

#[tokio::test]
async fn a_watch_from_now_on_says_where_it_starts_and_goes_on_from_there_after_a_break() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.next_watch(vec![message(&[], 10)]);
    cluster.next_watch(vec![message(&[], 10), message(&[12], 12)]);
    let mut watch = client(cluster.endpoints(), &clock).watch("r", None).await.unwrap();
    assert_eq!(watch.started_after(), Revision(10));
    assert_eq!(within(watch.next()).await.unwrap().unwrap().revision, Revision(12));
    assert_eq!(asked_after(&cluster), [None, Some(10)]);
}

#[tokio::test]
async fn story_7_a_watch_cut_between_two_events_of_one_batch_misses_neither_and_repeats_none() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.next_watch(vec![message(&[], 10), message(&[11, 12], 12), message(&[13], 20)]);
    // The node that takes over repeats what it was not asked for, too.
    cluster.next_watch(vec![message(&[], 20), message(&[13, 21], 21), message(&[21, 22], 22)]);
    cluster.next_watch(vec![message(&[], 22), message(&[23], 23)]);
    let mut watch =
        client(cluster.endpoints(), &clock).watch("", Some(Revision(10))).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 6 {
        seen.push(within(watch.next()).await.unwrap().unwrap().revision.0);
    }
    assert_eq!(seen, [11, 12, 13, 21, 22, 23]);
    assert_eq!(asked_after(&cluster), [Some(10), Some(20), Some(22)]);
}

#[tokio::test]
async fn a_dropped_next_loses_no_event() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.next_watch(vec![message(&[], 10), message(&[11, 12], 12)]);
    cluster.next_watch(vec![message(&[], 12), message(&[13], 13)]);
    let mut watch = client(cluster.endpoints(), &clock).watch("", None).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        tokio::select! {
            biased;
            event = watch.next() => seen.push(event.unwrap().unwrap().revision.0),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(seen, [11, 12, 13]);
}

#[tokio::test]
async fn events_that_are_no_longer_kept_end_the_watch_with_a_clear_error() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let refusal = WatchRefusal::NotRetained { asked: 10, oldest: 15 };
    cluster.next_watch(vec![message(&[], 10)]);
    cluster.next_watch(vec![Err(Problem::from(refusal).into())]);
    let mut watch = client(cluster.endpoints(), &clock).watch("", None).await.unwrap();
    assert_eq!(within(watch.next()).await.unwrap(), Err(WatchError::Refused(refusal)));
    assert!(within(watch.next()).await.is_none());
}

#[tokio::test]
async fn a_watch_that_cannot_start_says_why() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let refusal = WatchRefusal::InFuture { asked: 99, current: 10 };
    cluster.next_watch(vec![Err(Problem::from(refusal).into())]);
    let outcome = client(cluster.endpoints(), &clock).watch("", Some(Revision(99))).await;
    assert_eq!(outcome.unwrap_err(), WatchError::Refused(refusal));
    let config = ClientConfig {
        endpoints: cluster.endpoints(),
        request_timeout: ms(100),
        ..ClientConfig::default()
    };
    let outcome = Client::new(config).unwrap().watch("", None).await;
    assert!(matches!(outcome, Err(WatchError::Fault(_))));
}

#[tokio::test]
async fn an_event_says_what_happened_to_whom() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.next_watch(vec![message(&[], 10), message(&[11], 11)]);
    let mut watch = client(cluster.endpoints(), &clock).watch("", None).await.unwrap();
    let event = within(watch.next()).await.unwrap().unwrap();
    assert_eq!((event.resource.as_str(), event.holder.as_str()), ("r", "h"));
    let WatchEventKind::Released { token: Some(token) } = event.kind else { panic!("{event:?}") };
    assert_eq!(token.get(), 5);
}
