//! From lines of text to a [`History`], or to the line that is not one.

use std::io::{self, BufRead};

use super::record::{Outcome, Record, Standing};
use super::{History, Line};

/// Text that is no history. Nothing is checked then: half a history proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file cannot be opened.
    #[error("cannot be opened: {0}")]
    Unopened(#[source] io::Error),
    /// The file cannot be read.
    #[error("line {line}: cannot be read: {source}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line that is no JSON object of a known kind with exactly its fields.
    #[error("line {line}: {source}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A line whose fields contradict each other.
    #[error("line {line}: {problem}")]
    Contradiction {
        /// The line, from 1.
        line: usize,
        /// Which fields, and what is allowed.
        problem: &'static str,
    },
}

impl History {
    /// Reads one JSON object a line. Empty lines are passed over.
    ///
    /// # Errors
    /// [`HistoryError`] with the number of the first line that is not as `docs/history-format.md` says.
    pub fn read(text: impl BufRead) -> Result<Self, HistoryError> {
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.map_err(|source| HistoryError::Unreadable { line, source })?;
            if text.trim().is_empty() {
                continue;
            }
            let record = serde_json::from_str(&text)
                .map_err(|source| HistoryError::Malformed { line, source })?;
            if let Some(problem) = contradiction(&record) {
                return Err(HistoryError::Contradiction { line, problem });
            }
            lines.push(Line { number: line, record });
        }
        Ok(Self { lines })
    }
}

/// What no honest recorder writes. An answer before its question is not among it: clocks that are not
/// one clock are a finding, not a slip of the pen.
fn contradiction(record: &Record) -> Option<&'static str> {
    match record {
        Record::Acquire(call) => standing(&call.outcome),
        Record::Renew(call) if call.token.is_none() && call.request_id.is_none() => {
            Some("renew needs token or request_id")
        }
        Record::Renew(call) => standing(&call.outcome),
        Record::Event(event) => {
            use super::record::EventKind::{Granted, Queued};
            match (event.event, event.token) {
                (Granted, None) => Some("a granted event needs token"),
                (Queued, Some(_)) => Some("a queued event has no token"),
                _ => None,
            }
        }
        Record::Belief(belief) if belief.until_ns < belief.from_ns => {
            Some("until_ns must not be smaller than from_ns")
        }
        Record::Watched(watched) if watched.through_revision < watched.after_revision => {
            Some("through_revision must not be smaller than after_revision")
        }
        _ => None,
    }
    .or_else(|| missing_answer(record))
}

fn standing(outcome: &Outcome<Standing>) -> Option<&'static str> {
    let standing = outcome.ok()?;
    let one_of_both = standing.token.is_some() != standing.place.is_some();
    (!one_of_both).then_some("an ok claim has either token (held) or place (waiting)")
}

fn missing_answer(record: &Record) -> Option<&'static str> {
    use super::record::Fate;
    let answered = matches!(record.fate()?, Fate::Ok | Fate::Refused);
    let without_time = record.span()?.answered_ns == u64::MAX;
    (answered && without_time).then_some("an ok or refused call needs answered_ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        History::read(text.as_bytes()).expect_err("malformed").to_string()
    }

    const GOOD: &str = r#"{"kind":"release","client":"c","resource":"r","token":7,"invoked_ns":1,"answered_ns":2,"outcome":{"ok":{"was_held":true}}}"#;

    #[test]
    fn a_good_line_is_read_and_an_empty_one_passed_over() {
        let history = History::read(format!("\n{GOOD}\n\n{GOOD}\n").as_bytes()).expect("good");
        let numbers: Vec<usize> = history.lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [2, 4]);
    }

    #[test]
    fn a_field_that_the_format_does_not_know_is_named_with_its_line() {
        let text = format!("{GOOD}\n{}", GOOD.replace("\"token\"", "\"tokn\""));
        let complaint = complaint(&text);
        assert!(complaint.starts_with("line 2: unknown field `tokn`"), "{complaint}");
    }

    #[test]
    fn token_zero_is_no_token() {
        let complaint = complaint(&GOOD.replace(":7", ":0"));
        assert!(complaint.contains("expected a nonzero u64"), "{complaint}");
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_known_ones() {
        let complaint = complaint(&GOOD.replace("release", "lock"));
        assert!(complaint.contains("unknown variant `lock`"), "{complaint}");
        assert!(complaint.contains("`acquire`"), "{complaint}");
    }

    #[test]
    fn an_answer_without_a_time_is_a_contradiction() {
        let complaint = complaint(&GOOD.replace("\"answered_ns\":2,", ""));
        assert_eq!(complaint, "line 1: an ok or refused call needs answered_ns");
    }

    #[test]
    fn a_claim_that_is_neither_held_nor_waiting_is_a_contradiction() {
        let text = r#"{"kind":"acquire","client":"c","request_id":"q","resource":"r","invoked_ns":1,"answered_ns":2,"outcome":{"ok":{"revision":3}}}"#;
        assert!(complaint(text).starts_with("line 1: an ok claim has either token"));
    }
}
