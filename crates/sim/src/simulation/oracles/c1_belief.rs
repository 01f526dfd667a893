//! C1: while a client believes, the cluster has granted the resource to nobody else.
//!
//! Asked at every grant, of everybody who still believes then by their own clocks; whenever somebody
//! comes to believe for longer; and whenever an application is told that it may act.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_clock::Clock;
use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, FencingToken, ResourceName};

use super::Oracle;
use crate::simulation::seen::{BeliefSeen, Seen};

#[derive(Default)]
pub(super) struct BeliefInsideLease {
    beliefs: BTreeMap<(u64, FencingToken), BeliefSeen>,
    /// The newest grant of each resource.
    granted: BTreeMap<ResourceName, FencingToken>,
}

impl BeliefInsideLease {
    fn believes(&self, resource: &ResourceName, token: FencingToken) -> Result<(), String> {
        match self.granted.get(resource) {
            Some(newest) if *newest > token => {
                Err(format!("{token} is believed in although {resource} was granted {newest}"))
            }
            _ => Ok(()),
        }
    }
}

impl Oracle for BeliefInsideLease {
    fn name(&self) -> &'static str {
        "C1 belief inside the lease"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Granted { client, token, belief, .. }
            | Seen::Proven { client, token, belief } => {
                if belief.validity.state(&belief.clock.read()).may_act() {
                    self.believes(&belief.resource, *token)?;
                }
                self.beliefs.insert((*client, *token), belief.clone());
            }
            Seen::Lost { client, token, .. } => _ = self.beliefs.remove(&(*client, *token)),
            Seen::Checked { resource, token, .. } => self.believes(resource, *token)?,
            _ => {}
        }
        Ok(())
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            let EventKind::Granted { token, .. } = event.kind else { continue };
            self.granted.insert(event.resource.clone(), token);
            let others = self.beliefs.iter().filter(|((_, believed), belief)| {
                *believed < token && belief.resource == event.resource
            });
            for ((client, believed), belief) in others {
                let state = belief.validity.state(&belief.clock.read());
                if state.may_act() {
                    return Err(format!(
                        "{} was granted {token} while client {client} believed in {believed}: {state:?}",
                        event.resource
                    ));
                }
            }
        }
        Ok(())
    }
}
