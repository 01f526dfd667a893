//! What a run did, in figures: a run in which nothing happened proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use leasehold_raft::{Change, Role};
use leasehold_types::{EndReason, EventKind};

use super::seen::Seen;

/// Counts of what was seen. Those of several runs can be added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs.
    pub seeds: u64,
    /// Virtual time.
    pub simulated: Duration,
    /// Events.
    pub events: u64,
    /// Faults by class.
    pub faults: BTreeMap<String, u64>,
    counts: BTreeMap<&'static str, u64>,
    last_index: u64,
}

/// What must have happened at least once in a thousand seeds' worth of runs, or they prove little.
const EXPECTED: [&str; 12] = [
    "grants",
    "claims queued",
    "expiries",
    "releases",
    "cancels",
    "leases lost by the clock",
    "writes accepted",
    "writes refused as stale",
    "writes answered again",
    "leader changes",
    "snapshots installed",
    "torn tails cut",
];

impl Figures {
    /// Of one run in which nothing happened yet.
    pub(crate) fn of_one_seed() -> Self {
        Self { seeds: 1, ..Self::default() }
    }

    /// Notes one event.
    pub(crate) fn see(&mut self, seen: &Seen) {
        self.events += 1;
        match seen {
            Seen::Applied { change, .. } => self.see_change(change),
            Seen::Stands { role: Role::Leader, .. } => self.count("leader changes"),
            Seen::Lost { reason: leasehold_client::LostReason::BoundPassed, .. } => {
                self.count("leases lost by the clock");
            }
            Seen::WriteAnswered { accepted: false, .. } => self.count("writes refused as stale"),
            Seen::WriteAnswered { accepted: true, attempts, .. } => {
                self.count("writes accepted");
                if *attempts > 1 {
                    self.count("writes answered again");
                }
            }
            Seen::Booted { outcome: Ok(_), .. } => self.count("nodes started"),
            Seen::Booted { outcome: Err(_), .. } => self.count("nodes that refused to start"),
            Seen::Failed { .. } => self.count("nodes stopped by their disk"),
            Seen::Checked { .. } => self.count("checks"),
            _ => {}
        }
    }

    fn see_change(&mut self, change: &Change) {
        let batch = match change {
            Change::SnapshotInstalled { .. } => return self.count("snapshots installed"),
            Change::Batch(batch) if batch.log_index > self.last_index => batch,
            Change::Batch(_) => return,
        };
        self.last_index = batch.log_index;
        for event in &batch.events {
            self.count(match &event.kind {
                EventKind::Granted { .. } => "grants",
                EventKind::Queued { .. } => "claims queued",
                EventKind::Ended { why: EndReason::Expired, .. } => "expiries",
                EventKind::Ended { why: EndReason::Released, .. } => "releases",
                EventKind::Ended { why: EndReason::Cancelled, .. } => "cancels",
                EventKind::Ended { why: EndReason::WaitOver, .. } => "waits over",
            });
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn fault(&mut self, class: &str) {
        *self.faults.entry(class.to_owned()).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.events += other.events;
        for (class, count) in &other.faults {
            *self.faults.entry(class.clone()).or_default() += count;
        }
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// What should have happened in this many runs and never did.
    pub fn missing(&self) -> Vec<&'static str> {
        let never = |what: &&str| self.counts.get(what).copied().unwrap_or(0) == 0;
        EXPECTED.into_iter().filter(never).collect()
    }

    /// How often something happened.
    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.simulated.as_secs_f64() / 3_600.0;
        writeln!(f, "{} seeds, {hours:.2} simulated hours, {} events", self.seeds, self.events)?;
        let list = |counts: Vec<(String, u64)>| {
            let parts = counts.into_iter().map(|(what, count)| format!("{what} {count}"));
            parts.collect::<Vec<_>>().join(", ")
        };
        let faults = self.faults.iter().map(|(class, count)| (class.clone(), *count)).collect();
        writeln!(f, "faults: {}", list(faults))?;
        let counts = self.counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
        write!(f, "seen: {}", list(counts))
    }
}
