//! What a disk can do: one flat directory of named files, and nothing about paths.
//!
//! The trait is as small as the durable files need, so that a fake can be honest about every
//! operation. Two durabilities are kept apart as POSIX keeps them apart: [`DiskFile::sync`] makes a
//! file's bytes durable, [`Disk::sync_directory`] makes names durable.

use std::fmt::Debug;
use std::io;

/// A flat directory of named files. A name is 1..=255 bytes of `a-z`, `0-9`, `.`, `-` and `_`, and does not
/// start with a dot; anything else is [`io::ErrorKind::InvalidInput`].
///
/// Names that were created, renamed or removed are durable only after [`Disk::sync_directory`].
pub trait Disk: Send + Sync + Debug + 'static {
    /// All names, sorted.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole file. [`io::ErrorKind::NotFound`] if there is none of that name.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file of `len` zero bytes, its space really allocated, in place of any older one.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is no room. What was made so far may remain.
    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, atomically replacing any file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all earlier creations, renames and removals durable.
    fn sync_directory(&self) -> io::Result<()>;
}

/// An open file. Unsynced writes survive a crash, vanish or tear, each for itself.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file's length is a question to the disk that can fail"
)]
pub trait DiskFile: Send + Debug {
    /// Fills `buffer` from `offset`. [`io::ErrorKind::UnexpectedEof`] where the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, growing the file if needed.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Grows the file to `len` bytes by writing zeros, so that writes within it need no new space.
    /// Does nothing to a file that is as long already.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is no room. The file may have grown part of the way.
    fn allocate(&mut self, len: u64) -> io::Result<()>;

    /// Returns when every earlier write to this file, and its length, is durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file, or grows it by a hole.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// Refuses a name that could leave the directory or be hidden in it.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if (1..=255).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed) {
        return Ok(());
    }
    let reason = format!(
        "file name {name:?} must be 1..=255 bytes of a-z 0-9 . - _ and not start with a dot"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}
