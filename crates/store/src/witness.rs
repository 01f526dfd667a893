//! A second opinion on how far the database had come when its last request was answered.
//!
//! A database file tells by itself which of its two last commits counts, in one bit. Flipped, that
//! bit takes the whole store back by one commit, every checksum intact, and a mark with it; so does
//! an old copy of the file put in its place. So the number of the last commit is also kept here, in
//! a file of its own, written after the commit is durable and before anything it did is answered. A
//! database that is behind its witness is refused (F1). It also says of which store it tells: another
//! store's database in the place of this one's may well be ahead.
//!
//! The file is not synced: that would cost as much as the commit. It survives the death of the
//! process, and after a power cut it is at worst behind the database, which is no complaint. A
//! witness that cannot be read is none: the database is taken at its word and the file made anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: [u8; 4] = *b"LHW2";
const BYTES: usize = 24;

/// The open file.
#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
    store: u64,
}

/// What an existing file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// There was no file, or an empty one.
    None,
    /// There is a file, but its bytes are not a testimony.
    Unreadable,
    /// Commits of this store up to this one were answered.
    Commits { store: u64, commits: u64 },
}

impl Witness {
    /// Opens the file, locks it against other processes, and says what it holds. Makes an empty one
    /// where there is none. It must be told whose it is before it notes anything.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Testimony)> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock()?;
        let testimony = read(&mut file)?;
        Ok((Self { file, store: 0 }, testimony))
    }

    /// It tells of this store from now on.
    pub(crate) fn tells_of(&mut self, store: u64) {
        self.store = store;
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
        self.file.write_all(&encode(self.store, commits))
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

fn encode(store: u64, commits: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&store.to_le_bytes());
    bytes[16..].copy_from_slice(&commits.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Testimony {
    if bytes.is_empty() {
        return Testimony::None;
    }
    let number = |at: usize| {
        let bytes = bytes.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    };
    match (number(8), number(16)) {
        (Some(store), Some(commits)) if encode(store, commits) == bytes => {
            Testimony::Commits { store, commits }
        }
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
        witness.tells_of(5);
        witness.note_durably(7).expect("writes");
        witness.note(8).expect("writes");
        let testimony = Testimony::Commits { store: 5, commits: 8 };
        assert_eq!(Witness::read(&path).expect("reads"), testimony);
        let second = Witness::open(&path).expect_err("is locked");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(witness);
        assert_eq!(Witness::open(&path).expect("opens").1, testimony);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_reads_as_another_number() {
        let (store, commits) = (0x1112_1314_1516_1718, 0x0102_0304_0506_0708);
        let good = encode(store, commits);
        assert_eq!(decode(&good), Testimony::Commits { store, commits });
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
