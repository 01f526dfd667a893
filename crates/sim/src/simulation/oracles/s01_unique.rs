//! S1: two different claims never carry the same token.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_types::{FencingToken, RequestId, Standing};

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct OneTokenOneClaim {
    owners: BTreeMap<FencingToken, RequestId>,
}

impl Oracle for OneTokenOneClaim {
    fn name(&self) -> &'static str {
        "S1 one token, one claim"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        let Seen::Answered { claim, .. } = seen else { return Ok(()) };
        let Standing::Held { token } = claim.standing else { return Ok(()) };
        let owner = *self.owners.entry(token).or_insert(claim.request);
        match owner == claim.request {
            true => Ok(()),
            false => Err(format!("{token} was answered to {owner} and to {}", claim.request)),
        }
    }
}
