//! The log as the consensus library wants it.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use leasehold_disk::Reached;
use openraft::entry::EntryPayload;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use openraft_rt::AsyncRuntime;
use tokio::sync::{mpsc, oneshot};

use super::flusher::{self, Done, Job};
use super::memory::MemoryLog;
use super::record::LogRecord;
use super::recover::Recovered;
use crate::Execution;
use crate::roster::Roster;
use crate::type_config::{Entry, LogId, Types, Vote};

/// Reads the log. Cheap to clone; never waits for the disk.
///
/// One writer (the consensus task) and several readers (one for each follower, one for `apply`) share
/// the log in memory behind a lock that is held for the length of a copy, never across an await.
#[derive(Clone, Debug)]
pub(crate) struct LogReader {
    memory: Arc<RwLock<MemoryLog>>,
    append_bytes_max: u64,
}

impl LogReader {
    fn read(&self) -> RwLockReadGuard<'_, MemoryLog> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, MemoryLog> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything after `last` is still in the log.
    pub(crate) fn reaches_back_to(&self, last: Option<&LogId>) -> bool {
        last.map_or(0, |last| last.index + 1) >= self.read().first_index()
    }

    /// Bytes that the entries in memory take up, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.read().bytes()
    }
}

/// Puts a group of its own behind whatever else was made durable.
///
/// What a node acknowledges must be covered by how far its stream has come, or an old copy of its disk
/// that lacks it could not be told. A snapshot lies in a file beside the stream.
pub(crate) struct Sealer<RT: AsyncRuntime> {
    /// Weak: the log ends when its store is gone.
    jobs: mpsc::WeakSender<Job<RT>>,
}

impl<RT: AsyncRuntime> Clone for Sealer<RT> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

impl<RT: AsyncRuntime> Sealer<RT> {
    /// Returns when one more group is synced.
    pub(crate) async fn seal(&self) -> io::Result<()> {
        let (waiter, sealed) = oneshot::channel();
        let job = Job { records: Vec::new(), seal: true, done: Done::Waiter(waiter) };
        let ended = || io::Error::other("the log's writer has ended");
        let jobs = self.jobs.upgrade().ok_or_else(ended)?;
        jobs.send(job).await.map_err(|_| ended())?;
        drop(jobs);
        sealed.await.map_err(|_| ended())?
    }
}

/// The log: memory at once, disk behind it.
pub(crate) struct LogStore<RT: AsyncRuntime> {
    reader: LogReader,
    jobs: mpsc::Sender<Job<RT>>,
    roster: Roster,
    /// Known to be committed and not yet on its way to disk: it travels with the next records. It may
    /// be lost, which costs a restarted node nothing but having to hear it again.
    committed: Option<Option<LogId>>,
}

impl<RT: AsyncRuntime> LogStore<RT> {
    /// Continues a recovered log, and raises `reached` as it is synced. The receiver resolves when the
    /// store is gone and all it was given is on disk.
    pub(crate) fn start(
        recovered: Recovered,
        append_bytes_max: usize,
        execution: Execution,
        roster: Roster,
        reached: Reached,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let Recovered { memory, stream, segments, report: _ } = recovered;
        memory.range(..).for_each(|entry| enlist(&roster, entry));
        let (jobs, ended) = flusher::start(stream, segments, memory.summary(), reached, execution)?;
        let reader = LogReader {
            memory: Arc::new(RwLock::new(memory)),
            append_bytes_max: append_bytes_max as u64,
        };
        Ok((Self { reader, jobs, roster, committed: None }, ended))
    }

    /// A reader of this log.
    pub(crate) fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// See [`Sealer`].
    pub(crate) fn sealer(&self) -> Sealer<RT> {
        Sealer { jobs: self.jobs.downgrade() }
    }

    async fn submit(
        &mut self,
        mut records: Vec<LogRecord>,
        seal: bool,
        done: Done<RT>,
    ) -> io::Result<()> {
        records.extend(self.committed.take().map(LogRecord::Committed));
        let job = Job { records, seal, done };
        self.jobs.send(job).await.map_err(|_| io::Error::other("the log's writer has ended"))
    }
}

fn enlist(roster: &Roster, entry: &Entry) {
    if let EntryPayload::Membership(members) = &entry.payload {
        roster.note(members);
    }
}

impl<RT: AsyncRuntime> RaftLogStorage<Types<RT>> for LogStore<RT> {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types<RT>>, io::Error> {
        Ok(self.reader.read().state())
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.reader()
    }

    /// Returns when the vote is on disk and can never be mistaken for a torn write.
    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (waiter, sealed) = oneshot::channel();
        self.submit(vec![LogRecord::Vote(*vote)], true, Done::Waiter(waiter)).await?;
        sealed.await.map_err(|_| io::Error::other("the log's writer has ended"))??;
        self.reader.write().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.reader.write().committed = committed;
        self.committed = Some(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.reader.read().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<Types<RT>>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut memory = self.reader.write();
            for entry in &entries {
                enlist(&self.roster, entry);
                memory.append(entry.clone()).map_err(io::Error::other)?;
            }
        }
        let records = entries.into_iter().map(LogRecord::Entry).collect();
        self.submit(records, false, Done::Flushed(callback)).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        self.reader.write().truncate_after(last_log_id);
        self.submit(vec![LogRecord::TruncatedAfter(last_log_id)], false, Done::Nobody).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.reader.write().purge(log_id);
        self.submit(vec![LogRecord::Purged(log_id)], false, Done::Nobody).await
    }
}

impl<RT: AsyncRuntime> RaftLogReader<Types<RT>> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read().range(range).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.read().vote)
    }

    /// Bounded in bytes: one message to a peer.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read().limited(start, end, self.append_bytes_max))
    }
}
