//! The disk's ways to fail. Every one of them is fatal to the store.

use std::io;

use leasehold_types::Fault;

/// The database failed or holds what this program never wrote. The store answers nothing after it:
/// a sync that failed once may report success the next time with the data gone (PostgreSQL learned
/// it in 2018, "fsyncgate").
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageFault {
    /// The database could not read, write or sync.
    #[error("the database failed: {0}")]
    Database(Box<redb::Error>),
    /// A row holds bytes that no version of this program writes.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Which row, and what is wrong with it.
        what: String,
    },
    /// The witness could not be written.
    #[error("the file that witnesses commits failed: {0}")]
    Witness(#[from] io::Error),
    /// The system gave no randomness for the id of a new store.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The writer thread panicked.
    #[error("the writer thread panicked")]
    Panicked,
    /// A counter reached the end of `u64`.
    #[error("the counter {counter} is exhausted")]
    Exhausted {
        /// Its name.
        counter: &'static str,
    },
}

impl StorageFault {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// As told to clients.
    pub(crate) fn to_fault(&self) -> Fault {
        Fault::Storage { why: self.to_string() }
    }
}

macro_rules! from_redb {
    ($($error:ty),+) => {$(
        impl From<$error> for StorageFault {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )+};
}
from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError
);
