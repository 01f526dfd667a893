//! Histories: what clients asked, when, and what they were answered; and the checks of it.
//!
//! A history is a list of [`record::Record`]s, written down by a [`Recorder`] or by anybody who
//! follows `docs/history-format.md`, all times from one clock. [`check`] looks for promises broken.
//! One file checks one property, `s01` to `s10` and `revision_order`, each in O(n log n) for n lines,
//! since answers carry what makes that possible: every token and every revision is a position in a
//! total order, so there is nothing to search for. (Deciding linearizability without such positions
//! is NP-complete: Gibbons and Korach, 1997.) [`search`] does search, on small histories; it knows
//! no revisions, and is here to keep the fast checks honest.
//!
//! A call whose outcome is unknown may have happened at any time since it was sent, or never; it
//! proves nothing by itself and excuses nothing else. A check reports only what cannot have happened:
//! a clean report is no proof, a violation is one.
//!
//! Reading order: [`record`] (the format), [`parse`](HistoryError), `evidence` with `grants`, `lives`,
//! `tenures` and `watches` (what the checks share), `s01` to `s10`, `revision_order` with `greedy`, [`search`].

mod counts;
mod evidence;
mod grants;
mod greedy;
mod highest;
mod lives;
mod parse;
pub mod record;
mod recorder;
mod report;
mod revision_order;
mod s01_uniqueness;
mod s02_real_time;
mod s03_exclusion;
mod s04_beliefs;
mod s05_fenced_store;
mod s06_end_to_end;
mod s07_idempotence;
mod s08_definite;
mod s09_reads;
mod s10_fifo;
pub mod search;
mod tenures;
mod watches;

pub use counts::Counts;
pub use parse::HistoryError;
pub use recorder::Recorder;
pub use report::{Property, Report, Violation};

use evidence::Evidence;
use record::Record;

/// What was recorded, in any order: only times and revisions count, not positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What it says.
    pub record: Record,
}

impl History {
    /// The history of these records, numbered from 1.
    pub fn from_records(records: impl IntoIterator<Item = Record>) -> Self {
        let numbered = (1..).zip(records);
        Self { lines: numbered.map(|(number, record)| Line { number, record }).collect() }
    }
}

/// Checks every property.
pub fn check(history: &History) -> Report {
    let evidence = Evidence::gather(history);
    let checks = [
        s01_uniqueness::check,
        s02_real_time::check,
        s03_exclusion::check,
        s04_beliefs::check,
        s05_fenced_store::check,
        s06_end_to_end::check,
        s07_idempotence::check,
        s08_definite::check,
        s09_reads::check,
        s10_fifo::check,
        revision_order::check,
    ];
    let violations = checks.iter().flat_map(|check| check(&evidence)).collect();
    Report { counts: Counts::of(&evidence), violations }
}
