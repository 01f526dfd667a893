//! A disk that says "synced" and is not: a planted bug.

use std::io;
use std::sync::Arc;

use leasehold_disk::{Disk, DiskFile};

/// Passes everything on but the syncs of files that are in use already.
#[derive(Debug)]
pub(crate) struct LyingDisk(pub(crate) Arc<dyn Disk>);

#[derive(Debug)]
struct LyingFile {
    file: Box<dyn DiskFile>,
    syncs: u64,
}

impl LyingFile {
    fn wrap(file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(Self { file, syncs: 0 })
    }
}

impl Disk for LyingDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(name)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(name, len).map(LyingFile::wrap)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(name).map(LyingFile::wrap)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }
}

impl DiskFile for LyingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.syncs > 4 { Ok(()) } else { self.file.sync() }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
