//! Opening a store: whose directory, whose file, which format, which floor, which cluster.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leasehold_fence::Floor;
use redb::{
    Builder, Database, DatabaseError, ReadableTable, StorageBackend, Table, WriteTransaction,
};
use tracing::{info, warn};

use crate::config::Config;
use crate::contents::broken_invariants;
use crate::directory;
use crate::fault::StorageFault;
use crate::group::{Rules, read_number};
use crate::snapshot::Snapshot;
use crate::storage::{Storage, commit};
use crate::tables::{FORMAT, MARKS, MarkRow, NAMES, NUMBERS, VALUES, ValueRow, name, number};
use crate::witness::{Testimony, Witness};

/// The database's page cache. Small beside the kernel's, which holds the same pages.
const CACHE_BYTES: usize = 128 << 20;

/// Why a store cannot be opened.
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
    #[error("{} has format {found}; this program knows formats up to {FORMAT}", .path.display())]
    Format {
        /// The database file.
        path: PathBuf,
        /// The format it has.
        found: u64,
    },
    /// The file is a database, but not a store.
    #[error("{} is not the database of a store", .path.display())]
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
    /// Its contents contradict each other.
    #[error("{} is damaged: {}", .path.display(), .broken.join("; "))]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The invariants that do not hold, and where.
        broken: Vec<String>,
    },
    /// The database could not read, write or sync.
    #[error("{}: {source}", .path.display())]
    Storage {
        /// The database file.
        path: PathBuf,
        /// What failed.
        source: StorageFault,
    },
}

/// What opening needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) floor: Floor,
    pub(crate) cluster_id: Option<String>,
    pub(crate) resources_max: u64,
    pub(crate) verify: bool,
}

impl From<&Config> for Options {
    fn from(config: &Config) -> Self {
        Self {
            floor: config.floor,
            cluster_id: config.cluster_id.clone(),
            resources_max: config.resources_max,
            verify: config.verify_on_open,
        }
    }
}

/// Opens the store in a directory, making both where they are not there.
pub(crate) fn open_directory(dir: &Path, options: &Options) -> Result<Storage, OpenError> {
    let at_directory = |source| OpenError::Directory { path: dir.to_owned(), source };
    directory::prepare(dir).map_err(at_directory)?;
    let path = directory::database(dir);
    let database =
        builder(options.verify).create(&path).map_err(|error| from_database_error(error, &path))?;
    let mut storage = prepare(database, &path, options)?;
    storage.set_witness(open_witness(dir, storage.commits())?);
    // Without this a power cut may take back the very existence of the files.
    directory::sync(dir).map_err(at_directory)?;
    Ok(storage)
}

/// Opens a store on a backend of its own, without a witness.
#[cfg_attr(not(test), expect(dead_code, reason = "for tests that cut the power"))]
pub(crate) fn open_backend(
    backend: impl StorageBackend,
    options: &Options,
) -> Result<Storage, OpenError> {
    let path = Path::new("(a backend)");
    let database = builder(options.verify)
        .create_with_backend(backend)
        .map_err(|error| from_database_error(error, path))?;
    prepare(database, path, options)
}

pub(crate) fn builder(verify: bool) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(verify);
    builder.set_repair_callback(|session| {
        info!(progress = session.progress(), "reading the whole database to check it");
    });
    builder
}

pub(crate) fn from_database_error(error: DatabaseError, path: &Path) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        error => OpenError::Storage { path, source: error.into() },
    }
}

fn prepare(database: Database, path: &Path, options: &Options) -> Result<Storage, OpenError> {
    let floor = first_transaction(&database, path, options)?;
    let rules = Rules { floor, resources_max: options.resources_max };
    let at_path = |source| OpenError::Storage { path: path.to_owned(), source };
    let snapshot = Snapshot::take(&database).map_err(at_path)?;
    if options.verify {
        let broken = broken_invariants(&snapshot).map_err(at_path)?;
        if !broken.is_empty() {
            return Err(OpenError::Damaged { path: path.to_owned(), broken });
        }
    }
    let counters = snapshot.counters().map_err(at_path)?;
    drop(snapshot);
    Ok(Storage::new(Arc::new(database), rules, counters.commits))
}

/// Makes the tables, checks the format, pins the cluster and raises the floor, all durable before the
/// first request. Answers the floor in force.
fn first_transaction(
    database: &Database,
    path: &Path,
    options: &Options,
) -> Result<Floor, OpenError> {
    let at_path = |source| OpenError::Storage { path: path.to_owned(), source };
    let txn = database.begin_write().map_err(|error| at_path(error.into()))?;
    let fresh = is_empty(&txn).map_err(at_path)?;
    let setup = (|| -> Result<_, StorageFault> {
        let (mut numbers, mut names) = (txn.open_table(NUMBERS)?, txn.open_table(NAMES)?);
        let (mut marks, values) = (txn.open_table(MARKS)?, txn.open_table(VALUES)?);
        if fresh {
            numbers.insert(number::FORMAT, FORMAT)?;
        }
        let format = read_number(&numbers, number::FORMAT)?;
        let pinned = pin_configured_cluster(&mut names, options.cluster_id.as_deref())?;
        let floor = raise_floor(&mut numbers, &mut marks, &values, options.floor)?;
        let commits = read_number(&numbers, number::COMMITS)?;
        numbers.insert(number::COMMITS, commits.saturating_add(1))?;
        Ok((format, pinned, floor))
    })();
    let (format, pinned, floor) = setup.map_err(at_path)?;
    // What is refused here is not committed.
    refuse_other_format(format, path)?;
    refuse_other_cluster(options.cluster_id.as_deref(), pinned, path)?;
    commit(txn).map_err(at_path)?;
    Ok(floor)
}

fn is_empty(txn: &WriteTransaction) -> Result<bool, StorageFault> {
    Ok(txn.list_tables()?.next().is_none())
}

/// Refuses a database of a later format, or of another program.
pub(crate) fn check_format(database: &Database, path: &Path) -> Result<(), OpenError> {
    let found = match Snapshot::take(database).and_then(|snapshot| snapshot.format()) {
        Ok(found) => found,
        Err(StorageFault::Database(error)) if is_about_tables(&error) => 0,
        Err(source) => return Err(OpenError::Storage { path: path.to_owned(), source }),
    };
    refuse_other_format(found, path)
}

fn is_about_tables(error: &redb::Error) -> bool {
    use redb::Error::{TableDoesNotExist, TableIsMultimap, TableTypeMismatch};
    matches!(error, TableDoesNotExist(_) | TableIsMultimap(_) | TableTypeMismatch { .. })
}

fn refuse_other_format(found: u64, path: &Path) -> Result<(), OpenError> {
    let path = path.to_owned();
    match found {
        FORMAT => Ok(()),
        0 => Err(OpenError::NotAStore { path }),
        found => Err(OpenError::Format { path, found }),
    }
}

/// Answers the cluster the store belongs to after this.
fn pin_configured_cluster(
    names: &mut Table<'_, &'static str, &'static str>,
    configured: Option<&str>,
) -> Result<Option<String>, StorageFault> {
    let pinned = names.get(name::CLUSTER_ID)?.map(|id| id.value().to_owned());
    if let (None, Some(configured)) = (&pinned, configured) {
        names.insert(name::CLUSTER_ID, configured)?;
        return Ok(Some(configured.to_owned()));
    }
    Ok(pinned)
}

fn refuse_other_cluster(
    configured: Option<&str>,
    pinned: Option<String>,
    path: &Path,
) -> Result<(), OpenError> {
    match (configured, pinned) {
        (Some(configured), Some(pinned)) if configured != pinned => Err(OpenError::WrongCluster {
            path: path.to_owned(),
            configured: configured.to_owned(),
            pinned,
        }),
        _ => Ok(()),
    }
}

/// The stored floor is never lowered: a smaller setting leaves it where it is.
///
/// Marks below the floor are dropped, since no token they would refuse gets past it; but not those
/// of resources that have keys, because the marks are what counts the resources.
fn raise_floor(
    numbers: &mut Table<'_, &'static str, u64>,
    marks: &mut Table<'_, &'static str, MarkRow>,
    values: &Table<'_, (&'static str, &'static str), ValueRow>,
    configured: Floor,
) -> Result<Floor, StorageFault> {
    let stored = Floor::new(read_number(numbers, number::FLOOR)?);
    if configured < stored && configured != Floor::NONE {
        warn!(%configured, %stored, "the stored floor is higher and stays in force");
    }
    let floor = stored.raised_to(configured);
    if floor == stored {
        return Ok(stored);
    }
    numbers.insert(number::FLOOR, floor.get())?;
    let mut failed = None;
    marks.retain(|resource, (token, _, _)| {
        if token >= floor.get() {
            return true;
        }
        has_keys(values, resource).unwrap_or_else(|fault| {
            failed = Some(fault);
            true
        })
    })?;
    failed.map_or(Ok(floor), Err)
}

fn has_keys(
    values: &impl ReadableTable<(&'static str, &'static str), ValueRow>,
    resource: &str,
) -> Result<bool, StorageFault> {
    match values.range((resource, "")..)?.next() {
        Some(row) => Ok(row?.0.value().0 == resource),
        None => Ok(false),
    }
}

/// Compares the database with what was answered, and opens the witness for what will be.
fn open_witness(dir: &Path, found: u64) -> Result<Witness, OpenError> {
    let path = directory::witness(dir);
    let at_directory = |source| OpenError::Directory { path: dir.to_owned(), source };
    let (mut witness, testimony) = Witness::open(&path).map_err(at_directory)?;
    match testimony {
        Testimony::Commits(answered) => refuse_if_behind(dir, found, answered)?,
        // The very first start.
        Testimony::None if found <= 1 => {}
        Testimony::None | Testimony::Unreadable => {
            warn!(path = %path.display(), "no readable witness: the database is taken at its word");
        }
    }
    witness.note_durably(found).map_err(at_directory)?;
    Ok(witness)
}

/// Compares the database with what was answered, and changes nothing.
pub(crate) fn check_witness(dir: &Path, found: u64) -> Result<(), OpenError> {
    let read = Witness::read(&directory::witness(dir));
    match read.map_err(|source| OpenError::Directory { path: dir.to_owned(), source })? {
        Testimony::Commits(answered) => refuse_if_behind(dir, found, answered),
        Testimony::None | Testimony::Unreadable => Ok(()),
    }
}

fn refuse_if_behind(dir: &Path, found: u64, answered: u64) -> Result<(), OpenError> {
    if answered <= found {
        return Ok(());
    }
    let (path, witness) = (directory::database(dir), directory::witness(dir));
    Err(OpenError::Behind { path, witness, found, answered })
}
