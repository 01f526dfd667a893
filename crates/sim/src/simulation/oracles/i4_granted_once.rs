//! I4: one request id is granted at most once while it is remembered.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, FencingToken, LeaseTime, RequestId};

use super::Oracle;

pub(super) struct GrantedOnce {
    memory_ms: u64,
    /// The token, and when the claim ended.
    grants: BTreeMap<RequestId, (FencingToken, Option<LeaseTime>)>,
}

impl GrantedOnce {
    pub(super) fn new(memory_ms: u64) -> Self {
        Self { memory_ms, grants: BTreeMap::new() }
    }
}

impl Oracle for GrantedOnce {
    fn name(&self) -> &'static str {
        "I4 one id is granted once"
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            match &event.kind {
                EventKind::Granted { token, .. } => {
                    let remembered = |ended: &Option<LeaseTime>| {
                        ended.is_none_or(|ended| event.at.since_ms(ended) < self.memory_ms)
                    };
                    if let Some((before, ended)) = self.grants.get(&event.request)
                        && remembered(ended)
                    {
                        let id = event.request;
                        return Err(format!("id {id} was granted {before} and then {token}"));
                    }
                    self.grants.insert(event.request, (*token, None));
                }
                EventKind::Ended { .. } => {
                    if let Some((_, ended)) = self.grants.get_mut(&event.request) {
                        *ended = Some(event.at);
                    }
                }
                EventKind::Queued { .. } => {}
            }
        }
        Ok(())
    }
}
