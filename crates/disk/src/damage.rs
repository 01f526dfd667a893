//! Why a stream cannot be opened, in words an operator can act on.

use crate::identity::DiskId;
use crate::{DiskFault, ReadError};

/// What to do about damage. There is one answer: the others still have what this disk lost.
pub const ADVICE: &str = "do not delete or restore single files, a node that forgot must not vote: \
     replace this node by one with a new id and an empty data directory";

/// Why a stream cannot be opened. Nothing was modified, except perhaps after [`OpenError::Fault`].
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
    #[error("{file} belongs to disk {found}, not to this disk {expected}; {ADVICE}")]
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

/// Where the stream is damaged, how that is known, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: {harm}; {}", self.advice())]
pub struct Damage {
    /// The file.
    pub file: String,
    /// First byte that is not as it must be.
    pub offset: u64,
    /// What is wrong with it.
    pub harm: Harm,
}

impl Damage {
    pub(crate) fn new(file: impl Into<String>, offset: u64, harm: Harm) -> Self {
        Self { file: file.into(), offset, harm }
    }

    /// What the operator should do.
    pub const fn advice(&self) -> &'static str {
        ADVICE
    }
}

/// Kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Harm {
    /// A record that was durable is gone or altered.
    #[error("a record of group {group} is not there although it was durable, as {proof} proves")]
    RecordLost {
        /// Its group's number in the stream.
        group: u64,
        /// How that is known.
        proof: Proof,
    },
    /// A segment's first block is altered, or not that of a segment.
    #[error("it does not start like a segment")]
    HeadUnreadable,
    /// A segment has another one's name.
    #[error("it holds segment {found}: files were swapped or renamed")]
    WrongSegment {
        /// The segment that it is.
        found: u64,
    },
    /// Two segments do not belong together.
    #[error("it does not continue segment {previous}: one of the two is from another time")]
    Discontinued {
        /// The segment before it.
        previous: u64,
    },
    /// A segment is gone.
    #[error("the file is missing")]
    Missing,
    /// The manifest knows less than the segments.
    #[error("it knows no segment after {newest}, but there are: it is an old copy")]
    OldManifest {
        /// The newest segment it knows.
        newest: u64,
    },
    /// A small file is altered.
    #[error("{0}")]
    WholeFile(&'static str),
}

/// What shows that a record was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Proof {
    /// A record that was written only after that group was synced.
    #[error("the later record at byte {offset}")]
    LaterRecord {
        /// Where that is in the same segment.
        offset: u64,
    },
    /// A later segment.
    #[error("the next segment")]
    NextSegment,
    /// The mark in the segment's head.
    #[error("the mark in its head")]
    Mark,
    /// The manifest.
    #[error("the manifest")]
    Manifest,
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged { file, what } => Damage::new(file, 0, Harm::WholeFile(what)).into(),
            ReadError::UnsupportedVersion { file, found, supported } => {
                Self::UnsupportedVersion { file, found, supported }
            }
            ReadError::Fault(fault) => fault.into(),
        }
    }
}
