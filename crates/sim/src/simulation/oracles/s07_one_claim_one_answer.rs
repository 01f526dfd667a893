//! S7: all answers for one request id speak of the same claim; a granted one keeps its token.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_types::{FencingToken, RequestId, ResourceName, Standing};

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct OneAnswer {
    claims: BTreeMap<RequestId, (ResourceName, Option<FencingToken>)>,
}

impl Oracle for OneAnswer {
    fn name(&self) -> &'static str {
        "S7 one id, one claim"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        let Seen::Answered { claim, .. } = seen else { return Ok(()) };
        let fresh = (claim.resource.clone(), None);
        let (resource, token) = self.claims.entry(claim.request).or_insert(fresh);
        if *resource != claim.resource {
            return Err(format!("{} is on {resource} and on {}", claim.request, claim.resource));
        }
        if let Standing::Held { token: now } = claim.standing
            && *token.get_or_insert(now) != now
        {
            return Err(format!("{} was granted {token:?} and {now}", claim.request));
        }
        Ok(())
    }
}
