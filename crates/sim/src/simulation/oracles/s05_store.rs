//! S5: an acknowledged write is there, or something later is; accepted tokens never go down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leasehold_types::{FencingToken, ResourceName};

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct AcknowledgedSurvives {
    /// Writes in the order in which they became durable.
    order: BTreeMap<u64, (ResourceName, usize)>,
    lengths: BTreeMap<ResourceName, usize>,
    acknowledged: BTreeMap<ResourceName, usize>,
    /// The highest accepted write's token, once its answer was out.
    answered: BTreeMap<ResourceName, FencingToken>,
    sent_before: BTreeMap<u64, Option<FencingToken>>,
    tokens: BTreeMap<u64, FencingToken>,
    refused: BTreeSet<u64>,
}

impl Oracle for AcknowledgedSurvives {
    fn name(&self) -> &'static str {
        "S5 acknowledged writes survive, stale ones are refused"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::WriteSent { write, resource, token, .. } => {
                self.sent_before.insert(*write, self.answered.get(resource).copied());
                self.tokens.insert(*write, *token);
            }
            Seen::Stored { resource, stored, put: true } => {
                let length = self.lengths.entry(resource.clone()).or_default();
                *length += 1;
                self.order.insert(stored.write, (resource.clone(), *length));
                let answered = self.sent_before.get(&stored.write).copied().flatten();
                if stored.written_under < answered {
                    return Err(format!(
                        "{stored:?} was accepted, sent after {answered:?} had been answered"
                    ));
                }
            }
            Seen::WriteAnswered { write, accepted: true, .. } => {
                let Some((resource, place)) = self.order.get(write).cloned() else {
                    return Err(format!("write {write} was acknowledged and never stored"));
                };
                let acknowledged = self.acknowledged.entry(resource.clone()).or_default();
                *acknowledged = place.max(*acknowledged);
                if let Some(token) = self.tokens.get(write) {
                    let highest = self.answered.entry(resource).or_insert(*token);
                    *highest = (*highest).max(*token);
                }
            }
            Seen::WriteAnswered { write, accepted: false, .. } => _ = self.refused.insert(*write),
            Seen::StoreOpened { contents } => {
                for (resource, held) in contents.iter().filter(|(_, held)| held.write != 0) {
                    // Durable, and the store died before it could say so.
                    let length = self.lengths.entry(resource.clone()).or_default();
                    self.order.entry(held.write).or_insert_with(|| {
                        *length += 1;
                        (resource.clone(), *length)
                    });
                }
                for (resource, acknowledged) in &self.acknowledged {
                    let held = contents.iter().find(|(kept, _)| kept == resource);
                    let place = held
                        .and_then(|(_, held)| self.order.get(&held.write))
                        .map_or(0, |(_, place)| *place);
                    if place < *acknowledged {
                        return Err(format!(
                            "{resource}: write number {acknowledged} was acknowledged, {place} is kept"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
