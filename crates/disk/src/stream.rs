//! The record stream: one ordered log of records in segment files.
//!
//! Votes, entries, truncations, purges go through one stream, because their order matters: a vote
//! that overtakes an entry, or the other way round, breaks Raft. One owner appends groups; a group
//! is one write and one sync, and it is written only when everything before it is synced. That rule
//! is what recovery reasons from (see the module `recovery`).
//!
//! After a write or sync failed nothing is written any more: every later call returns the same
//! fault, and only a new process, which reads everything back, may go on.

use std::fmt;
use std::sync::Arc;

use crate::damage::OpenError;
use crate::disk::Disk;
use crate::error::{DiskFault, Operation};
use crate::identity::DiskId;
use crate::manifest::Manifest;
use crate::record::{
    GroupPlace, GroupPosition, OwnedRecord, Record, RecordRef, SEAL, encode_group, group_bytes,
};
use crate::recovery::{Inspection, Tail, TornTail, inspect};
use crate::segment::{Head, file_name};
use crate::segment_file::SegmentFile;

/// A group buffer above this is given back after use.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// How a stream is laid out. Sizes may differ from one start to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Whose records these are. Mixed into every checksum: a segment or record of another disk is
    /// never taken for one of this, nor can a payload imitate a record.
    pub disk_id: DiskId,
    /// A segment that would grow above this is followed by a new one. Default 64 MiB. One group
    /// larger than that gets a segment of its own.
    pub segment_bytes: u64,
    /// Segments are zero-filled this far ahead. Default 8 MiB; at least one block of 4 KiB.
    pub step_bytes: u64,
}

impl StreamOptions {
    /// The default layout.
    pub const fn new(disk_id: DiskId) -> Self {
        Self { disk_id, segment_bytes: 64 << 20, step_bytes: 8 << 20 }
    }
}

/// What [`RecordStream::open`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Segments in use.
    pub segments: u64,
    /// Records read back.
    pub records: u64,
    /// The torn group that was cut, if there was one: a crash interrupted its write.
    pub torn: Option<TornTail>,
}

/// Why a group was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A record breaks a bound. Nothing was written and the stream is as it was.
    #[error("record {field} is {value}, the largest allowed is {limit}")]
    OutOfBounds {
        /// `kind`, `payload length` or `records in its group`.
        field: &'static str,
        /// What came.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The disk failed, now or earlier. Nothing more can be appended; whether this group is durable
    /// is unknown.
    #[error(transparent)]
    Fault(#[from] DiskFault),
}

/// The stream, positioned at its end. One owner; every call returns when the disk is done.
pub struct RecordStream {
    disk: Arc<dyn Disk>,
    options: StreamOptions,
    oldest: u64,
    segment: SegmentFile,
    next_sequence: u64,
    last_group: u64,
    life: u64,
    chain: u32,
    buffer: Vec<u8>,
    fault: Option<DiskFault>,
}

impl fmt::Debug for RecordStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordStream")
            .field("next_position", &self.segment.position())
            .field("last_group", &self.last_group)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl RecordStream {
    /// Largest kind a caller may use; the ones above are the stream's own.
    pub const KIND_MAX: u8 = 239;
    /// Largest payload of one record.
    pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;
    /// Most records of one group, the carried ones included.
    pub const GROUP_RECORDS_MAX: usize = 1 << 24;

    /// Reads all records back, in order, cuts a torn tail, and makes everything it returns durable.
    /// On an empty disk it makes the first segment.
    ///
    /// # Errors
    /// [`OpenError`]; except for [`OpenError::Fault`] nothing was modified.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: StreamOptions,
    ) -> Result<(Self, Vec<Record>, OpenReport), OpenError> {
        let Inspection { records, segments, leftovers, tail, torn } =
            inspect(&*disk, options.disk_id)?;
        let oldest = segments.first().copied().unwrap_or(1);
        let stream = match tail {
            Some(tail) => Self::resume(disk, options, oldest, tail)?,
            None => Self::begin(disk, options)?,
        };
        stream.remove_segments(&leftovers)?;
        // What was read back is relied on from here: the manifest now says that it is durable.
        stream.replace_manifest()?;
        let report = OpenReport {
            segments: segments.len().max(1) as u64,
            records: records.len() as u64,
            torn,
        };
        Ok((stream, records, report))
    }

    /// The number of the newest group; it and all before it are synced. Groups are counted from the
    /// first of the disk on, through all segments, and a start finds at least as many as were synced.
    pub const fn synced_group(&self) -> u64 {
        self.last_group
    }

    /// Appends `records` as one group: all of them are durable when this returns `Ok`. After a crash
    /// before that, all of them are there or none. An empty group does nothing but, with `seal`,
    /// seal what is there: so one more group is synced than before, unless there is nothing at all.
    ///
    /// When the group starts a segment, `carry` is called and its records are put first: the
    /// caller's summary (say current vote, purge point, committed) of everything appended before, so
    /// that older segments are not needed for it. They come back at [`RecordStream::open`] like any
    /// others, so replaying one twice must do no harm.
    ///
    /// `seal`: a second sync follows, after which damage to this group can never be mistaken for a
    /// torn write.
    ///
    /// Returns where the group starts.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_group(
        &mut self,
        records: &[RecordRef<'_>],
        carry: impl FnOnce() -> Vec<OwnedRecord>,
        seal: bool,
    ) -> Result<GroupPosition, AppendError> {
        records.iter().try_for_each(check_bounds)?;
        if !records.is_empty() {
            self.latching(|stream| stream.roll_if_full(records))?;
        }
        let carried = match self.segment.is_empty() && (seal || !records.is_empty()) {
            true => carry(),
            false => Vec::new(),
        };
        let carried: Vec<RecordRef<'_>> = carried.iter().map(OwnedRecord::borrow).collect();
        carried.iter().try_for_each(check_bounds)?;
        let group: Vec<RecordRef<'_>> = carried.iter().chain(records).copied().collect();
        within("records in its group", group.len() as u64, Self::GROUP_RECORDS_MAX as u64)?;
        let position = self.segment.position();
        self.latching(|stream| {
            if !group.is_empty() {
                stream.write_group(&group)?;
            }
            if seal && !stream.segment.is_empty() {
                stream.write_seal()?;
            }
            Ok(())
        })?;
        Ok(position)
    }

    /// Removes, durably, every segment before the one `position` lies in. The newest segment that
    /// holds a group always stays. Returns how many were removed.
    ///
    /// # Errors
    /// [`DiskFault`], which latches like any other.
    pub fn remove_segments_before(&mut self, position: GroupPosition) -> Result<u64, DiskFault> {
        // A segment without a group does not carry the summary yet.
        let newest_needed = self.segment.number - u64::from(self.segment.is_empty());
        let oldest = position.segment.min(newest_needed);
        if oldest <= self.oldest {
            return self.latching(|_| Ok(0));
        }
        let removed: Vec<u64> = (self.oldest..oldest).collect();
        self.latching(|stream| {
            stream.oldest = oldest;
            stream.replace_manifest()?;
            stream.remove_segments(&removed)
        })?;
        Ok(removed.len() as u64)
    }

    /// Zero-fills the next stretch of the segment if little is left, so that a later append need
    /// not. To be called when there is nothing else to do.
    ///
    /// # Errors
    /// [`DiskFault`], which latches like any other.
    pub fn extend_ahead(&mut self) -> Result<(), DiskFault> {
        self.latching(|stream| {
            let options = stream.options;
            let ahead = stream.segment.end + options.step_bytes / 2;
            stream.segment.extend(ahead.min(options.segment_bytes), options.step_bytes)
        })
    }

    /// Runs what writes, and remembers the first fault for ever.
    fn latching<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, DiskFault>,
    ) -> Result<T, DiskFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.latched());
        }
        write(self).inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    fn begin(disk: Arc<dyn Disk>, options: StreamOptions) -> Result<Self, DiskFault> {
        let head = Head {
            disk_id: options.disk_id,
            segment: 1,
            first_sequence: 1,
            first_group: 1,
            previous_end: 0,
            previous_chain: 0,
        };
        let segment = SegmentFile::create(&*disk, &head, options.step_bytes)?;
        Ok(Self {
            disk,
            options,
            oldest: 1,
            segment,
            next_sequence: 1,
            last_group: 0,
            life: 1,
            chain: 0,
            buffer: Vec::new(),
            fault: None,
        })
    }

    fn resume(
        disk: Arc<dyn Disk>,
        options: StreamOptions,
        oldest: u64,
        tail: Tail,
    ) -> Result<Self, DiskFault> {
        let Tail { next_sequence, last_group, life, chain, .. } = tail;
        let segment = SegmentFile::reopen(&*disk, tail)?;
        // A name that an earlier process gave, and did not live to sync. The manifest must not be
        // durable before it.
        disk.sync_directory()
            .map_err(|e| DiskFault::new(Operation::SyncDirectory, &segment.name, e))?;
        Ok(Self {
            disk,
            options,
            oldest,
            segment,
            next_sequence,
            last_group,
            life,
            chain,
            buffer: Vec::new(),
            fault: None,
        })
    }

    fn roll_if_full(&mut self, records: &[RecordRef<'_>]) -> Result<(), DiskFault> {
        let bytes = group_bytes(records.iter().map(|record| record.payload.len()));
        if self.segment.is_empty() || self.segment.end + bytes <= self.options.segment_bytes {
            return Ok(());
        }
        let head = Head {
            disk_id: self.options.disk_id,
            segment: self.segment.number + 1,
            first_sequence: self.next_sequence,
            first_group: self.last_group + 1,
            previous_end: self.segment.end,
            previous_chain: self.chain,
        };
        self.segment = SegmentFile::create(&*self.disk, &head, self.options.step_bytes)?;
        self.replace_manifest()
    }

    fn write_seal(&mut self) -> Result<(), DiskFault> {
        self.write_group(&[RecordRef { kind: SEAL, payload: &[] }])
    }

    fn write_group(&mut self, records: &[RecordRef<'_>]) -> Result<(), DiskFault> {
        let place = GroupPlace {
            salt: self.segment.salt,
            offset: self.segment.end,
            group: self.last_group + 1,
            first_sequence: self.next_sequence,
            life: self.life,
        };
        let chain = encode_group(&mut self.buffer, place, self.chain, records.iter().copied());
        self.segment.append(&self.buffer, self.options.step_bytes)?;
        self.chain = chain;
        self.last_group += 1;
        self.next_sequence += records.len() as u64;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        self.segment.write_mark(self.last_group)
    }

    fn replace_manifest(&self) -> Result<(), DiskFault> {
        let manifest = Manifest {
            disk_id: self.options.disk_id,
            oldest: self.oldest,
            newest: self.segment.number,
            synced: self.last_group,
            life: self.life,
        };
        manifest.replace(&*self.disk)
    }

    /// The manifest already says that these do not count.
    fn remove_segments(&self, numbers: &[u64]) -> Result<(), DiskFault> {
        for number in numbers {
            let name = file_name(*number);
            self.disk.remove(&name).map_err(|e| DiskFault::new(Operation::Remove, &name, e))?;
        }
        match numbers {
            [] => Ok(()),
            _ => self
                .disk
                .sync_directory()
                .map_err(|e| DiskFault::new(Operation::SyncDirectory, "removed segments", e)),
        }
    }
}

impl OwnedRecord {
    fn borrow(&self) -> RecordRef<'_> {
        RecordRef { kind: self.kind, payload: &self.payload }
    }
}

fn within(field: &'static str, value: u64, limit: u64) -> Result<(), AppendError> {
    match value <= limit {
        true => Ok(()),
        false => Err(AppendError::OutOfBounds { field, value, limit }),
    }
}

fn check_bounds(record: &RecordRef<'_>) -> Result<(), AppendError> {
    within("kind", record.kind.into(), RecordStream::KIND_MAX.into())?;
    within("payload length", record.payload.len() as u64, RecordStream::PAYLOAD_BYTES_MAX as u64)
}
