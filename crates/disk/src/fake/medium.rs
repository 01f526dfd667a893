//! What is on the fake medium, what is only in its cache, and what a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// The smallest piece of a write that survives or vanishes as one.
pub(super) const SECTOR: u64 = 512;

/// A change that was not synced when the power failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced<'a> {
    /// One sector of a write.
    Sector {
        /// The file's latest name.
        file: &'a str,
        /// Where the sector, or the written part of it, starts in the file.
        offset: u64,
        /// The same for all sectors of one write, larger for later writes.
        write: u64,
    },
    /// A file that was cut or grown without writing.
    Length {
        /// The file's latest name.
        file: &'a str,
    },
    /// A creation, renaming or removal.
    Name {
        /// The name that appears, or else the one that goes.
        name: &'a str,
    },
}

#[derive(Clone, Default)]
pub(super) struct Medium {
    files: BTreeMap<u64, FileState>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    files_made: u64,
    writes_made: u64,
}

#[derive(Clone, Default)]
struct FileState {
    label: String,
    /// Shared with images of the disk until one of them changes it.
    cached: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { number: u64, offset: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Clone)]
struct NameChange {
    goes: Option<String>,
    appears: Option<(String, u64)>,
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        if let Some(name) = &self.goes {
            names.remove(name);
        }
        if let Some((name, file)) = &self.appears {
            names.insert(name.clone(), *file);
        }
    }

    fn name(&self) -> &str {
        let appears = self.appears.as_ref().map(|(name, _)| name);
        appears.or(self.goes.as_ref()).map_or("", String::as_str)
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn put(bytes: &mut Arc<Vec<u8>>, offset: u64, piece: &[u8]) {
    let bytes = Arc::make_mut(bytes);
    let start = offset as usize;
    let end = start + piece.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(piece);
}

/// What the file system does.
impl Medium {
    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn find(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(not_found)
    }

    pub(super) fn cached(&self, file: u64) -> io::Result<&[u8]> {
        self.files.get(&file).map(|file| file.cached.as_slice()).ok_or_else(not_found)
    }

    fn file(&mut self, file: u64) -> io::Result<&mut FileState> {
        self.files.get_mut(&file).ok_or_else(not_found)
    }

    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|file| self.cached(*file).ok())
            .map(|bytes| bytes.len() as u64)
            .sum()
    }

    pub(super) fn create(&mut self, name: &str) -> u64 {
        self.files_made += 1;
        let file = self.files_made;
        self.files.insert(file, FileState { label: name.to_owned(), ..FileState::default() });
        self.change_names(NameChange { goes: None, appears: Some((name.to_owned(), file)) });
        file
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.find(from)?;
        self.file(file)?.label = to.to_owned();
        let appears = Some((to.to_owned(), file));
        self.change_names(NameChange { goes: Some(from.to_owned()), appears });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.change_names(NameChange { goes: Some(name.to_owned()), appears: None });
        Ok(())
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    pub(super) fn sync_names(&mut self) {
        self.name_changes.clear();
        self.durable_names = self.names.clone();
        self.drop_nameless();
    }

    fn drop_nameless(&mut self) {
        let named: BTreeSet<u64> =
            self.names.values().chain(self.durable_names.values()).copied().collect();
        self.files.retain(|file, _| named.contains(file));
    }

    pub(super) fn write(&mut self, file: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes_made += 1;
        let number = self.writes_made;
        let file = self.file(file)?;
        put(&mut file.cached, offset, bytes);
        file.changes.push(Change::Write { number, offset, bytes: bytes.to_vec() });
        Ok(())
    }

    pub(super) fn set_len(&mut self, file: u64, len: u64) -> io::Result<()> {
        let file = self.file(file)?;
        Arc::make_mut(&mut file.cached).resize(len as usize, 0);
        file.changes.push(Change::Length(len));
        Ok(())
    }

    pub(super) fn sync(&mut self, file: u64) -> io::Result<()> {
        let file = self.file(file)?;
        for change in std::mem::take(&mut file.changes) {
            match change {
                Change::Write { offset, bytes, .. } => put(&mut file.durable, offset, &bytes),
                Change::Length(len) => Arc::make_mut(&mut file.durable).resize(len as usize, 0),
            }
        }
        Ok(())
    }

    /// What Linux does when a sync fails: the bytes stay readable and count as clean.
    pub(super) fn forget_changes(&mut self, file: u64) -> io::Result<()> {
        self.file(file)?.changes.clear();
        Ok(())
    }
}

/// What happens to it.
impl Medium {
    /// The power fails: of every unsynced change, what `keep` says survives.
    pub(super) fn crash(&mut self, keep: &mut dyn FnMut(Unsynced<'_>) -> bool) {
        for change in std::mem::take(&mut self.name_changes) {
            if keep(Unsynced::Name { name: change.name() }) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        self.drop_nameless();
        for file in self.files.values_mut() {
            file.crash(keep);
        }
    }

    /// Bytes change under everybody's feet.
    pub(super) fn damage(&mut self, name: &str, change: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        let file = self.find(name)?;
        let file = self.file(file)?;
        change(Arc::make_mut(&mut file.cached));
        change(Arc::make_mut(&mut file.durable));
        Ok(())
    }
}

impl FileState {
    fn crash(&mut self, keep: &mut dyn FnMut(Unsynced<'_>) -> bool) {
        let file = self.label.as_str();
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Write { number, offset, bytes } => {
                    for (offset, piece) in sectors(offset, &bytes) {
                        if keep(Unsynced::Sector { file, offset, write: number }) {
                            put(&mut self.durable, offset, piece);
                        }
                    }
                }
                Change::Length(len) => {
                    if keep(Unsynced::Length { file }) {
                        Arc::make_mut(&mut self.durable).resize(len as usize, 0);
                    }
                }
            }
        }
        self.cached = self.durable.clone();
    }
}

/// A write cut at sector boundaries.
fn sectors(mut offset: u64, mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let to_boundary = (SECTOR - offset % SECTOR) as usize;
        let (piece, rest) = bytes.split_at(to_boundary.min(bytes.len()));
        let here = offset;
        (offset, bytes) = (offset + piece.len() as u64, rest);
        (!piece.is_empty()).then_some((here, piece))
    })
}
