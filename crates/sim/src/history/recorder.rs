//! Writing a history while it happens, from many threads and many processes of one machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use leasehold_clock::{Clock, MachineClock};

use super::record::Record;

/// Appends records to a file, one JSON object a line.
///
/// Each line is one append, which the system does not mix with others: there is no lock, and clones,
/// threads and other processes may write to the same file. Times are of `CLOCK_MONOTONIC`, which all
/// processes of a machine share. A line is in the file when [`Recorder::record`] returns, so that a
/// process that is killed afterwards has still said it.
///
/// ```
/// use leasehold_sim::history::{History, Recorder};
/// use leasehold_sim::history::record::{Outcome, Record, Release, Released, Token};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("history.jsonl");
/// let recorder = Recorder::create(&path)?;
/// let invoked_ns = recorder.now_ns(); // before the call is sent
/// let answer = Released { was_held: true, revision: Some(12) };
/// recorder.record(&Record::Release(Release {
///     client: "c1".into(),
///     resource: "jobs/nightly".into(),
///     token: Token::new(7).expect("not 0"),
///     invoked_ns,
///     answered_ns: Some(recorder.now_ns()), // after the answer came
///     outcome: Outcome::Ok(answer),
/// }))?;
/// let history = History::read(std::io::BufReader::new(std::fs::File::open(&path)?))?;
/// assert_eq!(history.lines.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    file: Arc<File>,
}

impl Recorder {
    /// Starts a new, empty history. Whatever was in the file is gone.
    ///
    /// # Errors
    /// As of opening a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path)?;
        Self::append(path)
    }

    /// Adds to a history that another process may be writing too.
    ///
    /// # Errors
    /// As of opening a file.
    pub fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Nanoseconds of this machine's monotonic clock. Read it just before a call is sent and just
    /// after its answer came.
    pub fn now_ns(&self) -> u64 {
        let now = MachineClock.read().monotonic.as_nanos();
        u64::try_from(now).expect("a machine that runs for less than 584 years")
    }

    /// Writes one line.
    ///
    /// # Errors
    /// As of writing to a file. The history is then not to be relied on.
    pub fn record(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        (&*self.file).write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;
    use crate::history::History;
    use crate::history::record::{Done, Increment, Outcome};

    #[test]
    fn lines_of_many_threads_are_all_there_and_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("history.jsonl");
        let recorder = Recorder::create(&path).expect("a new file");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let recorder = recorder.clone();
                scope.spawn(move || {
                    for number in 0..200 {
                        let invoked_ns = recorder.now_ns();
                        let record = Record::Increment(Increment {
                            client: format!("c{thread}"),
                            counter: "n".into(),
                            id: format!("{thread}-{number}"),
                            invoked_ns,
                            answered_ns: Some(recorder.now_ns()),
                            outcome: Outcome::Ok(Done {}),
                        });
                        recorder.record(&record).expect("room on the disk");
                    }
                });
            }
        });
        let file = BufReader::new(File::open(&path).expect("written"));
        assert_eq!(History::read(file).expect("whole lines").lines.len(), 1_600);
    }
}
