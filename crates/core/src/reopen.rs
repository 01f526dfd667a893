//! What an operator does to a restored backup before a cluster may serve from it.

use alloc::format;
use alloc::vec::Vec;

use leasehold_types::{BadField, EndReason, FencingToken, Revision};

use crate::LeaseState;

/// How far a restore moves the revision on at least: more than a cluster that applies 100,000 commands
/// a second has done in the four months since the backup.
const REVISIONS_SKIPPED: u64 = 1 << 40;

impl LeaseState {
    /// Makes a restored backup safe to serve from. What happened after the backup is lost, and what
    /// was granted then is still out there, so
    ///
    /// * every token from now on is larger than `above`, which is larger than any token issued
    ///   before;
    /// * the revision moves on likewise, so that no watch resumes in a history that is gone;
    /// * every claim of the backup ends, since it may have ended long ago and others may hold now;
    /// * nothing is granted for as long as such a lease can live, or a client can repeat a request
    ///   whose id was forgotten with the history:
    ///   [`Refusal::Embargo`](leasehold_types::Refusal::Embargo).
    ///
    /// # Errors
    /// [`BadField`] naming `above` when it is not larger than the backup's own last token, which shows
    /// that it cannot be larger than those issued since.
    pub fn reopen_after_restore(mut self, above: FencingToken) -> Result<Self, BadField> {
        let first = above.get().checked_add(1).and_then(FencingToken::new);
        let Some(first) = first.filter(|_| above >= self.counters.next_token) else {
            let allowed = format!(
                "{} (the backup's next token) to {}",
                self.counters.next_token,
                u64::MAX - 1
            );
            return Err(BadField::new("above", format!("{above}"), allowed));
        };
        self.end_every_claim();
        let revision = self.counters.revision.0.saturating_add(REVISIONS_SKIPPED).max(above.get());
        let embargo_ms = self.settings.ttl_max.as_ms().max(self.settings.ended_memory_ms);
        self.counters.next_token = first;
        self.counters.ends_left = None;
        self.counters.revision = Revision(revision);
        self.counters.embargo = self.counters.now.plus_ms(embargo_ms);
        Ok(self)
    }

    fn end_every_claim(&mut self) {
        let mut slots: Vec<_> = self.claims.iter().map(|(slot, claim)| (claim.age, slot)).collect();
        slots.sort_unstable_by_key(|(age, _)| *age);
        for (_, slot) in slots {
            let request = self.claims.remove(slot).claim.request;
            self.remember(request, EndReason::Expired);
        }
    }
}
