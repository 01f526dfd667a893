//! Checking a stopped store's database from end to end.

use redb::Database;

use crate::config::Config;
use crate::contents::broken_invariants;
use crate::directory;
use crate::fault::StorageFault;
use crate::open::builder;
use crate::open_error::{OpenError, from_database_error};
use crate::setup::{check_format, refuse_if_behind};
use crate::snapshot::{Counters, Snapshot};
use crate::witness::Witness;

/// What a check found. There is nothing to repair in it: damage is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// What the store holds.
    pub counters: Counters,
}

/// Reads the whole database of a stopped store and checks it: the checksum of every page, every row,
/// and what must be true between rows. Changes no data; after a crash it completes the repair that
/// the next start would do.
///
/// # Errors
/// [`OpenError::InUse`] when the store is running, [`OpenError::Missing`] when there is none, and
/// whatever is wrong with it.
pub fn verify(config: &Config) -> Result<VerifyReport, OpenError> {
    let path = directory::database(&config.data_dir);
    if !path.exists() {
        return Err(OpenError::Missing { path });
    }
    let at_path = |source: StorageFault| OpenError::Storage { path: path.clone(), source };
    let database = builder(true).open(&path).map_err(|error| from_database_error(error, &path))?;
    check_format(&database, &path)?;
    let counters = check(&database, config)?;
    database.close().map_err(|error| at_path(error.into()))?;
    Ok(VerifyReport { counters })
}

fn check(database: &Database, config: &Config) -> Result<Counters, OpenError> {
    let path = directory::database(&config.data_dir);
    let at_path = |source: StorageFault| OpenError::Storage { path: path.clone(), source };
    let snapshot = Snapshot::take(database).map_err(at_path)?;
    let counters = snapshot.counters().map_err(at_path)?;
    let testimony = Witness::read(&directory::witness(&config.data_dir))
        .map_err(|error| at_path(error.into()))?;
    refuse_if_behind(&path, Some(counters.store_id), counters.commits, testimony)?;
    let broken = broken_invariants(&snapshot).map_err(at_path)?;
    if !broken.is_empty() {
        return Err(OpenError::Damaged { path, broken });
    }
    Ok(counters)
}
