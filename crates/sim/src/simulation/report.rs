//! What a run did, in figures: a run in which nothing happened proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use leasehold_raft::{Change, Role};
use leasehold_types::{EndReason, EventKind};

use super::plan::FaultClass;
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

/// What must have happened this often in a thousand seeds' worth of runs, or they prove little: about
/// a third of what is usual.
const EXPECTED: [(&str, u64); 21] = [
    ("grants", 12_000),
    ("claims queued", 14_000),
    ("expiries", 1_000),
    ("releases", 10_000),
    ("cancels", 2_500),
    ("waits over", 5_000),
    ("ends left to the next entry", 20),
    ("leases lost by the clock", 700),
    ("writes accepted", 20_000),
    ("writes refused as stale", 60),
    ("writes answered again", 400),
    ("reads answered", 5_000),
    ("leader changes", 2_000),
    ("looks at all disks", 3_000),
    ("snapshots installed", 1_900),
    ("torn tails cut", 10),
    ("log files removed", 20_000),
    ("nodes stopped by their disk", 800),
    ("dead holders", 100),
    ("dead holders through elections", 100),
    ("hubs", 100),
];
/// And each class of faults must have struck this often in a thousand seeds.
const EXPECTED_OF_EACH_FAULT: u64 = 60;

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
            Seen::Stands { role: Role::Leader, serves: true, .. } => self.count("leader changes"),
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
            Seen::State { state, .. } if state.ends_left => {
                self.count("ends left to the next entry")
            }
            Seen::ReadAnswered { .. } => self.count("reads answered"),
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

    pub(crate) fn count_many(&mut self, what: &'static str, many: u64) {
        *self.counts.entry(what).or_default() += many;
    }

    pub(crate) fn fault(&mut self, class: FaultClass, times: u64) {
        if times > 0 {
            *self.faults.entry(class.to_string()).or_default() += times;
        }
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

    /// What should have happened more often in this many runs, in words.
    pub fn missing(&self) -> Vec<String> {
        let least = |of_a_thousand: u64| (self.seeds * of_a_thousand / 1_000).max(1);
        let counts = EXPECTED.iter().map(|(what, often)| (*what, self.of(what), least(*often)));
        let faults =
            FaultClass::all().map(|class| (class.to_string(), least(EXPECTED_OF_EACH_FAULT)));
        let faults = faults.map(|(class, least)| {
            let struck = self.faults.get(&class).copied().unwrap_or(0);
            (format!("fault {class}"), struck, least)
        });
        let counts = counts.map(|(what, seen, least)| (what.to_owned(), seen, least));
        let few = counts.chain(faults).filter(|(_, seen, least)| seen < least);
        few.map(|(what, seen, least)| format!("{what}: {seen}, at least {least} were due"))
            .collect()
    }

    /// Faults of all classes.
    pub fn faults_total(&self) -> u64 {
        self.faults.values().sum()
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
