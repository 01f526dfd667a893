//! What every applied batch tells its listeners.

use leasehold_core::Event;
use leasehold_types::{LeaseTime, Revision};

/// A change of this node's state, in the order of the log. Every node tells the same story, except
/// that one which was far behind is given a snapshot in place of some batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A batch was applied.
    Batch(AppliedBatch),
    /// The state was replaced as a whole; the events in between will never be told here.
    SnapshotInstalled {
        /// The last index the snapshot covers.
        log_index: u64,
        /// Its revision.
        revision: Revision,
        /// Its lease time.
        at: LeaseTime,
    },
}

/// One applied batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedBatch {
    /// Its place in the log.
    pub log_index: u64,
    /// The state's revision after it.
    pub revision: Revision,
    /// The state's lease time after it.
    pub at: LeaseTime,
    /// What happened to claims, in order of revision. Empty for a batch that only moved time or
    /// deadlines.
    pub events: Vec<Event>,
}
