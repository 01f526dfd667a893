//! S10: who was told that it waits, before another asked at all, is served before that other.
//!
//! I7 says the same of the log; this says it of what clients see, so that an answer given too early
//! shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, RequestId, ResourceName, Standing};

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct ToldFirstServedFirst {
    /// Told that they wait, and neither granted nor ended since.
    told: BTreeMap<ResourceName, BTreeSet<RequestId>>,
    /// Of each request: who had been told so when it was first asked.
    before: BTreeMap<RequestId, BTreeSet<RequestId>>,
    /// Ended or granted: not told any more, whatever answer still arrives.
    past: BTreeSet<RequestId>,
}

impl Oracle for ToldFirstServedFirst {
    fn name(&self) -> &'static str {
        "S10 told first, served first"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Asked { request, resource, .. } => {
                let told = self.told.get(resource).cloned().unwrap_or_default();
                self.before.entry(*request).or_insert(told);
            }
            Seen::Answered { claim, .. }
                if matches!(claim.standing, Standing::Waiting { .. })
                    && !self.past.contains(&claim.request) =>
            {
                let told = self.told.entry(claim.resource.clone()).or_default();
                told.insert(claim.request);
            }
            _ => {}
        }
        Ok(())
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            match event.kind {
                EventKind::Granted { token, .. } => {
                    let told = self.told.entry(event.resource.clone()).or_default();
                    told.remove(&event.request);
                    let before = self.before.remove(&event.request).unwrap_or_default();
                    if let Some(passed_over) = before.intersection(told).next() {
                        return Err(format!(
                            "{token} went to {}; {passed_over} had been told that it waits before \
                             that was asked",
                            event.request
                        ));
                    }
                }
                EventKind::Ended { .. } => {
                    let told = self.told.entry(event.resource.clone()).or_default();
                    told.remove(&event.request);
                    self.before.remove(&event.request);
                }
                EventKind::Queued { .. } => continue,
            }
            self.past.insert(event.request);
        }
        Ok(())
    }
}
