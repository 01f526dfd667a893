//! Workloads over something that is no lease cluster.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_bench::locks::{Ask, Failed, Renewed};
use leasehold_bench::{Error, Locks, Over, Pace, Report, Settings, Workload, run_over};
use tokio::sync::oneshot;

/// A lock with a line.
#[derive(Clone, Default)]
struct InMemory {
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    held: bool,
    waiting: VecDeque<oneshot::Sender<()>>,
}

impl Locks for InMemory {
    type Held = ();

    async fn acquire(&self, ask: Ask) -> Result<(), Failed> {
        tokio::task::yield_now().await;
        if ask.wait.is_zero() {
            return Ok(());
        }
        let turn = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if !line.held {
                line.held = true;
                return Ok(());
            }
            let (free, turn) = oneshot::channel();
            line.waiting.push_back(free);
            turn
        };
        turn.await.map_err(|_| Failed("GONE"))
    }

    async fn renew(&self, held: &[()]) -> Result<Renewed, Failed> {
        tokio::task::yield_now().await;
        Ok(Renewed { ok: held.len() as u64, lost: 0, valid_for: Duration::MAX })
    }

    async fn release(&self, _resource: &str, (): ()) -> Result<(), Failed> {
        tokio::task::yield_now().await;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.held = line.waiting.pop_front().is_some_and(|next| next.send(()).is_ok());
        Ok(())
    }
}

fn settings() -> Settings {
    Settings {
        clients: 4,
        connections: 1,
        over: Over::Unary,
        pace: Pace::Closed,
        duration: Duration::from_millis(20),
        warmup: Duration::ZERO,
        resources: None,
        ttl: Duration::from_secs(10),
        timeout: Duration::from_secs(10),
        value_bytes: 0,
        kills: 0,
    }
}

async fn run(workload: Workload, system: InMemory) -> Report {
    run_over(workload, "memory", &settings(), &[system]).await.expect("a report")
}

fn count(report: &Report, measure: &str, outcome: &str) -> u64 {
    let mut rows = report.rows.iter();
    rows.find(|row| (row.measure, row.outcome) == (measure, outcome)).map_or(0, |row| row.count)
}

#[tokio::test]
async fn pairs_and_renewals_of_another_system_are_counted_under_its_name() {
    let pairs = run(Workload::Pair, InMemory::default()).await;
    assert_eq!(pairs.setup.over, Some("memory"));
    assert!(count(&pairs, "pair", "ok") > 0, "{pairs:?}");
    let renewals = run(Workload::Renew, InMemory::default()).await;
    assert!(count(&renewals, "renew", "ok") > 0, "{renewals:?}");
}

#[tokio::test]
async fn a_line_at_another_system_is_handed_over_one_by_one() {
    let line = run(Workload::Handover, InMemory::default()).await;
    let (handed_over, waited) = (count(&line, "handover", "ok"), count(&line, "wait", "ok"));
    assert!(handed_over > 0 && handed_over <= waited, "{line:?}");
}

#[tokio::test]
async fn what_is_about_leasehold_alone_is_refused_elsewhere() {
    let links = [InMemory::default()];
    let refused = run_over(Workload::Failover, "memory", &settings(), &links).await;
    assert!(matches!(refused, Err(Error::Setting { .. })), "{refused:?}");
}
