//! What happened, for people, and its fingerprint, for comparing two runs.

use std::collections::VecDeque;
use std::time::Duration;

use leasehold_raft::Change;

use super::fingerprint::Fingerprint;
use super::seen::Seen;

/// How much of a story is kept to be told after a failure.
const KEPT: usize = 60;

/// The running story of a run.
#[derive(Debug, Default)]
pub(crate) struct Story {
    print: bool,
    fingerprint: Fingerprint,
    last: VecDeque<(Duration, Told)>,
}

/// What is kept of an event: words only where the event would not keep, for it looks at something that
/// goes on.
#[derive(Debug)]
enum Told {
    Event(Box<Seen>),
    Words(String),
}

impl Story {
    /// `print`: every line goes to standard output as it happens.
    pub(crate) fn new(print: bool) -> Self {
        Self { print, ..Self::default() }
    }

    pub(crate) fn tell(&mut self, at: Duration, seen: &Seen) {
        self.fingerprint.see(at, seen);
        if self.print {
            println!("{}", line(at, &format!("{seen:?}")));
        }
        if is_worth_telling(seen) {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back((at, keep(seen)));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.fingerprint.number()
    }

    pub(crate) fn shortened(&self) -> Vec<String> {
        let told = self.last.iter().map(|(at, told)| match told {
            Told::Event(seen) => line(*at, &format!("{seen:?}")),
            Told::Words(words) => line(*at, words),
        });
        told.collect()
    }
}

fn line(at: Duration, what: &str) -> String {
    format!("{:>12.6} {what}", at.as_secs_f64())
}

fn keep(seen: &Seen) -> Told {
    match seen {
        Seen::Granted { .. } | Seen::Booted { .. } => Told::Words(format!("{seen:?}")),
        _ => Told::Event(Box::new(seen.clone())),
    }
}

/// Not: what only moved time, and what says again what was said.
fn is_worth_telling(seen: &Seen) -> bool {
    match seen {
        Seen::State { .. }
        | Seen::LogsOnDisk { .. }
        | Seen::Answered { .. }
        | Seen::Checked { .. }
        | Seen::Proven { .. }
        | Seen::ReadAsked { .. }
        | Seen::ReadAnswered { .. } => false,
        Seen::Applied { change, .. } => {
            !matches!(&**change, Change::Batch(batch) if batch.events.is_empty())
        }
        _ => true,
    }
}
