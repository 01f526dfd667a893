//! Definite answers of "no" outside the lease state machine: from the fenced store and from a watch.

use alloc::string::String;

/// The fenced store's ways to say no. Nothing was changed but, where said, the mark.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreRefusal {
    /// A larger token was seen on this resource: the writer lost its lease.
    #[error("token {token} is stale: this resource has seen token {mark_token}")]
    StaleToken {
        /// The token presented.
        token: u64,
        /// The mark's token.
        mark_token: u64,
        /// The mark's sequence.
        mark_sequence: u64,
    },
    /// A later write under this very token was seen: a late duplicate.
    #[error("sequence {sequence} is stale: token {mark_token} has written up to {mark_sequence}")]
    StaleSequence {
        /// The sequence presented.
        sequence: u64,
        /// The mark's token, which is the token presented.
        mark_token: u64,
        /// The mark's sequence.
        mark_sequence: u64,
    },
    /// The token is below the floor that was set when the store was restored.
    #[error("token {token} is below the floor {floor}")]
    BelowFloor {
        /// The token presented.
        token: u64,
        /// The smallest token accepted.
        floor: u64,
    },
    /// The token is from another lease cluster than the one this store was first written under.
    #[error("this store belongs to cluster {pinned:?}, not {presented:?}")]
    WrongCluster {
        /// The cluster id presented.
        presented: String,
        /// The cluster id remembered.
        pinned: String,
    },
    /// A key's version is not the expected one. The mark was raised, no data changed.
    #[error("key {key:?} has version {actual_version}, not {expected_version}")]
    VersionMismatch {
        /// Position of the mutation, from 0.
        mutation: u64,
        /// Its key.
        key: String,
        /// The version expected.
        expected_version: u64,
        /// The version found; 0 when the key is not there.
        actual_version: u64,
    },
    /// An append would make a value longer than is allowed. The mark was raised, no data changed.
    #[error("the value of {key:?} would have {bytes} bytes, more than {limit}")]
    ValueTooLarge {
        /// The key.
        key: String,
        /// The length it would have.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// The store remembers as many resources as it may.
    #[error("the store remembers as many resources as it may ({limit})")]
    TooManyResources {
        /// The setting.
        limit: u64,
    },
}

impl StoreRefusal {
    /// The stable upper-case word that travels as `ErrorInfo.reason`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::StaleToken { .. } => "STALE_TOKEN",
            Self::StaleSequence { .. } => "STALE_SEQUENCE",
            Self::BelowFloor { .. } => "BELOW_FLOOR",
            Self::WrongCluster { .. } => "WRONG_CLUSTER",
            Self::VersionMismatch { .. } => "VERSION_MISMATCH",
            Self::ValueTooLarge { .. } => "VALUE_TOO_LARGE",
            Self::TooManyResources { .. } => "TOO_MANY_RESOURCES",
        }
    }
}

/// Why a watch cannot start, or cannot go on, at the revision asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchRefusal {
    /// Events after that revision are no longer kept: list, then watch from the list's revision.
    #[error(
        "events after revision {asked} are no longer kept; the oldest to watch after is {oldest}"
    )]
    NotRetained {
        /// The revision asked for.
        asked: u64,
        /// The smallest `after_revision` that can still be served.
        oldest: u64,
    },
    /// The cluster has not reached that revision: it is from another cluster, or made up.
    #[error("revision {asked} is in the future; the cluster is at {current}")]
    InFuture {
        /// The revision asked for.
        asked: u64,
        /// The cluster's revision.
        current: u64,
    },
}

impl WatchRefusal {
    /// The stable upper-case word that travels as `ErrorInfo.reason`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotRetained { .. } => "REVISION_NOT_RETAINED",
            Self::InFuture { .. } => "REVISION_IN_FUTURE",
        }
    }
}
