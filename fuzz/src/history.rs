//! Histories that others recorded. A line says the same once it is written and read again; no history,
//! however absurd, stops the checker; and the order of its lines means nothing.

use std::collections::BTreeSet;

use leasehold_sim::history::{History, Property, check as check_history, search};

const LINES_MAX: usize = 64;
const SEARCHED_MAX: usize = 8;

/// Text, one JSON object a line.
pub fn check(bytes: &[u8]) {
    let Ok(mut history) = History::read(bytes) else { return };
    history.lines.truncate(LINES_MAX);
    let text: String = history.lines.iter().map(|line| json(&line.record) + "\n").collect();
    let again = History::read(text.as_bytes()).expect("what was written can be read");
    let records = |history: &History| -> Vec<_> {
        history.lines.iter().map(|line| line.record.clone()).collect()
    };
    assert_eq!(records(&again), records(&history));
    let clean = is_clean(&history);
    history.lines.reverse();
    assert_eq!(is_clean(&history), clean, "only times and revisions count");
    if history.lines.len() <= SEARCHED_MAX {
        let verdicts = search::search(&history);
        history.lines.reverse();
        assert_eq!(search::search(&history), verdicts);
    }
}

fn json(record: &leasehold_sim::history::record::Record) -> String {
    serde_json::to_string(record).expect("a record can be written")
}

/// A history that contradicts itself does so in many ways, and which are told may depend on the order of
/// its lines; whether it does, may not.
fn is_clean(history: &History) -> bool {
    let report = check_history(history);
    let broken = Property::ALL.iter().any(|property| report.breaks(*property));
    assert_eq!(report.is_clean(), !broken);
    let lines: BTreeSet<usize> = history.lines.iter().map(|line| line.number).collect();
    for violation in &report.violations {
        assert!(violation.lines.iter().all(|line| lines.contains(line)), "{violation}");
    }
    report.is_clean()
}
