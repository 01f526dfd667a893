//! I6: at most one holder of a resource, in the order of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, FencingToken, ResourceName};

use super::Oracle;

#[derive(Default)]
pub(super) struct OneHolder {
    held: BTreeMap<ResourceName, FencingToken>,
}

impl Oracle for OneHolder {
    fn name(&self) -> &'static str {
        "I6 one holder"
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            let resource = &event.resource;
            match event.kind {
                EventKind::Granted { token, .. } => {
                    if let Some(holder) = self.held.insert(resource.clone(), token) {
                        return Err(format!("{resource} was held by {holder} and granted {token}"));
                    }
                }
                EventKind::Ended { token: Some(token), .. } => {
                    if self.held.remove(resource) != Some(token) {
                        return Err(format!("{token} ended on {resource} without holding it"));
                    }
                }
                EventKind::Ended { token: None, .. } | EventKind::Queued { .. } => {}
            }
        }
        Ok(())
    }
}
