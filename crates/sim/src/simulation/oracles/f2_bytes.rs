//! F2: stored bytes carry the token they were written under, and it is never above the mark.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_types::FencingToken;

use super::Oracle;
use crate::simulation::seen::{Seen, StoredSeen};

#[derive(Default)]
pub(super) struct BytesCarryTheirToken {
    /// Under which token each write was sent.
    sent: BTreeMap<u64, FencingToken>,
}

impl BytesCarryTheirToken {
    fn check(&self, held: &StoredSeen) -> Result<(), String> {
        let sent = self.sent.get(&held.write).copied();
        if held.write != 0 && held.written_under != sent {
            return Err(format!("sent under {sent:?}, stored as {held:?}"));
        }
        if held.written_under > held.mark.token() {
            return Err(format!("written above the mark: {held:?}"));
        }
        Ok(())
    }
}

impl Oracle for BytesCarryTheirToken {
    fn name(&self) -> &'static str {
        "F2 bytes carry their token"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::WriteSent { write, token, .. } => _ = self.sent.insert(*write, *token),
            Seen::Stored { stored, .. } => self.check(stored)?,
            Seen::StoreOpened { contents } => {
                contents.iter().try_for_each(|(_, held)| self.check(held))?;
            }
            _ => {}
        }
        Ok(())
    }
}
