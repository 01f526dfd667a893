//! How far a record stream has come, shared by whoever tells of it and whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the newest group of a stream that is known to be synced. Only grows. Cheap to clone:
/// all clones are one; raising and reading it takes no lock.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<AtomicU64>);

impl Reached {
    /// Known to be synced up to `group`.
    #[must_use]
    pub fn new(group: u64) -> Self {
        Self(Arc::new(AtomicU64::new(group)))
    }

    /// Every group up to `group` is synced. Changes nothing if that was known.
    pub fn raise(&self, group: u64) {
        self.0.fetch_max(group, Ordering::AcqRel);
    }

    /// The newest group known to be synced; 0 if there is none.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
