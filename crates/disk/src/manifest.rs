//! Which segments there must be.
//!
//! The segments alone cannot tell a first segment that was purged from one that was lost, nor a last
//! one that is gone or from yesterday from one that never was. This small file, replaced whenever a
//! segment comes or goes and at every start, can.

use crate::atomic::{ReadError, read_checked, replace_atomically};
use crate::bytes_le::{disk_id_at, u64_at};
use crate::disk::Disk;
use crate::error::DiskFault;
use crate::identity::DiskId;

pub(crate) const FILE: &str = "stream-manifest";
const BYTES: usize = 48;

/// What was so when it was last written. `newest` exists durably before it is written here, and the
/// first group goes into it only after; `oldest` is written here before older ones are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) disk_id: DiskId,
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
    /// Every group up to this one was durable.
    pub(crate) synced: u64,
    /// How many times the stream was opened. Written before the first group of that life.
    pub(crate) life: u64,
}

impl Manifest {
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>, ReadError> {
        let Some(bytes) = read_checked(disk, FILE)? else { return Ok(None) };
        if bytes.len() != BYTES {
            return Err(ReadError::Damaged { file: FILE.to_owned(), what: "its length is wrong" });
        }
        let manifest = Self {
            disk_id: disk_id_at(&bytes, 0),
            oldest: u64_at(&bytes, 16),
            newest: u64_at(&bytes, 24),
            synced: u64_at(&bytes, 32),
            life: u64_at(&bytes, 40),
        };
        if manifest.oldest > manifest.newest || manifest.life == u64::MAX {
            let what = "its numbers contradict each other";
            return Err(ReadError::Damaged { file: FILE.to_owned(), what });
        }
        Ok(Some(manifest))
    }

    pub(crate) fn replace(&self, disk: &dyn Disk) -> Result<(), DiskFault> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&self.disk_id.0);
        bytes.extend_from_slice(&self.oldest.to_le_bytes());
        bytes.extend_from_slice(&self.newest.to_le_bytes());
        bytes.extend_from_slice(&self.synced.to_le_bytes());
        bytes.extend_from_slice(&self.life.to_le_bytes());
        replace_atomically(disk, FILE, &bytes)
    }
}
