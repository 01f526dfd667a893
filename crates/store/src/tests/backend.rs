//! A disk in memory that can lose what was not synced.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

use super::random::Random;

/// A disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Backend(Arc<(Mutex<Disk>, Condvar)>);

#[derive(Debug, Default)]
struct Disk {
    /// What reads see.
    live: Vec<u8>,
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// What was done since the last sync, in order: each may survive a power cut, or not.
    unsynced: Vec<Change>,
    syncs: u64,
    /// The sync that fails, and with it everything after.
    fails_at: Option<u64>,
    is_dead: bool,
    /// Syncs wait while this is set.
    is_held: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Change {
    /// A write behind the end is lost with the length that would have made room for it.
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => image.resize(*len, 0),
            Self::Write { offset, bytes } => {
                if let Some(target) = image.get_mut(*offset..*offset + bytes.len()) {
                    target.copy_from_slice(bytes);
                }
            }
        }
    }
}

impl Backend {
    /// A disk that holds these bytes, durably.
    pub(super) fn holding(image: Vec<u8>) -> Self {
        let disk = Disk { live: image.clone(), durable: image, ..Disk::default() };
        Self(Arc::new((Mutex::new(disk), Condvar::new())))
    }

    /// Syncs so far.
    pub(super) fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// Lets the sync with this number, counted from 1, fail, and everything after it.
    pub(super) fn fail_at(&self, sync: u64) {
        self.disk().fails_at = Some(sync);
    }

    /// Lets every sync wait from now on.
    pub(super) fn hold(&self) {
        self.disk().is_held = true;
    }

    /// Lets them go on.
    pub(super) fn release(&self) {
        self.disk().is_held = false;
        self.0.1.notify_all();
    }

    /// The bytes as the running process sees them: what the death of the process leaves.
    pub(super) fn live(&self) -> Vec<u8> {
        self.disk().live.clone()
    }

    /// A disk as it may be after a power cut: each change that was not synced is there or not.
    pub(super) fn after_power_cut(&self, random: &mut Random) -> Self {
        let disk = self.disk();
        let mut image = disk.durable.clone();
        for change in &disk.unsynced {
            if random.flip() {
                change.apply(&mut image);
            }
        }
        Self::holding(image)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.0.lock().expect("no test panics while it holds the disk")
    }
}

impl Disk {
    fn change(&mut self, change: Change) -> io::Result<()> {
        if self.is_dead {
            return Err(io::Error::other("the power is cut"));
        }
        change.apply(&mut self.live);
        self.unsynced.push(change);
        Ok(())
    }
}

fn position(number: u64) -> usize {
    usize::try_from(number).expect("a disk of a test fits in memory")
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk();
        let offset = position(offset);
        let bytes = disk.live.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk().change(Change::SetLen(position(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk();
        while disk.is_held {
            disk = self.0.1.wait(disk).expect("no test panics while it holds the disk");
        }
        disk.syncs += 1;
        if disk.fails_at.is_some_and(|at| disk.syncs >= at) {
            disk.is_dead = true;
            return Err(io::Error::other("the power is cut"));
        }
        for change in std::mem::take(&mut disk.unsynced) {
            change.apply(&mut disk.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let change = Change::Write { offset: position(offset), bytes: data.to_vec() };
        self.disk().change(change)
    }
}
