//! What came of the operations, and how long they took.
//!
//! Every operation is counted under what it was (its *measure*) and what came of it (its *outcome*:
//! [`OK`], or the reason of the refusal or fault), each with percentiles of its own. So a refusal that
//! came quickly cannot make the successes look quick, and a fault is never left out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::Window;

/// The outcome of an operation that did what it was asked to.
pub const OK: &str = "ok";
/// Due before the end of an open loop, and nobody was free to begin it.
pub const MISSED: &str = "MISSED";
/// Without an answer when the run was given up.
pub const UNFINISHED: &str = "UNFINISHED";

/// Longer than this counts as this.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Three decimal digits: what is read out is at most 0.1 % above what was put in.
const DIGITS: u8 = 3;

/// Counts and latencies, from any number of clients at once.
#[derive(Debug)]
pub struct Figures {
    window: Option<Window>,
    rows: Mutex<BTreeMap<(&'static str, &'static str), Row>>,
    counted: AtomicU64,
}

#[derive(Debug)]
struct Row {
    count: u64,
    latency: Option<Histogram<u64>>,
    first: Duration,
    last: Duration,
}

impl Figures {
    /// Of operations due within `window`; all of them, without one.
    pub fn new(window: Option<Window>) -> Self {
        Self { window, rows: Mutex::default(), counted: AtomicU64::new(0) }
    }

    /// An operation that was due at `due` ended `latency` later.
    pub fn record(
        &self,
        measure: &'static str,
        outcome: &'static str,
        due: Duration,
        latency: Duration,
    ) {
        self.record_many(measure, outcome, due, latency, 1);
    }

    /// The same of `count` operations that shared one message.
    pub fn record_many(
        &self,
        measure: &'static str,
        outcome: &'static str,
        due: Duration,
        latency: Duration,
        count: u64,
    ) {
        if count == 0 || self.window.is_some_and(|window| !window.counts(due)) {
            return;
        }
        self.counted.fetch_add(count, Ordering::Relaxed);
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.entry((measure, outcome)).or_insert_with(|| Row::new(due));
        row.count += count;
        row.first = row.first.min(due);
        row.last = row.last.max(due + latency);
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        row.latency.get_or_insert_with(histogram).saturating_record_n(nanoseconds, count);
    }

    /// Counts what has no latency, wherever the window is. Zero makes a row too.
    pub fn count(&self, measure: &'static str, outcome: &'static str, count: u64) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.entry((measure, outcome)).or_insert_with(|| Row::new(Duration::ZERO)).count += count;
    }

    /// How many operations were counted so far.
    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// The rows, by measure, successes first.
    pub fn read(&self) -> Vec<Measured> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut measured: Vec<_> =
            rows.iter().map(|((measure, outcome), row)| self.one(measure, outcome, row)).collect();
        measured.sort_by_key(|row| (row.measure, row.outcome != OK, row.outcome));
        measured
    }

    fn one(&self, measure: &'static str, outcome: &'static str, row: &Row) -> Measured {
        let span = self.window.map_or(row.last.saturating_sub(row.first), |it| it.length());
        let timed = row.latency.is_some() && !span.is_zero();
        Measured {
            measure,
            outcome,
            count: row.count,
            per_second: timed.then(|| row.count as f64 / span.as_secs_f64()),
            latency: row.latency.as_ref().map(Percentiles::of),
            floors: None,
        }
    }
}

impl Row {
    fn new(first: Duration) -> Self {
        Self { count: 0, latency: None, first, last: first }
    }
}

fn histogram() -> Histogram<u64> {
    let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
    Histogram::new_with_max(longest, DIGITS).expect("the bounds are constants that fit")
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// What was measured.
    pub measure: &'static str,
    /// What came of it: `ok`, or the reason why not.
    pub outcome: &'static str,
    /// How often.
    pub count: u64,
    /// How often a second, over the measured time.
    pub per_second: Option<f64>,
    /// How long it took, in microseconds.
    #[serde(rename = "latency_us")]
    pub latency: Option<Percentiles>,
    /// The same as multiples of the floor, where that was measured.
    pub floors: Option<Percentiles>,
}

/// Of a latency in microseconds, or of its multiples of the floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half took at most this.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// All.
    pub max: f64,
}

impl Percentiles {
    fn of(latency: &Histogram<u64>) -> Self {
        let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let max = latency.max() as f64 / 1e3;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
    }

    /// Each, in their order.
    pub fn all(&self) -> [f64; 5] {
        let Self { p50, p90, p99, p999, max } = *self;
        [p50, p90, p99, p999, max]
    }

    /// Each as a multiple of `floor`.
    pub fn over(&self, floor: f64) -> Self {
        let [p50, p90, p99, p999, max] = self.all().map(|value| value / floor);
        Self { p50, p90, p99, p999, max }
    }
}
