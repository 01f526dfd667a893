//! A disk in memory that crashes on command.
//!
//! [`FakeDisk`] is the medium; a process sees it through [`FakeDisk::mount`]. Writes and name
//! changes are visible at once and durable only when synced, each of the two by its own sync. At a
//! [`FakeDisk::crash`] every unsynced write survives, vanishes or tears by 512 bytes or by 4 KiB, and
//! every unsynced name change survives or vanishes, independently: harsher than any file system, so
//! that nothing is relied on that POSIX does not promise. A failed sync does what Linux does: the
//! bytes stay readable, count as clean, and are not on the medium.
//!
//! Everything is decided by the seed and the order of calls.

mod medium;
mod mount;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use medium::Medium;
pub use medium::Unsynced;
use mount::Mount;

/// The medium. Clones are the same disk; see [`FakeDisk::image`] for a copy.
#[derive(Clone)]
pub struct FakeDisk {
    shared: Arc<Mutex<State>>,
}

/// Without the contents.
impl fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDisk").field("names", &self.names()).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct State {
    medium: Medium,
    generation: u64,
    powered_off: bool,
    random: u64,
    writes: u64,
    syncs: u64,
    failing_write: Option<u64>,
    failing_sync: Option<u64>,
    last_operation: Option<u64>,
    /// The power fails during the next write of so many bytes.
    last_write: Option<u64>,
    capacity: Option<u64>,
}

/// What becomes of one operation.
enum Verdict {
    Proceed,
    Fail,
    PowerOff,
}

/// A fake has nothing to protect from a test that panicked.
fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a process can have.
impl FakeDisk {
    /// An empty disk. The seed decides what unsynced changes become at a crash.
    pub fn new(seed: u64) -> Self {
        let state = State {
            medium: Medium::default(),
            generation: 0,
            powered_off: false,
            random: seed,
            writes: 0,
            syncs: 0,
            failing_write: None,
            failing_sync: None,
            last_operation: None,
            last_write: None,
            capacity: None,
        };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    /// The disk as a new process sees it. Mounts, and files opened through them, from before the
    /// last [`FakeDisk::crash`] or [`FakeDisk::kill_process`] fail every call.
    pub fn mount(&self) -> Arc<dyn Disk> {
        let generation = self.state().generation;
        Arc::new(Mount { shared: self.shared.clone(), generation })
    }

    /// An independent disk that holds the same, synced and not, with the same future.
    pub fn image(&self) -> Self {
        Self { shared: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// The same with another seed, for another future.
    pub fn image_with_seed(&self, seed: u64) -> Self {
        let image = self.image();
        image.state().random = seed;
        image
    }

    /// Writes, creations, renamings and removals so far.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Syncs of files and of the directory so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The names a process sees, sorted.
    pub fn names(&self) -> Vec<String> {
        self.state().medium.names()
    }

    /// A file as a process sees it, or `None`.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.medium.find(name).ok()?;
        Some(state.medium.cached(file).ok()?.to_vec())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

/// What can happen to it as a whole.
impl FakeDisk {
    /// Power cut: each unsynced write survives, vanishes or tears, each unsynced name change survives
    /// or vanishes, as the seed decides. Planned faults are forgotten.
    pub fn crash(&self) {
        let mut random = self.state().random;
        let mut fates = Fates { random: &mut random, write: 0, fate: 0, block: None, kept: false };
        self.crash_keeping(|change| fates.keeps(change));
        self.state().random = random;
    }

    /// Power cut in the middle of everything: of each unsynced write some sectors survive.
    pub fn tear(&self) {
        let mut random = self.state().random;
        self.crash_keeping(|_| draw(&mut random) & 1 == 1);
        self.state().random = random;
    }

    /// Power cut of which exactly what `keep` says survives.
    pub fn crash_keeping(&self, mut keep: impl FnMut(Unsynced<'_>) -> bool) {
        let mut state = self.state();
        state.medium.crash(&mut keep);
        state.restart();
    }

    /// The process dies, the machine lives: everything written stays, synced or not. Planned faults
    /// are forgotten.
    pub fn kill_process(&self) {
        self.state().restart();
    }
}

/// What can go wrong with one operation. Each is planned once and counts from 1, the next one.
impl FakeDisk {
    /// The `n`-th write from now fails and does nothing.
    pub fn fail_write_at(&self, n: u64) {
        let mut state = self.state();
        state.failing_write = Some(state.writes + n);
    }

    /// The `n`-th sync from now fails; what it should have made durable stays readable and is not.
    pub fn fail_sync_at(&self, n: u64) {
        let mut state = self.state();
        state.failing_sync = Some(state.syncs + n);
    }

    /// The power fails during the `n`-th operation from now, write or sync: a write is then one more
    /// unsynced change, a sync has done nothing. Every call fails until [`FakeDisk::crash`].
    pub fn lose_power_at(&self, n: u64) {
        let mut state = self.state();
        state.last_operation = Some(state.writes + state.syncs + n);
    }

    /// The power fails during the next write of at least so many bytes, zeros at its end not counted,
    /// to a part of a file that is already there: one that is large enough to tear, into space that
    /// was set aside for it.
    pub fn lose_power_in_write_of(&self, bytes: u64) {
        self.state().last_write = Some(bytes);
    }

    /// Forgets the faults that were planned and did not happen yet.
    pub fn forget_faults(&self) {
        self.state().forget_faults();
    }

    /// Room for this many bytes in all files, or for any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }
}

/// What can go wrong with bytes at rest. Each fails with [`io::ErrorKind::NotFound`] if there is no
/// such file.
impl FakeDisk {
    /// Turns one bit of a file over; does nothing behind its end.
    pub fn flip_bit(&self, name: &str, bit: u64) -> io::Result<()> {
        self.state().medium.damage(name, |bytes| {
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
            }
        })
    }

    /// Cuts a file.
    pub fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.state().medium.damage(name, |bytes| bytes.truncate(len as usize))
    }

    /// Writes over a file, say with a copy made earlier.
    pub fn overwrite(&self, name: &str, with: &[u8]) -> io::Result<()> {
        self.state().medium.damage(name, |bytes| *bytes = with.to_vec())
    }

    /// Loses a file.
    pub fn lose(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.medium.remove(name)?;
        state.medium.sync_names();
        Ok(())
    }
}

impl State {
    fn restart(&mut self) {
        self.generation += 1;
        self.powered_off = false;
        self.forget_faults();
    }

    fn forget_faults(&mut self) {
        (self.failing_write, self.failing_sync) = (None, None);
        (self.last_operation, self.last_write) = (None, None);
    }

    /// Of `len` bytes that replace others.
    fn expect_write(&mut self, len: u64) {
        if self.last_write.is_some_and(|least| len >= least) {
            self.last_operation = Some(self.writes + self.syncs + 1);
        }
    }

    fn count_write(&mut self) -> Verdict {
        self.writes += 1;
        let fails = self.failing_write == Some(self.writes);
        self.verdict(fails)
    }

    fn count_sync(&mut self) -> Verdict {
        self.syncs += 1;
        let fails = self.failing_sync == Some(self.syncs);
        self.verdict(fails)
    }

    fn verdict(&mut self, fails: bool) -> Verdict {
        self.powered_off = self.last_operation == Some(self.writes + self.syncs);
        match (self.powered_off, fails) {
            (true, _) => Verdict::PowerOff,
            (false, true) => Verdict::Fail,
            (false, false) => Verdict::Proceed,
        }
    }

    fn room_for(&self, file: u64, len: u64) -> io::Result<()> {
        let grows = len.saturating_sub(self.medium.cached(file)?.len() as u64);
        match self.capacity {
            Some(capacity) if grows > 0 && self.medium.used() + grows > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

/// Draws what becomes of each unsynced change.
struct Fates<'a> {
    random: &'a mut u64,
    write: u64,
    fate: u64,
    block: Option<u64>,
    kept: bool,
}

impl Fates<'_> {
    fn keeps(&mut self, change: Unsynced<'_>) -> bool {
        let Unsynced::Sector { offset, write, .. } = change else { return self.coin() };
        if write != self.write {
            (self.write, self.fate, self.block) = (write, draw(self.random) % 4, None);
        }
        match self.fate {
            0 => true,
            1 => false,
            2 => self.coin(),
            _ => self.coin_for_block(offset / 4096),
        }
    }

    fn coin(&mut self) -> bool {
        draw(self.random) & 1 == 1
    }

    fn coin_for_block(&mut self, block: u64) -> bool {
        if self.block != Some(block) {
            (self.block, self.kept) = (Some(block), self.coin());
        }
        self.kept
    }
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
