//! A disk that is photographed before everything that changes it.

use std::fmt;
use std::io;
use std::sync::Arc;

use leasehold_disk::{Disk, DiskFile};

/// Told what is about to be done.
pub(crate) type Shutter = Arc<dyn Fn(&str) + Send + Sync>;

/// Passes everything on, and tells of everything that changes something first.
#[derive(Clone)]
pub(crate) struct Watched {
    disk: Arc<dyn Disk>,
    shutter: Shutter,
}

impl Watched {
    pub(crate) fn new(disk: Arc<dyn Disk>, shutter: Shutter) -> Self {
        Self { disk, shutter }
    }

    fn wrap(&self, name: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(WatchedFile { file, name: name.to_owned(), shutter: self.shutter.clone() })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Disk for Watched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        (self.shutter)(&format!("create {name}"));
        Ok(self.wrap(name, self.disk.create(name, len)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.wrap(name, self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (self.shutter)(&format!("rename {from}"));
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        (self.shutter)(&format!("remove {name}"));
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        (self.shutter)("sync the directory");
        self.disk.sync_directory()
    }
}

struct WatchedFile {
    file: Box<dyn DiskFile>,
    name: String,
    shutter: Shutter,
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchedFile({})", self.name)
    }
}

impl WatchedFile {
    fn tell(&self, what: &str) {
        (self.shutter)(&format!("{what} {}", self.name));
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.tell("write");
        self.file.write_at(offset, bytes)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.tell("allocate");
        self.file.allocate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.tell("sync");
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.tell("cut");
        self.file.set_len(len)
    }
}
