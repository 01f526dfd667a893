//! The one fault of this crate: the disk did not do what it was asked.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A disk operation failed: what became of it is unknown. Never retried here.
///
/// Cloneable, because a failed write or sync latches its owner: every later call gets the same
/// fault again, as [`DiskFault::Latched`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiskFault {
    /// This call's own operation failed.
    #[error("could not {operation} {file}")]
    Failed {
        /// What was asked.
        operation: Operation,
        /// Of which file.
        file: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An operation of an earlier call failed, and since then nothing is written any more: after a
    /// failed sync nobody can know what is durable. The process has to start anew.
    #[error(
        "an earlier write or sync failed (could not {operation} {file}); nothing is written until a restart"
    )]
    Latched {
        /// What was asked then.
        operation: Operation,
        /// Of which file.
        file: String,
        /// What the system said then.
        #[source]
        source: Arc<io::Error>,
    },
}

impl DiskFault {
    pub(crate) fn new(operation: Operation, file: &str, source: io::Error) -> Self {
        Self::Failed { operation, file: file.to_owned(), source: Arc::new(source) }
    }

    /// The same fault, as every later call reports it.
    pub(crate) fn latched(&self) -> Self {
        let (Self::Failed { operation, file, source } | Self::Latched { operation, file, source }) =
            self;
        Self::Latched { operation: *operation, file: file.clone(), source: source.clone() }
    }

    /// What the system said.
    pub fn io_kind(&self) -> io::ErrorKind {
        let (Self::Failed { source, .. } | Self::Latched { source, .. }) = self;
        source.kind()
    }
}

/// What a disk was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// List the directory.
    List,
    /// Read a file.
    Read,
    /// Create a file.
    Create,
    /// Open a file.
    Open,
    /// Write to a file.
    Write,
    /// Reserve space for a file.
    Allocate,
    /// Make a file durable.
    Sync,
    /// Rename a file.
    Rename,
    /// Remove a file.
    Remove,
    /// Make the directory durable.
    SyncDirectory,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Open => "open",
            Self::Write => "write",
            Self::Allocate => "allocate space for",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDirectory => "sync the directory of",
        })
    }
}
