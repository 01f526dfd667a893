//! The engine: its queue, its groups, its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_api::{CheckedStoreGet, CheckedStoreList, Problem};
use leasehold_types::Fault;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::engine::{Engine, Keeper, Read};
use crate::execution::Execution;
use crate::snapshot::{Entry, Page};

/// Far longer than anything here takes.
const BOUND: Duration = Duration::from_secs(30);

fn engine(queue_max: usize) -> (Backend, Engine, Keeper) {
    let (backend, storage) = new_store();
    let (engine, keeper) = Engine::start(storage, queue_max, Execution::Threads).expect("starts");
    (backend, engine, keeper)
}

fn checked<const N: usize>(
    resource: &str,
    token: u64,
    sequence: u64,
    mutations: [CheckedMutation; N],
) -> CheckedWrite {
    match write(resource, token, sequence, mutations) {
        Request::Write(write) => write,
        Request::Raise { .. } => unreachable!("it was made a write"),
    }
}

async fn get(
    engine: &Engine,
    resource: &str,
    key: &str,
    presented: Option<u64>,
) -> Result<Read<Option<Entry>>, Problem> {
    let resource = ResourceName::new(resource).expect("tests use good names");
    let (key, token) = (key.to_owned(), presented.map(token));
    engine.get(CheckedStoreGet { resource, key, token, cluster_id: None }).await
}

async fn commits(engine: &Engine) -> u64 {
    engine.counters().await.expect("reads").commits
}

/// Starts writes until one is refused for want of room, while the disk is held.
async fn fill(engine: &Engine) -> JoinSet<Result<Written, Problem>> {
    let mut waiting = JoinSet::new();
    for number in 1.. {
        let (engine, resource) = (engine.clone(), format!("r{number}"));
        waiting.spawn(async move { engine.write(checked(&resource, 1, 1, [])).await });
        // Those with room do not return while the disk is held, so whoever returns was refused.
        let returned = timeout(Duration::from_millis(20), waiting.join_next()).await;
        if let Ok(Some(refused)) = returned {
            let refused = refused.expect("does not panic").expect_err("there is no room");
            assert_eq!(refused, Problem::Fault(Fault::QueueFull { limit: 4 }));
            return waiting;
        }
        assert!(number < 1_000, "the queue has no end");
    }
    unreachable!("the numbers have no end")
}

#[tokio::test]
async fn a_full_queue_answers_at_once_and_everything_in_it_is_applied() {
    let (backend, engine, keeper) = engine(4);
    backend.hold();
    let mut waiting = fill(&engine).await;
    assert_eq!(waiting.len(), 4);
    let stream = timeout(BOUND, engine.enqueue(checked("r", 1, 1, []))).await;
    let stream = stream.expect("streams have room of their own").expect("has a place");
    backend.release();
    while let Some(written) = waiting.join_next().await {
        written.expect("does not panic").expect("had its place in the queue");
    }
    engine.outcome(stream).await.expect("had its place in the queue");
    assert_eq!(engine.counters().await.expect("reads").revision, 5);
    keeper.stop().await.expect("closes");
}

#[tokio::test]
async fn what_gathers_while_the_disk_syncs_shares_the_next_commit() {
    let (backend, engine, keeper) = engine(100);
    let before = commits(&engine).await;
    backend.hold();
    let mut pending = Vec::new();
    for sequence in 1..=50 {
        pending.push(engine.enqueue(checked("r", 1, sequence, [append("k", "x")])).await);
    }
    backend.release();
    for (at, pending) in (1..).zip(pending) {
        let written = engine.outcome(pending.expect("has room")).await.expect("accepted");
        assert_eq!(written.revision, at, "in the order they were queued");
    }
    let made = commits(&engine).await - before;
    assert!((1..=2).contains(&made), "fifty writes made {made} commits");
    keeper.stop().await.expect("closes");
}

#[tokio::test]
async fn a_stop_answers_what_is_queued_and_refuses_what_comes_after() {
    let (backend, engine, keeper) = engine(100);
    backend.hold();
    let mut pending = Vec::new();
    for sequence in 1..=3 {
        pending.push(engine.enqueue(checked("r", 1, sequence, [append("k", "x")])).await);
    }
    let stop = tokio::spawn(keeper.stop());
    backend.release();
    for pending in pending {
        engine.outcome(pending.expect("has room")).await.expect("accepted");
    }
    stop.await.expect("does not panic").expect("closes");
    let gone = Problem::Fault(Fault::ShuttingDown);
    assert_eq!(engine.write(checked("r", 1, 4, [])).await, Err(gone.clone()));
    assert_eq!(engine.enqueue(checked("r", 1, 4, [])).await.map(drop), Err(Fault::ShuttingDown));
    assert_eq!(get(&engine, "r", "k", None).await, Err(gone.clone()));
    assert_eq!(get(&engine, "r", "k", Some(1)).await, Err(gone));
    let store = open(&backend, &options()).expect("opens again");
    assert_eq!(value_of(&store, "r", "k").as_deref(), Some("xxx"));
}

#[tokio::test]
async fn after_the_disk_failed_everything_is_answered_with_that() {
    let (backend, engine, keeper) = engine(100);
    engine.write(checked("r", 1, 1, [put("k", "v")])).await.expect("accepted");
    assert_eq!(engine.fault(), None);
    backend.fail_at(backend.syncs() + 1);
    let is_storage = |problem: &Problem| matches!(problem, Problem::Fault(Fault::Storage { .. }));
    for sequence in 2..5 {
        let answer = engine.write(checked("r", 1, sequence, [])).await.expect_err("the disk died");
        assert!(is_storage(&answer), "{answer}");
    }
    let answer = get(&engine, "r", "k", None).await.expect_err("the disk died");
    assert!(is_storage(&answer), "{answer}");
    let why = timeout(BOUND, engine.failed()).await.expect("it has failed");
    assert!(why.contains("the power is cut"), "{why}");
    keeper.stop().await.expect_err("says how it ended");
}

#[tokio::test]
async fn a_caller_that_hangs_up_withdraws_nothing() {
    let (backend, engine, keeper) = engine(100);
    backend.hold();
    let mut write = Box::pin(engine.write(checked("r", 1, 1, [put("k", "v")])));
    assert!(timeout(Duration::from_millis(20), &mut write).await.is_err(), "the disk is held");
    drop(write);
    backend.release();
    keeper.stop().await.expect("closes");
    let store = open(&backend, &options()).expect("opens again");
    assert_eq!(value_of(&store, "r", "k").as_deref(), Some("v"));
}

#[tokio::test]
async fn a_read_with_a_token_raises_the_mark_once_and_then_costs_no_sync() {
    let (backend, engine, keeper) = engine(100);
    engine.write(checked("r", 5, 1, [put("k", "v")])).await.expect("accepted");
    let read = get(&engine, "r", "k", Some(7)).await.expect("is the newest");
    assert_eq!(read.mark, mark(7, 0));
    assert_eq!(read.found.map(|entry| (entry.version, entry.token)), Some((1, 5)));
    let stale = engine.write(checked("r", 5, 2, [])).await.expect_err("7 was here");
    assert_eq!(Problem::from(stale_token(5, 7, 0).expect_err("a refusal")), stale);
    let syncs = backend.syncs();
    get(&engine, "r", "nothing", Some(7)).await.expect("is the newest");
    let stale = get(&engine, "r", "k", Some(6)).await.expect_err("7 was here");
    assert_eq!(Problem::from(stale_token(6, 7, 0).expect_err("a refusal")), stale);
    assert_eq!(backend.syncs(), syncs);
    assert_eq!(engine.stale_refused(), 2, "one write, one read");
    let untold = get(&engine, "r", "k", None).await.expect("asks for nothing");
    assert_eq!(untold.mark, mark(7, 0));
    keeper.stop().await.expect("closes");
}

async fn page(engine: &Engine, prefix: &str, page_size: usize, after: Option<&str>) -> Page {
    let ask = CheckedStoreList {
        resource: ResourceName::new("r").expect("a good name"),
        prefix: prefix.to_owned(),
        page_size,
        after: after.map(str::to_owned),
        token: None,
        cluster_id: None,
    };
    engine.list(ask).await.expect("reads").found
}

fn keys(page: &Page) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.key.as_str()).collect()
}

#[tokio::test]
async fn pages_follow_the_bytes_of_the_keys_and_stay_in_their_resource_and_prefix() {
    let (_, engine, keeper) = engine(100);
    let own = ["a", "a/1", "a/10", "a/2", "a0", "b", "ä"].map(|key| put(key, key));
    engine.write(checked("r", 1, 1, own)).await.expect("accepted");
    for other in ["q", "r/", "r0", "s"] {
        engine.write(checked(other, 1, 1, [put("a/3", "other")])).await.expect("accepted");
    }
    let all = page(&engine, "", 100, None).await;
    assert_eq!((keys(&all), all.more), (vec!["a", "a/1", "a/10", "a/2", "a0", "b", "ä"], false));
    let first = page(&engine, "a/", 2, None).await;
    assert_eq!((keys(&first), first.more), (vec!["a/1", "a/10"], true));
    let last = page(&engine, "a/", 2, Some("a/10")).await;
    assert_eq!((keys(&last), last.more), (vec!["a/2"], false));
    for (after, expected) in [("", 3), ("a", 3), ("a/", 3), ("a/2", 0), ("b", 0), ("zzz", 0)] {
        let found = page(&engine, "a/", 10, Some(after)).await;
        assert_eq!(found.entries.len(), expected, "after {after:?}");
    }
    assert_eq!(page(&engine, "c", 10, None).await, Page::default());
    keeper.stop().await.expect("closes");
}

#[tokio::test]
async fn a_page_ends_early_before_it_outgrows_a_message() {
    let (_, engine, keeper) = engine(100);
    let value = "x".repeat(leasehold_api::VALUE_BYTES_MAX - 1);
    for number in 0..4 {
        let one = [put(&number.to_string(), &value)];
        engine.write(checked("r", 1, 0, one)).await.expect("accepted");
    }
    let first = page(&engine, "", 1_000, None).await;
    assert_eq!((keys(&first), first.more), (vec!["0", "1", "2"], true));
    let second = page(&engine, "", 1_000, Some("2")).await;
    assert_eq!((keys(&second), second.more), (vec!["3"], false));
    keeper.stop().await.expect("closes");
}

/// Takes turns with others on one resource, each turn under a token of its own, often too late.
async fn contend(engine: Engine, tokens: Arc<AtomicU64>) -> Vec<(u64, u64)> {
    let mut accepted = Vec::new();
    for _ in 0..25 {
        let token = tokens.fetch_add(1, Ordering::Relaxed);
        if token.is_multiple_of(4) {
            let _read = get(&engine, "r", "log", Some(token)).await;
        }
        for sequence in 1..=3 {
            let line = append("log", &format!("{token}.{sequence};"));
            match engine.write(checked("r", token, sequence, [line])).await {
                Ok(written) => accepted.push((written.revision, token)),
                Err(Problem::Store(StoreRefusal::StaleToken { .. })) => break,
                Err(other) => panic!("{other}"),
            }
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_many_writers_the_accepted_tokens_never_decrease() {
    let (_, engine, keeper) = engine(100);
    let mut writers = JoinSet::new();
    let tokens = Arc::new(AtomicU64::new(1));
    for _ in 0..4 {
        writers.spawn(contend(engine.clone(), tokens.clone()));
    }
    let mut accepted: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    accepted.sort_unstable();
    let (accepted_count, stale) = (accepted.len(), engine.stale_refused());
    assert!(accepted_count >= 20 && stale >= 5, "{accepted_count} accepted, {stale} stale");
    assert!(accepted.is_sorted_by_key(|&(_, token)| token), "F1: {accepted:?}");
    let log = get(&engine, "r", "log", None).await.expect("reads").found.expect("was written");
    let lines = String::from_utf8(log.value.to_vec()).expect("text");
    let tokens: Vec<u64> = lines
        .split_terminator(';')
        .map(|line| line.split('.').next().and_then(|token| token.parse().ok()).expect("a token"))
        .collect();
    assert_eq!(tokens, accepted.iter().map(|&(_, token)| token).collect::<Vec<_>>());
    keeper.stop().await.expect("closes");
}
