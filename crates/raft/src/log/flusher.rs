//! The one writer of the record stream.
//!
//! Everything that queues up while a sync runs goes into the next group: one sync pays for all of it
//! (group commit; DeWitt et al., SIGMOD 1984). Completions are reported in order. A failed write or
//! sync is final: nobody can know what is durable, so every later job fails too and the node stops.
//!
//! In production the writer is a thread of its own; in a simulator, where there are no threads, a
//! task.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use leasehold_disk::{GroupPosition, OwnedRecord, Reached, RecordRef, RecordStream};
use openraft::storage::IOFlushed;
use openraft_rt::AsyncRuntime;
use tokio::sync::{mpsc, oneshot};

use super::record::LogRecord;
use super::recover::Segments;
use crate::Execution;
use crate::type_config::{LogId, Types, Vote};

/// Something to write, and whom to tell.
pub(crate) struct Job<RT: AsyncRuntime> {
    pub(crate) records: Vec<LogRecord>,
    /// Whether the group must be beyond any doubt before the answer: a vote.
    pub(crate) seal: bool,
    pub(crate) done: Done<RT>,
}

/// Whom to tell.
pub(crate) enum Done<RT: AsyncRuntime> {
    /// The consensus library, which goes on meanwhile.
    Flushed(IOFlushed<Types<RT>>),
    /// Somebody who waits.
    Waiter(oneshot::Sender<io::Result<()>>),
    /// Nobody: what follows in the stream depends on it by its order.
    Nobody,
}

impl<RT: AsyncRuntime> Done<RT> {
    fn tell(self, result: Result<(), &StopReason>) {
        let result = result.map_err(|reason| io::Error::other(reason.to_string()));
        match self {
            Self::Flushed(callback) => callback.io_completed(result),
            // Whoever stopped waiting does not want to know.
            Self::Waiter(waiter) => drop(waiter.send(result)),
            Self::Nobody => {}
        }
    }
}

type StopReason = Arc<str>;

/// What a new segment starts with, so that older ones are not needed for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogId>,
    pub(crate) committed: Option<LogId>,
}

impl Summary {
    fn note(&mut self, record: &LogRecord) {
        match record {
            LogRecord::Vote(vote) => self.vote = Some(*vote),
            LogRecord::Purged(upto) => self.purged = Some(*upto),
            LogRecord::Committed(upto) => self.committed = *upto,
            LogRecord::Entry(_) | LogRecord::TruncatedAfter(_) => {}
        }
    }

    fn records(&self) -> Vec<OwnedRecord> {
        let vote = self.vote.map(LogRecord::Vote);
        let purged = self.purged.map(LogRecord::Purged);
        let committed = self.committed.map(|upto| LogRecord::Committed(Some(upto)));
        [vote, purged, committed].into_iter().flatten().map(|record| record.encode()).collect()
    }
}

/// Jobs waiting for the writer; the consensus task waits when there are more.
const JOBS_MAX: usize = 1024;

/// Jobs that share a sync.
const GROUP_JOBS_MAX: usize = 256;

/// Starts the writer. It ends when every sender is gone and what they sent is written; the receiver
/// then resolves. `reached` is raised by whatever is synced, before anybody is told.
pub(crate) fn start<RT: AsyncRuntime>(
    stream: RecordStream,
    segments: Segments,
    summary: Summary,
    reached: Reached,
    execution: Execution,
) -> io::Result<(mpsc::Sender<Job<RT>>, oneshot::Receiver<()>)> {
    let (jobs, queue) = mpsc::channel(JOBS_MAX);
    let (ended, end) = oneshot::channel();
    let writer = Writer { stream, segments, summary, reached, stopped: None };
    match execution {
        Execution::Threads => {
            let run = move || {
                write_on_a_thread(writer, queue);
                drop(ended);
            };
            std::thread::Builder::new().name("leasehold-log".to_owned()).spawn(run)?;
        }
        Execution::Tasks { sync } => {
            drop(RT::spawn(async move {
                write_on_a_task(writer, queue, sync).await;
                drop(ended);
            }));
        }
    }
    Ok((jobs, end))
}

fn write_on_a_thread<RT: AsyncRuntime>(mut writer: Writer, mut queue: mpsc::Receiver<Job<RT>>) {
    let mut jobs = Vec::new();
    while queue.blocking_recv_many(&mut jobs, GROUP_JOBS_MAX) > 0 {
        writer.write(jobs.drain(..).collect());
        if queue.is_empty() {
            writer.prepare();
        }
    }
}

async fn write_on_a_task<RT: AsyncRuntime>(
    mut writer: Writer,
    mut queue: mpsc::Receiver<Job<RT>>,
    sync: std::time::Duration,
) {
    let mut jobs = Vec::new();
    while queue.recv_many(&mut jobs, GROUP_JOBS_MAX).await > 0 {
        RT::sleep(sync).await;
        writer.write(jobs.drain(..).collect());
    }
}

/// The writer itself: no queue, no thread.
struct Writer {
    stream: RecordStream,
    segments: Segments,
    summary: Summary,
    reached: Reached,
    stopped: Option<StopReason>,
}

impl Writer {
    /// Writes jobs as one group and tells everybody, in order.
    fn write<RT: AsyncRuntime>(&mut self, jobs: VecDeque<Job<RT>>) {
        let records: Vec<&LogRecord> = jobs.iter().flat_map(|job| &job.records).collect();
        let seal = jobs.iter().any(|job| job.seal);
        let result = self.write_group(&records, seal);
        let result = result.as_ref().map(|_| ());
        for job in jobs {
            job.done.tell(result);
        }
    }

    fn write_group(&mut self, records: &[&LogRecord], seal: bool) -> Result<(), StopReason> {
        if let Some(reason) = &self.stopped {
            return Err(reason.clone());
        }
        self.append(records, seal).inspect_err(|reason| {
            tracing::error!(%reason, "the log cannot be written; the node stops");
            self.stopped = Some(reason.clone());
        })
    }

    fn append(&mut self, records: &[&LogRecord], seal: bool) -> Result<(), StopReason> {
        let encoded: Vec<OwnedRecord> = records.iter().map(|record| record.encode()).collect();
        let group: Vec<RecordRef<'_>> = encoded
            .iter()
            .map(|record| RecordRef { kind: record.kind, payload: &record.payload })
            .collect();
        let summary = self.summary;
        let position =
            self.stream.append_group(&group, || summary.records(), seal).map_err(stop_reason)?;
        self.reached.raise(self.stream.synced_group());
        for record in records {
            self.summary.note(record);
        }
        self.segments.note(position, records.iter().copied());
        let purged = records.iter().rev().find_map(|record| match record {
            LogRecord::Purged(upto) => Some(upto.index),
            _ => None,
        });
        if let Some(index) = purged {
            self.drop_segments(index, position)?;
        }
        Ok(())
    }

    fn drop_segments(&mut self, purged: u64, here: GroupPosition) -> Result<(), StopReason> {
        let needed_from = self.segments.purge(purged).unwrap_or(here).min(here);
        let removed = self.stream.remove_segments_before(needed_from).map_err(stop_reason)?;
        tracing::debug!(purged, removed, "log segments removed");
        Ok(())
    }

    /// Readies space for what comes next, while nothing waits.
    fn prepare(&mut self) {
        if self.stopped.is_none()
            && let Err(fault) = self.stream.extend_ahead()
        {
            let reason = stop_reason(fault);
            tracing::error!(%reason, "the log cannot be extended; the node stops");
            self.stopped = Some(reason);
        }
    }
}

/// The error and all that caused it, in one line.
fn stop_reason(error: impl std::error::Error) -> StopReason {
    crate::chain::one_line(&error).into()
}
