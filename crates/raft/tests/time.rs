//! Lease time: what ends ends by itself, and stamps never run back.

mod support;

use std::sync::Arc;
use std::time::Duration;

use leasehold_core::{EventKind, Settings};
use leasehold_raft::Change;
use leasehold_types::EndReason;
use support::{BOUND, Cluster, HandClock, Options, ask, grant, release};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

async fn next_end(feed: &mut Receiver<Arc<Change>>) -> (EndReason, u64) {
    let next = timeout(BOUND, async {
        loop {
            let change = feed.recv().await.expect("the listener keeps up");
            let Change::Batch(batch) = &*change else { continue };
            for event in &batch.events {
                if let EventKind::Ended { why, .. } = event.kind {
                    return (why, event.at.0);
                }
            }
        }
    });
    next.await.expect("it ends")
}

#[tokio::test]
async fn a_lease_ends_by_itself_on_an_idle_cluster_and_not_early() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let mut feed = cluster.node(leader).applied();
    let granted = ask(cluster.node(leader), support::acquire("short", 1_000)).await;
    let (why, at) = next_end(&mut feed).await;
    assert_eq!(why, EndReason::Expired);
    assert!(at >= granted.at.0 + 1_000, "granted at {}, ended at {at}", granted.at);
    cluster.shutdown().await;
}

#[tokio::test]
async fn time_is_committed_while_somebody_waits_for_it_and_stands_still_otherwise() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let mut feed = cluster.node(leader).applied();
    let begun = ask(cluster.node(leader), support::acquire("long", 60_000)).await;
    let mut stamps = Vec::new();
    while stamps.len() < 4 {
        let change =
            timeout(BOUND, feed.recv()).await.expect("pulses come").expect("the listener keeps up");
        if let Change::Batch(batch) = &*change {
            stamps.push(batch.at.0);
        }
    }
    assert!(stamps.is_sorted() && stamps[3] >= begun.at.0 + 700, "{stamps:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn stamps_and_revisions_never_run_back_over_changes_of_leader() {
    let cluster = Cluster::start(Options::default()).await;
    let observer = 1;
    let mut feed = cluster.node(observer).applied();
    let mut answered = Vec::new();
    for round in 0..5 {
        for n in 0..10 {
            let through = 1 + (round + n) % 3;
            let resource = format!("r/{round}/{n}");
            let outcome = ask(cluster.node(through), support::acquire(&resource, 60_000)).await;
            let token = support::token(&outcome).expect("it was free");
            answered.push(outcome);
            answered.push(ask(cluster.node(through), release(&resource, token)).await);
        }
        let leader = cluster.leader().await;
        cluster.node(leader).hand_over_leadership().await;
    }
    assert!(answered.is_sorted_by(|a, b| a.at <= b.at && a.revision < b.revision));
    cluster.settle().await;
    let mut last = (0, 0, 0);
    while let Ok(change) = feed.try_recv() {
        let Change::Batch(batch) = &*change else { panic!("no snapshot was due: {change:?}") };
        let next = (batch.log_index, batch.revision.0, batch.at.0);
        assert!(next.0 > last.0 && next.1 >= last.1 && next.2 >= last.2, "{last:?} then {next:?}");
        last = next;
    }
    assert!(last.1 >= answered.last().expect("there were some").revision.0);
    cluster.shutdown().await;
}

#[tokio::test]
async fn time_without_a_leader_does_not_count_against_a_lease() {
    let mut cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let token = grant(cluster.node(leader), "kept", 1_500).await;
    for id in 1..=3 {
        cluster.kill(id).await;
    }
    // Longer than the ttl: the time itself is what is tested.
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    for id in 1..=3 {
        cluster.start_node(id).await;
    }
    let leader = cluster.leader().await;
    let outcome = ask(cluster.node(leader), support::renew(token)).await;
    let leasehold_core::Answer::Renewed(items) = &outcome.answer else { panic!("{outcome:?}") };
    assert!(items[0].is_ok(), "{outcome:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn lease_time_follows_the_leaders_clock_and_a_leap_of_it_ends_no_lease() {
    let clock = HandClock::default();
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    let cluster = Cluster::start(options).await;
    let leader = cluster.leader().await;
    let mut feed = cluster.node(leader).applied();
    let short = ask(cluster.node(leader), support::acquire("short", 1_000)).await;
    let long = grant(cluster.node(leader), "long", 30_000).await;
    // The clock stands still: however long this takes, nothing ends.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let later = ask(cluster.node(leader), support::acquire("later", 30_000)).await;
    assert_eq!(later.at, short.at);
    // As if the leader had been stopped for a minute.
    clock.advance(60_000);
    let (why, at) = next_end(&mut feed).await;
    assert_eq!((why, at), (EndReason::Expired, short.at.0 + 1_000));
    let renewed = ask(cluster.node(leader), support::renew(long)).await;
    let leasehold_core::Answer::Renewed(items) = &renewed.answer else { panic!("{renewed:?}") };
    assert!(items[0].is_ok(), "{renewed:?}");
    assert_eq!(renewed.at.0, short.at.0 + 1_000);
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_one_entry_leaves_ends_without_time_moving_on() {
    let clock = HandClock::default();
    let settings = Settings { ends_per_entry: 3, ..Settings::default() };
    let options = Options { clock: Arc::new(clock.clone()), settings, ..Options::default() };
    let cluster = Cluster::start(options).await;
    let leader = cluster.leader().await;
    let mut feed = cluster.node(leader).applied();
    for n in 0..20 {
        grant(cluster.node(leader), &format!("r{n}"), 1_000).await;
        clock.advance(1);
    }
    // All become due at one moment, and from then on the clock stands still.
    clock.advance(990);
    let beside = grant(cluster.node(leader), "beside", 1_000).await;
    clock.advance(990);
    let mut ends = Vec::new();
    while ends.iter().sum::<usize>() < 20 {
        let change = timeout(BOUND, feed.recv()).await.expect("the rest ends as well");
        let Change::Batch(batch) = &*change.expect("the listener keeps up") else { continue };
        let ended = |kind: &EventKind| matches!(kind, EventKind::Ended { .. });
        let count = batch.events.iter().filter(|event| ended(&event.kind)).count();
        ends.extend((count > 0).then_some(count));
    }
    assert!(ends.len() >= 7 && ends.iter().all(|ends| *ends <= 3), "{ends:?}");
    let renewed = ask(cluster.node(leader), support::renew(beside)).await;
    let leasehold_core::Answer::Renewed(items) = &renewed.answer else { panic!("{renewed:?}") };
    assert!(items[0].is_ok(), "{renewed:?}");
    cluster.shutdown().await;
}
