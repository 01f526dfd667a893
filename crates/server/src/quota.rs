//! A bound on how many there may be of something at one time.

use std::sync::Arc;

use leasehold_types::Fault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many, and no more; who comes too late is told at once.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    free: Arc<Semaphore>,
    limit: usize,
}

impl Quota {
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(limit)), limit }
    }

    /// One of them; given back when dropped.
    ///
    /// # Errors
    /// [`Fault::QueueFull`].
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let taken = self.free.clone().try_acquire_owned();
        taken.map_err(|_| Fault::QueueFull { limit: self.limit as u64 })
    }
}
