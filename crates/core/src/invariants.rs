//! What must hold between two batches, by name. The same names are used by the simulator's oracles
//! and in reports.
//!
//! Here stands what a state alone can show; [`LeaseState::restore`] refuses bytes that break any of
//! it, and the tests check it after every batch. Four of the names also speak of history: that
//! `next_token` only grows (I2), that an id is granted once (I4), that equal prefixes have equal
//! snapshots (I5) and that grants come in order of arrival (I7). The `History` in this crate's tests
//! watches those over outcomes and events, and the cluster simulator does so across nodes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use leasehold_types::{LeaseTime, RequestId};

use crate::LeaseState;
use crate::claim::{Claim, Phase};

pub(crate) const I1: &str = "I1 a live claim's deadline is in the future";
pub(crate) const I2: &str = "I2 every token issued is below next_token, which only grows";
pub(crate) const I3: &str = "I3 the indexes mirror the claims";
pub(crate) const I4: &str = "I4 one request id is granted at most once while it is remembered";
pub(crate) const I5: &str = "I5 same log prefix, same snapshot bytes";
pub(crate) const I6: &str = "I6 at most one exclusive holder per resource";
pub(crate) const I7: &str = "I7 FIFO among live waiters";

impl LeaseState {
    /// The names of the invariants that do not hold; empty for every state that `apply` or `restore`
    /// made. Takes time in proportion to the claims: for tests and for restored snapshots.
    pub fn broken_invariants(&self) -> Vec<&'static str> {
        let named = [
            (I1, self.every_claim_lasts()),
            (I2, self.every_token_was_issued()),
            (I3, self.indexes_mirror_the_claims()),
            (I4, self.no_live_id_has_ended()),
            (I5, self.order_is_part_of_the_state()),
            (I6, self.nothing_is_held_twice()),
            (I7, self.queues_are_in_order_of_age()),
        ];
        named.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
    }

    fn live(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().map(|(_, claim)| claim)
    }

    /// Also: by no more than its ttl, so that no claim lives for ever.
    fn every_claim_lasts(&self) -> bool {
        let now = self.counters.now;
        self.live().all(|claim| {
            let (since, due_later) = match claim.phase {
                Phase::Waiting { since, until } => (since, until > now),
                Phase::Held { since, .. } => (since, true),
            };
            let left_ms = claim.deadline.since_ms(now);
            due_later && since <= now && 0 < left_ms && left_ms <= claim.ttl.as_ms()
        })
    }

    fn every_token_was_issued(&self) -> bool {
        self.live().filter_map(Claim::token).all(|token| token < self.counters.next_token)
    }

    fn indexes_mirror_the_claims(&self) -> bool {
        let claims = &self.claims;
        let held = self.live().filter(|claim| claim.token().is_some()).count();
        let listed = claims
            .by_resource
            .values()
            .map(|resource| usize::from(resource.lease.is_some()) + resource.waiters.len());
        let lengths = [claims.by_request.len(), claims.by_due.len(), listed.sum()];
        lengths == [claims.len(); 3]
            && claims.by_token.len() == held
            && claims.iter().all(|(slot, claim)| {
                let resource = claims.by_resource.get(&claim.resource);
                claims.by_request.get(&claim.request) == Some(&slot)
                    && claims.by_due.get(&(claim.due(), claim.age)) == Some(&slot)
                    && match claim.token() {
                        Some(token) => {
                            claims.by_token.get(&token) == Some(&slot)
                                && resource.is_some_and(|resource| resource.lease == Some(slot))
                        }
                        None => resource
                            .is_some_and(|resource| resource.waiters.place(claim.age).is_some()),
                    }
            })
    }

    fn no_live_id_has_ended(&self) -> bool {
        let mut ids: BTreeMap<RequestId, ()> = BTreeMap::new();
        self.live().all(|claim| {
            ids.insert(claim.request, ()).is_none() && self.memory.why(&claim.request).is_none()
        })
    }

    /// Everything that a snapshot is ordered by is in the state and unique; nothing overdue is kept.
    fn order_is_part_of_the_state(&self) -> bool {
        let ages: BTreeSet<_> = self.live().map(|claim| claim.age).collect();
        let last = ages.last().is_none_or(|age| *age <= self.counters.revision);
        let forgotten = self.counters.now.0.checked_sub(self.settings.ended_memory_ms);
        let times: Vec<LeaseTime> = self.memory.iter().map(|id| id.at).collect();
        ages.len() == self.claims.len()
            && last
            && times.is_sorted()
            && times.last().is_none_or(|time| *time <= self.counters.now)
            && times.first().is_none_or(|time| forgotten.is_none_or(|until| time.0 > until))
            && times.len() as u64 <= self.settings.ended_memory_max
            && self.memory.is_consistent()
    }

    fn nothing_is_held_twice(&self) -> bool {
        let mut held = BTreeSet::new();
        let mut leases = self.live().filter(|claim| claim.token().is_some());
        leases.all(|claim| held.insert(claim.resource.as_str()))
    }

    /// A waiter came after the holder and after everybody before it; nobody waits for what is free.
    fn queues_are_in_order_of_age(&self) -> bool {
        self.claims.by_resource.values().all(|resource| {
            let Some(lease) = resource.lease else { return false };
            let lease = self.claims.get(lease).age;
            let ages = resource
                .waiters
                .iter()
                .map(|(age, slot)| (age == self.claims.get(slot).age).then_some(age));
            core::iter::once(Some(lease)).chain(ages).is_sorted_by(|a, b| a.is_some() && a < b)
        })
    }
}
