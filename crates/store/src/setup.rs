//! The first transaction of every start: format, cluster, floor.

use std::path::Path;

use leasehold_fence::Floor;
use redb::{Database, ReadableTable, Table, WriteTransaction};
use tracing::warn;

use crate::directory;
use crate::fault::StorageFault;
use crate::group::read_number;
use crate::open::Options;
use crate::open_error::OpenError;
use crate::snapshot::Snapshot;
use crate::storage::commit;
use crate::tables::{FORMAT, MARKS, MarkRow, NAMES, NUMBERS, VALUES, ValueRow, name, number};
use crate::witness::Testimony;

/// Makes the tables, checks the format, pins the cluster and raises the floor, all durable before the
/// first request. Answers the floor in force.
pub(crate) fn first_transaction(
    database: &Database,
    path: &Path,
    options: &Options,
    testimony: Testimony,
) -> Result<Floor, OpenError> {
    let at_path = |source| OpenError::Storage { path: path.to_owned(), source };
    let txn = database.begin_write().map_err(|error| at_path(error.into()))?;
    let fresh = is_empty(&txn).map_err(at_path)?;
    let new_id = getrandom::u64().map_err(|error| at_path(StorageFault::Random(error)))?;
    let setup = (|| -> Result<_, StorageFault> {
        let (mut numbers, mut names) = (txn.open_table(NUMBERS)?, txn.open_table(NAMES)?);
        let (mut marks, values) = (txn.open_table(MARKS)?, txn.open_table(VALUES)?);
        if fresh {
            numbers.insert(number::FORMAT, FORMAT)?;
            numbers.insert(number::STORE_ID, new_id)?;
        }
        let format = read_number(&numbers, number::FORMAT)?;
        let pinned = pin_configured_cluster(&mut names, options.cluster_id.as_deref())?;
        let floor = raise_floor(&mut numbers, &mut marks, &values, options.floor)?;
        let store_id = read_number(&numbers, number::STORE_ID)?;
        let commits = read_number(&numbers, number::COMMITS)?;
        numbers.insert(number::COMMITS, commits.saturating_add(1))?;
        Ok((format, pinned, floor, store_id, commits))
    })();
    let (format, pinned, floor, store_id, commits) = setup.map_err(at_path)?;
    // What is refused here is not committed.
    refuse_other_format(format, path)?;
    refuse_if_behind(path, (!fresh).then_some(store_id), commits, testimony)?;
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

/// Refuses a database that lacks commits which were answered, or that another store answered. A new
/// one has no id that could be another's.
pub(crate) fn refuse_if_behind(
    path: &Path,
    store_id: Option<u64>,
    found: u64,
    testimony: Testimony,
) -> Result<(), OpenError> {
    let witness = path.with_file_name(directory::WITNESS);
    match testimony {
        Testimony::Commits { store, .. } if store_id.is_some_and(|id| id != store) => {
            Err(OpenError::OtherStore { path: path.to_owned(), witness })
        }
        Testimony::Commits { commits: answered, .. } if answered > found => {
            Err(OpenError::Behind { path: path.to_owned(), witness, found, answered })
        }
        Testimony::Commits { .. } => Ok(()),
        Testimony::None if found == 0 => Ok(()),
        Testimony::None | Testimony::Unreadable => {
            warn!("there is no readable witness: the database is taken at its word");
            Ok(())
        }
    }
}
