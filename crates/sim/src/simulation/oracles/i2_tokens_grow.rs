//! I2: every token issued is larger than every one before it.

use std::time::Duration;

use leasehold_raft::AppliedBatch;
use leasehold_types::{EventKind, FencingToken};

use super::Oracle;

#[derive(Default)]
pub(super) struct TokensGrow {
    last: Option<FencingToken>,
}

impl Oracle for TokensGrow {
    fn name(&self) -> &'static str {
        "I2 tokens grow"
    }

    fn committed(&mut self, _: Duration, batch: &AppliedBatch) -> Result<(), String> {
        for event in &batch.events {
            if let EventKind::Granted { token, .. } = event.kind {
                if Some(token) <= self.last {
                    return Err(format!("token {token} was issued after {:?}", self.last));
                }
                self.last = Some(token);
            }
        }
        Ok(())
    }
}
