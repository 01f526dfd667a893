//! Reading the log back at the start of a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use leasehold_disk::{
    ADVICE, Disk, GroupPosition, OpenError, OpenReport, Record, RecordStream, StreamOptions,
};
use openraft::LogIdOptionExt;

use super::flusher::Summary;
use super::memory::{Hole, MemoryLog};
use super::record::{BadRecord, LogRecord};

/// A log that was read back, and the stream to continue it on.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) memory: MemoryLog,
    pub(crate) stream: RecordStream,
    pub(crate) segments: Segments,
    pub(crate) report: OpenReport,
}

/// Why a log cannot be read back. Nothing was modified.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    /// The stream itself.
    #[error(transparent)]
    Stream(#[from] OpenError),
    /// A record whose checksum is right and whose content is not.
    #[error("the log cannot be read in segment {}, byte {}: {record}; {ADVICE}", .position.segment, .position.offset)]
    Record {
        /// Where its group starts.
        position: GroupPosition,
        /// What is wrong.
        #[source]
        record: BadRecord,
    },
    /// Entries are missing.
    #[error("the log has a gap in or before segment {}: {hole}; {ADVICE}", .position.segment)]
    Gap {
        /// Where it was noticed.
        position: GroupPosition,
        /// What is missing.
        #[source]
        hole: Hole,
    },
}

/// Opens the stream on `disk` and replays its records.
pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    options: StreamOptions,
) -> Result<Recovered, RecoverError> {
    let (stream, records, report) = RecordStream::open(disk, options)?;
    let (memory, segments) = replay(records)?;
    Ok(Recovered { memory, stream, segments, report })
}

/// Plays records back. A record may come twice (every segment starts with a summary of what was
/// before), and the log may seem to start too late until the purge that explains it is read.
fn replay(records: Vec<Record>) -> Result<(MemoryLog, Segments), RecoverError> {
    let mut memory = MemoryLog::default();
    let mut segments = Segments::default();
    let mut position = GroupPosition { segment: 0, offset: 0 };
    for record in records {
        position = record.position;
        let decoded = LogRecord::decode(record.kind, record.payload)
            .map_err(|record| RecoverError::Record { position, record })?;
        segments.note(position, [&decoded]);
        replay_one(&mut memory, decoded).map_err(|hole| RecoverError::Gap { position, hole })?;
    }
    let (expected, found) = (memory.purged().next_index(), memory.first_index());
    if expected != found {
        return Err(RecoverError::Gap { position, hole: Hole { expected, found } });
    }
    Ok((memory, segments))
}

fn replay_one(memory: &mut MemoryLog, record: LogRecord) -> Result<(), Hole> {
    match record {
        LogRecord::Vote(vote) => memory.vote = Some(vote),
        LogRecord::Entry(entry) if memory.is_empty() => memory.append_first(entry),
        LogRecord::Entry(entry) => memory.append(entry)?,
        LogRecord::TruncatedAfter(last) => memory.truncate_after(last),
        LogRecord::Purged(upto) => memory.purge(upto),
        LogRecord::Committed(upto) => memory.committed = memory.committed.max(upto),
    }
    Ok(())
}

/// Which segment holds entries up to which index, so that a purge can drop whole segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// By number: a position within, and the largest index of any entry in it.
    by_number: BTreeMap<u64, (GroupPosition, u64)>,
}

impl Segments {
    /// Notes a group that was written at `position`.
    pub(crate) fn note<'a>(
        &mut self,
        position: GroupPosition,
        records: impl IntoIterator<Item = &'a LogRecord>,
    ) {
        let indexes = records.into_iter().filter_map(|record| match record {
            LogRecord::Entry(entry) => Some(entry.log_id.index),
            _ => None,
        });
        if let Some(largest) = indexes.max() {
            let noted = self.by_number.entry(position.segment).or_insert((position, largest));
            noted.1 = noted.1.max(largest);
        }
    }

    /// The position before which nothing is needed once everything up to `index` is purged. `None`
    /// when every segment with entries may go but the newest.
    pub(crate) fn purge(&mut self, index: u64) -> Option<GroupPosition> {
        self.by_number.retain(|_, (_, largest)| *largest > index);
        self.by_number.values().next().map(|(position, _)| *position)
    }
}

impl MemoryLog {
    /// The summary that a new segment starts with.
    pub(crate) fn summary(&self) -> Summary {
        Summary { vote: self.vote, purged: self.purged(), committed: self.committed }
    }
}
