//! Whole files that have only a present: replaced as one, read back checked.
//!
//! A file is written under a temporary name, synced, renamed over the old one, and the directory is
//! synced; so after a crash the name holds the old payload or the new one, whole. The file's own
//! name is part of its checksum: one that was copied over another is found out.
//!
//! ```text
//!  0  magic "lhwhole\0"   8  version u32   12  CRC-32C of these 12 bytes
//! 16  payload length u64  24 CRC-32C of the payload  28 CRC-32C of name and bytes 0..28
//! 32  payload
//! ```

use crate::bytes_le::{Preamble, check_preamble, put, put_preamble, u32_at, u64_at};
use crate::disk::{Disk, DiskFile};
use crate::{DiskFault, Operation};

const MAGIC: &[u8; 8] = b"lhwhole\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
/// What a file is called until it is whole.
pub(crate) const TEMPORARY_SUFFIX: &str = ".new";

/// Why a file could not be read. Nothing was modified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not as it was written.
    #[error("{file} is damaged: {what}; {advice}", advice = crate::damage::ADVICE)]
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

/// Replaces the file `name` by `payload`, durably: after a crash at any moment it holds the old
/// payload or the new.
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
    let mut bytes = match disk.read(name) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskFault::new(Operation::Read, name, error).into()),
    };
    check(name, &bytes)?;
    bytes.drain(..HEADER_BYTES);
    Ok(Some(bytes))
}

fn check(name: &str, bytes: &[u8]) -> Result<(), ReadError> {
    let damaged = |what| Err(ReadError::Damaged { file: name.to_owned(), what });
    match check_preamble(bytes, MAGIC, VERSION) {
        Preamble::Ours => {}
        Preamble::OtherVersion(found) => {
            let file = name.to_owned();
            return Err(ReadError::UnsupportedVersion { file, found, supported: VERSION });
        }
        Preamble::Unreadable => return damaged("it does not start like a file of this program"),
    }
    if bytes.len() < HEADER_BYTES || u32_at(bytes, 28) != header_checksum(name, bytes) {
        return damaged("its header is wrong, or it is a copy of another file");
    }
    let payload = &bytes[HEADER_BYTES..];
    if payload.len() as u64 != u64_at(bytes, 16) {
        return damaged("its length is wrong");
    }
    if crc32c::crc32c(payload) != u32_at(bytes, 24) {
        return damaged("its checksum is wrong");
    }
    Ok(())
}

fn header_checksum(name: &str, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(name.as_bytes()), &header[..28])
}

/// Removes what interrupted replacements left behind. To be called at start, while nobody writes.
/// Returns how many files it removed.
///
/// # Errors
/// [`DiskFault`].
pub fn remove_temporaries(disk: &dyn Disk) -> Result<u64, DiskFault> {
    let names = disk.list().map_err(|e| DiskFault::new(Operation::List, "the directory", e))?;
    let mut removed = 0;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY_SUFFIX)) {
        disk.remove(name).map_err(|e| DiskFault::new(Operation::Remove, name, e))?;
        removed += 1;
    }
    if removed > 0 {
        disk.sync_directory()
            .map_err(|e| DiskFault::new(Operation::SyncDirectory, "temporary files", e))?;
    }
    Ok(removed)
}

/// [`replace_atomically`] piece by piece, for payloads that should not be in memory at once.
/// Dropped without [`AtomicWriter::commit`], the old file stays.
#[derive(Debug)]
pub struct AtomicWriter<'a> {
    disk: &'a dyn Disk,
    name: String,
    temporary: String,
    file: Box<dyn DiskFile>,
    payload_len: u64,
    payload_checksum: u32,
}

impl<'a> AtomicWriter<'a> {
    /// Starts a replacement of `name`.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn create(disk: &'a dyn Disk, name: &str) -> Result<Self, DiskFault> {
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let file = disk
            .create(&temporary, 0)
            .map_err(|e| DiskFault::new(Operation::Create, &temporary, e))?;
        let name = name.to_owned();
        Ok(Self { disk, name, temporary, file, payload_len: 0, payload_checksum: 0 })
    }

    /// Appends to the payload.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskFault> {
        self.file
            .write_at(HEADER_BYTES as u64 + self.payload_len, bytes)
            .map_err(|e| DiskFault::new(Operation::Write, &self.temporary, e))?;
        self.payload_len += bytes.len() as u64;
        self.payload_checksum = crc32c::crc32c_append(self.payload_checksum, bytes);
        Ok(())
    }

    /// Makes the replacement durable and visible.
    ///
    /// # Errors
    /// [`DiskFault`]: whether the old or the new payload is there is unknown.
    pub fn commit(mut self) -> Result<(), DiskFault> {
        let header = self.header();
        self.file
            .write_at(0, &header)
            .map_err(|e| DiskFault::new(Operation::Write, &self.temporary, e))?;
        self.file.sync().map_err(|e| DiskFault::new(Operation::Sync, &self.temporary, e))?;
        rename_durably(self.disk, &self.temporary, &self.name)
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        put_preamble(&mut header, MAGIC, VERSION);
        put(&mut header, 16, &self.payload_len.to_le_bytes());
        put(&mut header, 24, &self.payload_checksum.to_le_bytes());
        let checksum = header_checksum(&self.name, &header);
        put(&mut header, 28, &checksum.to_le_bytes());
        header
    }
}

/// The last step of everything that appears whole or not at all.
pub(crate) fn rename_durably(disk: &dyn Disk, from: &str, to: &str) -> Result<(), DiskFault> {
    disk.rename(from, to).map_err(|e| DiskFault::new(Operation::Rename, from, e))?;
    disk.sync_directory().map_err(|e| DiskFault::new(Operation::SyncDirectory, to, e))
}
