//! S9: a read returns what stood at some moment between question and answer.
//!
//! Not older: whatever any node had applied when the question was asked, the answer knows. And not made
//! up: at the revision it names, the log says the same.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, FencingToken, ResourceName, Revision};

use super::Oracle;
use crate::simulation::seen::{ReadSeen, Seen};

#[derive(Default)]
pub(super) struct ReadsAreCurrent {
    /// The newest revision anybody has applied.
    newest: Revision,
    /// That, when each question was asked.
    asked: BTreeMap<u64, Revision>,
    /// Who held what since which revision.
    holders: BTreeMap<ResourceName, BTreeMap<Revision, Option<FencingToken>>>,
}

impl ReadsAreCurrent {
    fn holder_at(&self, resource: &ResourceName, at: Revision) -> Option<FencingToken> {
        let changes = self.holders.get(resource)?;
        changes.range(..=at).next_back().and_then(|(_, token)| *token)
    }
}

impl Oracle for ReadsAreCurrent {
    fn name(&self) -> &'static str {
        "S9 reads are current"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::ReadAsked { read, .. } => _ = self.asked.insert(*read, self.newest),
            Seen::ReadAnswered { read, answer, .. } => {
                let ReadSeen { resource, revision, token } = answer;
                let then = self.asked.remove(read).ok_or("a read was answered, not asked")?;
                if *revision < then {
                    return Err(format!("{answer:?} was asked for when {then} had been applied"));
                }
                if *revision > self.newest {
                    let newest = self.newest;
                    return Err(format!("{answer:?} is ahead of all, who are at {newest}"));
                }
                let held = self.holder_at(resource, *revision);
                if held != *token {
                    return Err(format!("{answer:?}, but the log says {held:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        self.newest = self.newest.max(batch.revision);
        for event in &batch.events {
            let token = match event.kind {
                EventKind::Granted { token, .. } => Some(token),
                EventKind::Ended { token: Some(_), .. } => None,
                EventKind::Ended { token: None, .. } | EventKind::Queued { .. } => continue,
            };
            let changes = self.holders.entry(event.resource.clone()).or_default();
            changes.insert(event.revision, token);
        }
        Ok(())
    }
}
