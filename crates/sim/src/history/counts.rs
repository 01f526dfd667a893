//! What there was to check. A clean report of a history in which nothing happened means nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::evidence::Evidence;
use super::record::{EventKind, Fate, Record, Token};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what matters happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counts {
            /// The names of all counts, in order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The count of that name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

counts! {
    /// Lines.
    lines,
    /// Calls, of all kinds.
    calls,
    /// Definite noes.
    refusals,
    /// Calls whose outcome is unknown.
    unknowns,
    /// Tokens seen.
    grants,
    /// Claims seen to join a queue.
    waits,
    /// Renewals answered.
    renewals,
    /// Leases ended by their token.
    releases,
    /// Claims ended by their request id.
    cancels,
    /// Claims that a watch saw end by time.
    expiries,
    /// Reads of the lease cluster answered.
    reads,
    /// Events of watches, each counted once.
    events,
    /// Times in which a client believed to hold.
    beliefs,
    /// Writes that a store accepted, each counted once.
    writes,
    /// Writes and reads that a store refused as stale.
    stale_refused,
    /// Messages that repeated an earlier one, and were answered.
    duplicates_answered,
    /// Increments acknowledged.
    increments,
}

impl Counts {
    pub(crate) fn of(evidence: &Evidence<'_>) -> Self {
        let mut counts = Self { grants: evidence.grants.len() as u64, ..Self::default() };
        let mut tally = Tally::default();
        for line in &evidence.history.lines {
            counts.lines += 1;
            counts.add_fate(&line.record);
            counts.add(&line.record, &mut tally);
        }
        counts.duplicates_answered = tally.duplicates_answered();
        counts
    }

    fn add_fate(&mut self, record: &Record) {
        match record.fate() {
            None => return,
            Some(Fate::Ok) => {}
            Some(Fate::Refused) => self.refusals += 1,
            Some(Fate::Unknown) => self.unknowns += 1,
        }
        self.calls += 1;
    }

    fn add<'a>(&mut self, record: &'a Record, tally: &mut Tally<'a>) {
        let ok = record.fate() == Some(Fate::Ok);
        let answered = record.fate() != Some(Fate::Unknown);
        let is_stale = |reason: &str| matches!(reason, "STALE_TOKEN" | "STALE_SEQUENCE");
        match record {
            Record::Acquire(call) => {
                let name = Name::Claim(&call.request_id);
                tally.sent.entry(name).or_default().push((call.invoked_ns, answered));
            }
            Record::Renew(_) => self.renewals += u64::from(ok),
            Record::Release(call) => {
                self.releases += u64::from(call.outcome.ok().is_some_and(|answer| answer.was_held));
            }
            Record::Cancel(call) => {
                self.cancels += u64::from(call.outcome.ok().is_some_and(|answer| answer.was_live));
            }
            Record::Get(_) | Record::List(_) => self.reads += u64::from(ok),
            Record::Event(event) if tally.events.insert(event.revision) => {
                self.events += 1;
                self.waits += u64::from(event.event == EventKind::Queued);
                self.expiries += u64::from(event.event == EventKind::Expired);
            }
            Record::Belief(_) => self.beliefs += 1,
            Record::Write(call) => {
                let unrepeated = if call.sequence == 0 { tally.sent.len() } else { 0 };
                let name = (&*call.store, &*call.resource, call.token, call.sequence, unrepeated);
                self.writes += u64::from(ok && tally.accepted.insert(name));
                let sent = tally.sent.entry(Name::Write(name)).or_default();
                sent.push((call.invoked_ns, answered));
                let refused = call.outcome.refused();
                self.stale_refused += u64::from(refused.is_some_and(|no| is_stale(&no.reason)));
            }
            Record::Read(call) => {
                let refused = call.outcome.refused();
                self.stale_refused += u64::from(refused.is_some_and(|no| is_stale(&no.reason)));
            }
            Record::Increment(_) => self.increments += u64::from(ok),
            Record::Event(_) | Record::Watched(_) | Record::Total(_) => {}
        }
    }
}

/// A write's name: store, resource, token, sequence; and where that is 0, a number of its own.
type WriteName<'a> = (&'a str, &'a str, Token, u64, usize);

#[derive(PartialEq, Eq, Hash)]
enum Name<'a> {
    Claim(&'a str),
    Write(WriteName<'a>),
}

#[derive(Default)]
struct Tally<'a> {
    /// Each message of each request: when it was sent, and whether it was answered.
    sent: HashMap<Name<'a>, Vec<(u64, bool)>>,
    accepted: HashSet<WriteName<'a>>,
    events: HashSet<u64>,
}

impl Tally<'_> {
    fn duplicates_answered(&self) -> u64 {
        let repeats = |messages: &Vec<(u64, bool)>| {
            let first = messages.iter().min().map_or(0, |message| message.0);
            let is_first_spared =
                messages.iter().any(|(sent, answered)| *sent == first && *answered);
            let answered = messages.iter().filter(|(_, answered)| *answered).count();
            (answered - usize::from(is_first_spared)) as u64
        };
        self.sent.values().map(repeats).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in Self::NAMES {
            let count = self.get(name).unwrap_or_default();
            writeln!(f, "{count:>9} {}", name.replace('_', " "))?;
        }
        Ok(())
    }
}
