//! I5: the same log prefix gives the same state, byte for byte, and tells the same story.

use std::collections::BTreeMap;

use leasehold_raft::{AppliedBatch, Change};

use crate::simulation::seen::Seen;

pub(super) const NAME: &str = "I5 replicas agree";

/// What was applied where, and what every revision looks like.
#[derive(Default)]
pub(super) struct Log {
    batches: BTreeMap<u64, AppliedBatch>,
    /// Batches up to here were told; one above is news.
    told: Option<u64>,
    states: BTreeMap<u64, (u64, u64)>,
}

impl Log {
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Applied { node, change } => match &**change {
                Change::Batch(batch) => self.applied(*node, batch),
                Change::SnapshotInstalled { .. } => Ok(()),
            },
            Seen::State { node, state } => {
                let (first, digest) =
                    *self.states.entry(state.revision.0).or_insert((*node, state.digest));
                match digest == state.digest {
                    true => Ok(()),
                    false => Err(format!(
                        "nodes {first} and {node} differ at revision {}",
                        state.revision
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn applied(&mut self, node: u64, batch: &AppliedBatch) -> Result<(), String> {
        let index = batch.log_index;
        match self.batches.get(&index) {
            Some(known) if known == batch => Ok(()),
            Some(known) => {
                Err(format!("node {node} applied {batch:?} at {index}, another {known:?}"))
            }
            None if self.batches.last_key_value().is_some_and(|(last, _)| *last > index) => {
                Err(format!("node {node} applied {batch:?} at {index}, where others had nothing"))
            }
            None => {
                self.batches.insert(index, batch.clone());
                Ok(())
            }
        }
    }

    /// Whether this batch is told for the first time.
    pub(super) fn is_news(&mut self, batch: &AppliedBatch) -> bool {
        let news = Some(batch.log_index) > self.told;
        if news {
            self.told = Some(batch.log_index);
        }
        news
    }
}
