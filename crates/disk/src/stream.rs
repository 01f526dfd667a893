//! The record stream: one ordered log of records in segment files.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Disk, DiskFault, DiskId};

/// One record to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The caller's meaning, `0..=RecordStream::KIND_MAX`.
    pub kind: u8,
    /// Up to [`RecordStream::PAYLOAD_BYTES_MAX`] bytes; may be empty.
    pub payload: &'a [u8],
}

/// One record of the caller's summary, see [`RecordStream::append_group`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The caller's meaning, `0..=RecordStream::KIND_MAX`.
    pub kind: u8,
    /// Up to [`RecordStream::PAYLOAD_BYTES_MAX`] bytes; may be empty.
    pub payload: Bytes,
}

/// One record read back at [`RecordStream::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its group starts. What the record holds is kept until
    /// [`RecordStream::remove_segments_before`] is called with a position in a later segment.
    pub position: GroupPosition,
    /// The caller's meaning.
    pub kind: u8,
    /// As appended.
    pub payload: Bytes,
}

/// Where a group of records starts. Later groups are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupPosition {
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Byte offset within it.
    pub offset: u64,
}

/// How a stream is laid out. Sizes may differ from one start to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Whose records these are. Mixed into every checksum: a segment or record of another disk is
    /// never taken for one of this, nor can a payload imitate a record.
    pub disk_id: DiskId,
    /// A segment that would grow above this is followed by a new one. Default 64 MiB. One group larger than that gets a
    /// segment of its own.
    pub segment_bytes: u64,
    /// Segments are zero-filled this far ahead. Default 8 MiB.
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

/// A group that was being written when the power failed; it was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: String,
    /// The group is cut from this byte on.
    pub offset: u64,
    /// Records of the group before the cut, which stay.
    pub records_kept: u64,
}

/// Why a stream cannot be opened. Nothing was modified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// Records that were durable once are no longer there as they were.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The file was written by another version of this program.
    #[error("{file} has format version {found}, this program reads {supported}")]
    UnsupportedVersion {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// What this program reads and writes.
        supported: u32,
    },
    /// The file belongs to another disk.
    #[error("{file} belongs to disk {found}, not to this disk {expected}")]
    ForeignDisk {
        /// The file.
        file: String,
        /// This disk.
        expected: DiskId,
        /// The disk in the file.
        found: DiskId,
    },
    /// The disk failed.
    #[error(transparent)]
    Fault(#[from] DiskFault),
}

/// Damage: where, what and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: {what}; {advice}")]
pub struct Damage {
    /// The file.
    pub file: String,
    /// First byte that is not as it must be.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
    /// What the operator should do.
    pub advice: &'static str,
}

/// Why a group was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A record breaks a bound. Nothing was written and the stream is as it was.
    #[error("record {field} is {value}, the largest allowed is {limit}")]
    OutOfBounds {
        /// `kind`, `payload length` or `records of a group`.
        field: &'static str,
        /// What came.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The disk failed, now or earlier. Nothing more can be appended; whether this group is durable is unknown.
    #[error(transparent)]
    Fault(#[from] DiskFault),
}

/// The stream, positioned at its end. One owner; every call returns when the disk is done.
#[derive(Debug)]
pub struct RecordStream {
    _disk: Arc<dyn Disk>,
}

impl RecordStream {
    /// Largest kind a caller may use; the ones above are the stream's own.
    pub const KIND_MAX: u8 = 239;
    /// Largest payload of one record.
    pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

    /// Reads all records back, in order, cuts a torn tail, and makes everything it returns durable.
    /// On an empty disk it makes the first segment.
    ///
    /// # Errors
    /// [`OpenError`]; except for [`OpenError::Fault`] nothing was modified.
    pub fn open(
        _disk: Arc<dyn Disk>,
        _options: StreamOptions,
    ) -> Result<(Self, Vec<Record>, OpenReport), OpenError> {
        Err(pending().into())
    }

    /// Appends `records` as one group: all of them are durable when this returns `Ok`. After a crash
    /// before that, any prefix of them may be there. An empty group does nothing but, with `seal`, seal what is there.
    ///
    /// When the group starts a segment, `carry` is called and its records are put first: the caller's summary
    /// (say current vote, purge point, committed) of everything appended before, so that older segments are
    /// not needed for it. They come back at [`RecordStream::open`] like any others, so replaying one twice must do no harm.
    ///
    /// `seal`: a second sync follows, after which damage to this group can never be mistaken for a torn write.
    ///
    /// Returns where the group starts.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_group(
        &mut self,
        _records: &[RecordRef<'_>],
        _carry: impl FnOnce() -> Vec<OwnedRecord>,
        _seal: bool,
    ) -> Result<GroupPosition, AppendError> {
        Err(pending().into())
    }

    /// Removes, durably, every segment before the one `position` lies in. The newest segment that holds a group always stays.
    /// Returns how many were removed.
    ///
    /// # Errors
    /// [`DiskFault`], which latches like any other.
    pub fn remove_segments_before(&mut self, _position: GroupPosition) -> Result<u64, DiskFault> {
        Err(pending())
    }

    /// Zero-fills the next stretch of the segment if little is left, so that a later append need not. To be
    /// called when there is nothing else to do.
    ///
    /// # Errors
    /// [`DiskFault`], which latches like any other.
    pub fn extend_ahead(&mut self) -> Result<(), DiskFault> {
        Err(pending())
    }

    /// Bytes of all segments on disk, preallocated space included.
    pub fn bytes_on_disk(&self) -> u64 {
        0
    }
}

fn pending() -> DiskFault {
    DiskFault::new(
        crate::Operation::Open,
        "stream",
        std::io::Error::from(std::io::ErrorKind::Unsupported),
    )
}
