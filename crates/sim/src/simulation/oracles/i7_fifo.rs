//! I7: among live waiters, first come, first served.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, RequestId, ResourceName};

use super::Oracle;

#[derive(Default)]
pub(super) struct Fifo {
    queues: BTreeMap<ResourceName, VecDeque<RequestId>>,
}

impl Oracle for Fifo {
    fn name(&self) -> &'static str {
        "I7 first come, first served"
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            let queue = self.queues.entry(event.resource.clone()).or_default();
            match event.kind {
                EventKind::Queued { place, .. } => {
                    queue.push_back(event.request);
                    if place != queue.len() as u64 {
                        return Err(format!("{event:?}: place {} was next", queue.len()));
                    }
                }
                EventKind::Granted { token, .. } => {
                    if let Some(first) = queue.pop_front()
                        && first != event.request
                    {
                        return Err(format!(
                            "{token} went to {}, {first} was first",
                            event.request
                        ));
                    }
                }
                EventKind::Ended { .. } => queue.retain(|waiting| *waiting != event.request),
            }
        }
        Ok(())
    }
}
