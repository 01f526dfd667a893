//! What a client did, written so that it is still there when the client is killed in the middle.
//!
//! A call is written down before it is sent, with an unknown outcome, and again when its outcome is
//! known. Both lines have the same client, kind and time of invocation, and no two calls of a client
//! share a time, so the second replaces the first when the journals of a run are merged.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leasehold_sim::history::record::Record;
use leasehold_sim::history::{History, Recorder};

use crate::Outcome;

/// A client's own history, while it is made. Clones write to one file.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    recorder: Recorder,
    client: String,
    last_ns: Arc<AtomicU64>,
}

impl Journal {
    pub(crate) fn create(path: &Path, client: &str) -> io::Result<Self> {
        let recorder = Recorder::create(path)?;
        Ok(Self { recorder, client: client.to_owned(), last_ns: Arc::default() })
    }

    /// Who writes this.
    pub(crate) fn client(&self) -> String {
        self.client.clone()
    }

    /// When a call is sent: a time that no other call of this client has.
    pub(crate) fn begin(&self) -> u64 {
        let now = self.recorder.now_ns();
        let after = |last: u64| Some(now.max(last + 1));
        let last = self.last_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        now.max(last.unwrap_or_else(|last| last) + 1)
    }

    /// Now: when an answer came, or something was seen.
    pub(crate) fn now(&self) -> u64 {
        self.recorder.now_ns()
    }

    /// Writes one line. It is in the file when this returns.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        self.recorder.record(record)
    }
}

/// Reads a journal as a history: of each call the last line.
pub(crate) fn read(path: &Path) -> Outcome<Vec<Record>> {
    let text = whole_lines(std::fs::read(path)?);
    let history = History::read(&*text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut records: Vec<Record> = Vec::new();
    let mut calls: HashMap<(&'static str, u64), usize> = HashMap::new();
    for line in history.lines {
        match line.record.span() {
            None => records.push(line.record),
            Some(span) => {
                let name = (kind(&line.record), span.invoked_ns);
                match calls.get(&name) {
                    Some(at) => records[*at] = line.record,
                    None => {
                        calls.insert(name, records.len());
                        records.push(line.record);
                    }
                }
            }
        }
    }
    Ok(records)
}

/// A line that a kill cut short says nothing: what it was about was not sent, or is unknown.
fn whole_lines(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text.truncate(end);
    text
}

fn kind(record: &Record) -> &'static str {
    match record {
        Record::Acquire(_) => "acquire",
        Record::Renew(_) => "renew",
        Record::Release(_) => "release",
        Record::Cancel(_) => "cancel",
        Record::Get(_) => "get",
        Record::List(_) => "list",
        Record::Write(_) => "write",
        Record::Read(_) => "read",
        Record::Increment(_) => "increment",
        Record::Event(_) | Record::Watched(_) | Record::Belief(_) | Record::Total(_) => "no call",
    }
}

#[cfg(test)]
mod tests {
    use leasehold_sim::history::record::{Done, Increment, Outcome as Answer};

    use super::*;

    fn increment(id: &str, invoked_ns: u64, outcome: Answer<Done>) -> Record {
        let answered_ns = (!outcome.is_unknown()).then_some(invoked_ns + 1);
        let (client, counter, id) = ("c".into(), "n".into(), id.into());
        Record::Increment(Increment { client, counter, id, invoked_ns, answered_ns, outcome })
    }

    #[test]
    fn an_outcome_replaces_what_was_written_before_the_call_and_a_kill_leaves_it_unknown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let journal = Journal::create(&path, "c").unwrap();
        let (first, second) = (journal.begin(), journal.begin());
        assert!(first < second, "two calls never share a time");
        journal.write(&increment("a", first, Answer::Unknown)).unwrap();
        journal.write(&increment("b", second, Answer::Unknown)).unwrap();
        journal.write(&increment("a", first, Answer::Ok(Done {}))).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.extend(br#"{"kind":"increment","client":"c","cou"#);
        std::fs::write(&path, text).unwrap();
        let expected =
            [increment("a", first, Answer::Ok(Done {})), increment("b", second, Answer::Unknown)];
        assert_eq!(read(&path).unwrap(), expected);
    }
}
