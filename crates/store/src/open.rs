//! Opening a store: whose directory, whose file, how far it had come.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use leasehold_fence::Floor;
use redb::{Builder, Database};
use tracing::info;

use crate::config::Config;
use crate::contents::broken_invariants;
use crate::directory;
use crate::group::Rules;
use crate::open_error::{OpenError, from_database_error};
use crate::setup::{first_transaction, refuse_if_behind};
use crate::snapshot::Snapshot;
use crate::storage::Storage;
use crate::witness::{Testimony, Witness};

/// The database's page cache. Small beside the kernel's, which holds the same pages.
const CACHE_BYTES: usize = 128 << 20;

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
    let (mut witness, testimony) =
        Witness::open(&directory::witness(dir)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { path: path.clone() },
            _ => at_directory(error),
        })?;
    if !path.try_exists().map_err(at_directory)? {
        refuse_if_behind(&path, None, 0, testimony)?;
        make_database(dir)?;
    }
    let database =
        builder(options.verify).open(&path).map_err(|error| from_database_error(error, &path))?;
    let mut storage = prepare(database, &path, options, testimony)?;
    witness.tells_of(storage.store_id());
    witness.note_durably(storage.commits()).map_err(at_directory)?;
    storage.set_witness(witness);
    // Without this a power cut may take back the very existence of the files.
    directory::sync(dir).map_err(at_directory)?;
    Ok(storage)
}

/// Makes an empty database beside its name and gives it the name when it is whole: the library
/// cannot open what a power cut leaves of one half made.
fn make_database(dir: &Path) -> Result<(), OpenError> {
    let at_directory = |source| OpenError::Directory { path: dir.to_owned(), source };
    let (unfinished, path) = (directory::unfinished(dir), directory::database(dir));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at_directory(error)),
        Ok(()) | Err(_) => {}
    }
    builder(false)
        .create(&unfinished)
        .and_then(Database::close)
        .map_err(|error| from_database_error(error, &unfinished))?;
    fs::rename(&unfinished, &path).map_err(at_directory)?;
    directory::sync(dir).map_err(at_directory)
}

/// Opens a store on a backend of its own, with nobody to witness what it commits from now on.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn open_backend(
    backend: impl redb::StorageBackend,
    options: &Options,
    testimony: Testimony,
) -> Result<Storage, OpenError> {
    let path = Path::new("(a backend)");
    let database = builder(options.verify)
        .create_with_backend(backend)
        .map_err(|error| from_database_error(error, path))?;
    prepare(database, path, options, testimony)
}

pub(crate) fn builder(verify: bool) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(verify);
    builder.set_repair_callback(|session| {
        info!(progress = session.progress(), "reading the whole database to check it");
    });
    builder
}

fn prepare(
    database: Database,
    path: &Path,
    options: &Options,
    testimony: Testimony,
) -> Result<Storage, OpenError> {
    let floor = first_transaction(&database, path, options, testimony)?;
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
    Ok(Storage::new(Arc::new(database), rules, counters.store_id, counters.commits))
}
