//! The data directory: ours alone, and as durable as what is in it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The database's name.
pub(crate) const DATABASE: &str = "store.redb";
/// The witness's name.
pub(crate) const WITNESS: &str = "store.witness";

/// The database.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// A database that is being made.
pub(crate) fn unfinished(dir: &Path) -> PathBuf {
    dir.join("store.redb.new")
}

/// How far the database had come when its last request was answered.
pub(crate) fn witness(dir: &Path) -> PathBuf {
    dir.join(WITNESS)
}

/// Makes the directory where it is not there, durably, and closes it to everybody else.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    make(dir)?;
    close_to_others(dir)
}

/// Every name on the way is made durable, too; one that is there may have been made by a start that was
/// killed before it came to that.
fn make(dir: &Path) -> io::Result<()> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    let was_there = dir.try_exists()?;
    if !was_there {
        make(parent)?;
        fs::create_dir(dir)?;
    }
    match sync(parent) {
        // Nothing was made in it, and it is not ours to sync, or nobody's.
        Err(error) if was_there && is_not_to_be_synced(&error) => Ok(()),
        synced => synced,
    }
}

fn is_not_to_be_synced(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput)
}

/// Makes the names in the directory durable.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn close_to_others(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> io::Result<()> {
    Ok(())
}
