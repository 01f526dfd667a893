//! S2: a grant answered before another was asked for has the smaller token, over all resources.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_types::{FencingToken, RequestId, Standing};

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct LaterIsLarger {
    asked: BTreeMap<RequestId, Duration>,
    owners: BTreeMap<FencingToken, RequestId>,
    /// By the time of the answer: the largest token answered until then.
    answered: BTreeMap<Duration, FencingToken>,
}

impl Oracle for LaterIsLarger {
    fn name(&self) -> &'static str {
        "S2 later is larger"
    }

    fn see(&mut self, at: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Asked { request, .. } => _ = self.asked.entry(*request).or_insert(at),
            Seen::Answered { claim, .. } => {
                if let Standing::Held { token } = claim.standing {
                    self.owners.insert(token, claim.request);
                }
            }
            Seen::Granted { token, .. } => {
                let request = self.owners.get(token).ok_or("granted without an answer")?;
                let asked = *self.asked.get(request).ok_or("answered without being asked")?;
                let before = self.answered.range(..asked).next_back().map(|(_, token)| *token);
                if Some(*token) <= before {
                    return Err(format!("{token} was asked for after {before:?} was answered"));
                }
                let largest = self.answered.last_key_value().map(|(_, token)| *token);
                self.answered.insert(at, largest.unwrap_or(*token).max(*token));
            }
            _ => {}
        }
        Ok(())
    }
}
