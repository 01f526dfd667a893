//! I1 to I7 as far as one state shows them: what the state says of itself.

use std::time::Duration;

use super::Oracle;
use crate::simulation::seen::Seen;

pub(super) struct StateHolds;

impl Oracle for StateHolds {
    fn name(&self) -> &'static str {
        "I1-I7 in one state"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::State { node, state } if !state.broken.is_empty() => {
                Err(format!("node {node} at revision {}: {:?}", state.revision, state.broken))
            }
            _ => Ok(()),
        }
    }
}
