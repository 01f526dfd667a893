//! S8: a definite no has no effect afterwards, and a yes has had one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leasehold_client::AcquireError;
use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, FencingToken, RequestId};

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct DefiniteIsDefinite {
    requests: BTreeMap<u64, Vec<RequestId>>,
    refused: BTreeSet<RequestId>,
    granted: BTreeSet<FencingToken>,
    refused_writes: BTreeSet<u64>,
    stored: BTreeSet<u64>,
}

impl Oracle for DefiniteIsDefinite {
    fn name(&self) -> &'static str {
        "S8 definite means definite"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Asked { wish, request, .. } => {
                self.requests.entry(*wish).or_default().push(*request);
            }
            Seen::NotGranted { wish, error: AcquireError::Refused(_), .. } => {
                self.refused.extend(self.requests.get(wish).into_iter().flatten());
            }
            Seen::Granted { token, .. } if !self.granted.contains(token) => {
                return Err(format!("a client holds {token}, which nobody has granted"));
            }
            Seen::WriteAnswered { write, accepted: false, attempts: 1, .. } => {
                if self.stored.contains(write) {
                    return Err(format!("write {write} was refused and had been stored"));
                }
                self.refused_writes.insert(*write);
            }
            Seen::Stored { stored, put: true, .. } => {
                if self.refused_writes.contains(&stored.write) {
                    return Err(format!("write {} was refused and then stored", stored.write));
                }
                self.stored.insert(stored.write);
            }
            _ => {}
        }
        Ok(())
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            if let EventKind::Granted { token, .. } = event.kind {
                self.granted.insert(token);
                if self.refused.contains(&event.request) {
                    return Err(format!("{} was refused, then granted {token}", event.request));
                }
            }
        }
        Ok(())
    }
}
