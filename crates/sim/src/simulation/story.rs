//! What happened, for people, and its hash, for comparing two runs byte by byte.

use std::collections::VecDeque;
use std::time::Duration;

use leasehold_raft::Change;

use super::random::digest;
use super::seen::Seen;

/// How much of a story is kept to be told after a failure.
const KEPT: usize = 60;

/// The running story of a run.
#[derive(Debug, Default)]
pub(crate) struct Story {
    print: bool,
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
}

impl Story {
    /// `print`: every line goes to standard output as it happens.
    pub(crate) fn new(print: bool) -> Self {
        Self { print, ..Self::default() }
    }

    pub(crate) fn tell(&mut self, at: Duration, seen: &Seen) {
        let line = format!("{:>12.6} {seen:?}", at.as_secs_f64());
        self.hash = self.hash.rotate_left(5) ^ digest(line.as_bytes());
        self.lines += 1;
        if self.print {
            println!("{line}");
        }
        if is_worth_telling(seen) {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash ^ self.lines
    }

    pub(crate) fn shortened(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

/// Not: what only moved time, and what says again what was said.
fn is_worth_telling(seen: &Seen) -> bool {
    match seen {
        Seen::State { .. } | Seen::Answered { .. } | Seen::Checked { .. } | Seen::Proven { .. } => {
            false
        }
        Seen::Applied { change, .. } => {
            !matches!(&**change, Change::Batch(batch) if batch.events.is_empty())
        }
        _ => true,
    }
}
