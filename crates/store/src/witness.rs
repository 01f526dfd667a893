//! A second opinion on how far the database had come when its last request was answered.
//!
//! A database file tells by itself which of its two last commits counts, in one bit. Flipped, that
//! bit takes the whole store back by one commit, every checksum intact, and a mark with it; so does
//! an old copy of the file put in its place. So the number of the last commit is also kept here, in
//! a file of its own, written after the commit is durable and before anything it did is answered. A
//! database that is behind its witness is refused (F1).
//!
//! The file is not synced: that would cost as much as the commit. It survives the death of the
//! process, and after a power cut it is at worst behind the database, which is no complaint. A
//! witness that cannot be read is none: the database is taken at its word and the file made anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: [u8; 4] = *b"LHW1";
const BYTES: usize = 16;

/// The open file.
#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
}

/// What an existing file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// There was no file, or an empty one.
    None,
    /// There is a file, but its bytes are not a testimony.
    Unreadable,
    /// Commits up to this one were answered.
    Commits(u64),
}

impl Witness {
    /// Opens the file, locks it against other processes, and says what it holds. Makes an empty one
    /// where there is none.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Testimony)> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock()?;
        let testimony = read(&mut file)?;
        Ok((Self { file }, testimony))
    }

    /// What the file says, if there is one.
    pub(crate) fn read(path: &Path) -> io::Result<Testimony> {
        match File::open(path) {
            Ok(mut file) => read(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Testimony::None),
            Err(error) => Err(error),
        }
    }

    /// Notes that everything up to this commit may be answered.
    pub(crate) fn note(&mut self, commits: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&encode(commits))
    }

    /// As [`Self::note`], durably: when the store is opened and when it is closed.
    pub(crate) fn note_durably(&mut self, commits: u64) -> io::Result<()> {
        self.note(commits)?;
        self.file.set_len(BYTES as u64)?;
        self.file.sync_all()
    }
}

fn read(file: &mut File) -> io::Result<Testimony> {
    let mut bytes = Vec::new();
    file.take(BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(decode(&bytes))
}

fn encode(commits: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[8..].copy_from_slice(&commits.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Testimony {
    if bytes.is_empty() {
        return Testimony::None;
    }
    match bytes.last_chunk::<8>().map(|tail| u64::from_le_bytes(*tail)) {
        Some(commits) if encode(commits) == bytes => Testimony::Commits(commits),
        _ => Testimony::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_read_back() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path().join("witness");
        let (mut witness, nothing) = Witness::open(&path).expect("opens");
        assert_eq!(nothing, Testimony::None);
        witness.note_durably(7).expect("writes");
        witness.note(8).expect("writes");
        assert_eq!(Witness::read(&path).expect("reads"), Testimony::Commits(8));
        let second = Witness::open(&path).expect_err("is locked");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(witness);
        assert_eq!(Witness::open(&path).expect("opens").1, Testimony::Commits(8));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_reads_as_another_number() {
        let good = encode(0x0102_0304_0506_0708);
        assert_eq!(decode(&good), Testimony::Commits(0x0102_0304_0506_0708));
        for bit in 0..BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), Testimony::Unreadable, "bit {bit}");
        }
        for length in 1..BYTES {
            assert_eq!(decode(&good[..length]), Testimony::Unreadable, "{length} bytes");
        }
        assert_eq!(decode(&[&good[..], &[0]].concat()), Testimony::Unreadable);
    }
}
