//! Why a store cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use redb::DatabaseError;

use crate::fault::StorageFault;
use crate::tables::FORMAT;

/// What to do about damage: there is one disk, and nobody else knows what was on it.
const ADVICE: &str =
    "put back a copy of the data directory, with `floor` above every token issued so far";

/// Why a store cannot be opened, or is not well. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made, entered or synced.
    #[error("the data directory {} cannot be used: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{} is in use by another process", .path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// There is nothing to verify.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// The file was made by a later version of this program.
    #[error("{} has format {found}; this program knows formats up to {FORMAT}. If no later one ever ran here, {ADVICE}", .path.display())]
    Format {
        /// The database file.
        path: PathBuf,
        /// The format it has.
        found: u64,
    },
    /// The file is a database, but not a store.
    #[error("{} is not the database of a store; {ADVICE}", .path.display())]
    NotAStore {
        /// The database file.
        path: PathBuf,
    },
    /// The directory belongs to another lease cluster than the configured one.
    #[error("cluster_id: {configured:?} is not allowed: {} belongs to cluster {pinned:?}", .path.display())]
    WrongCluster {
        /// The database file.
        path: PathBuf,
        /// What the configuration says.
        configured: String,
        /// What the store remembers.
        pinned: String,
    },
    /// The database lacks commits that were answered: it is damaged, or an old copy.
    #[error(
        "{} is at commit {found}, but commit {answered} was answered: it is damaged, or it is an old \
         copy. To go on with what it holds, set `floor` above every token issued so far and remove \
         {}", .path.display(), .witness.display()
    )]
    Behind {
        /// The database file.
        path: PathBuf,
        /// The witness file.
        witness: PathBuf,
        /// The database's last commit.
        found: u64,
        /// The last commit that was answered.
        answered: u64,
    },
    /// The database is another store's than the one its witness tells of.
    #[error(
        "{} belongs to another store than {}: one of the two was replaced; {ADVICE}",
        .path.display(), .witness.display()
    )]
    OtherStore {
        /// The database file.
        path: PathBuf,
        /// The witness file.
        witness: PathBuf,
    },
    /// Its contents contradict each other.
    #[error("{} is damaged: {}; {ADVICE}", .path.display(), .broken.join("; "))]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The invariants that do not hold, and where.
        broken: Vec<String>,
    },
    /// The database could not read, write or sync.
    #[error("{}: {source}; where that means damage, {ADVICE}", .path.display())]
    Storage {
        /// The database file.
        path: PathBuf,
        /// What failed.
        source: StorageFault,
    },
}

/// What the database library said about its file.
pub(crate) fn from_database_error(error: DatabaseError, path: &Path) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        error => OpenError::Storage { path, source: error.into() },
    }
}
