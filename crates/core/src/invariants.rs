//! What must hold between two batches, by name. The same names are used by the simulator's oracles
//! and in reports.
//!
//! Here stands what a state alone can show; [`LeaseState::restore`] refuses bytes that break any of
//! it, and the tests check it after every batch. Four of the names also speak of history: that
//! `next_token` only grows (I2), that an id is granted once (I4), that equal prefixes have equal
//! snapshots (I5) and that grants come in order of arrival (I7). The `History` in this crate's tests
//! watches those over outcomes and events, and the cluster simulator does so across nodes.

use alloc::vec::Vec;

use leasehold_types::{LeaseTime, ResourceName, Revision};

use crate::LeaseState;
use crate::claim::{Claim, Phase};
use crate::claims::Resource;

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

    /// Every entry of an index names a claim that has that key, and there are as many entries as
    /// claims: so each claim is in each index, once.
    fn indexes_mirror_the_claims(&self) -> bool {
        let claims = &self.claims;
        let held = self.live().filter(|claim| claim.token().is_some()).count();
        let waiting = claims.by_resource.values().map(|resource| resource.waiters.len()).sum();
        claims.by_request.len() == claims.len()
            && claims.by_due.len() == claims.len()
            && claims.by_token.len() == held
            && claims.len() - held == waiting
            && claims.by_request.iter().all(|(request, slot)| claims.get(*slot).request == *request)
            && claims.by_token.iter().all(|(token, slot)| claims.get(*slot).token() == Some(*token))
            && claims.by_due.iter().all(|((due, age), slot)| {
                let claim = claims.get(*slot);
                (claim.due(), claim.age) == (*due, *age)
            })
            && claims.by_resource.iter().all(|(name, resource)| self.mirrors(name, resource))
    }

    fn mirrors(&self, name: &ResourceName, resource: &Resource) -> bool {
        let lease = resource.lease.map(|slot| self.claims.get(slot));
        lease.is_none_or(|claim| claim.token().is_some() && claim.resource == *name)
            && resource.waiters.iter().all(|(age, slot)| {
                let claim = self.claims.get(slot);
                claim.token().is_none() && claim.resource == *name && claim.age == age
            })
    }

    /// Both sides are in byte order.
    fn no_live_id_has_ended(&self) -> bool {
        let mut ended = self.memory.requests().peekable();
        self.claims.by_request.keys().all(|live| {
            while ended.next_if(|ended| *ended < live).is_some() {}
            ended.peek() != Some(&live)
        })
    }

    /// Everything that a snapshot is ordered by is in the state and unique; nothing overdue is kept.
    fn order_is_part_of_the_state(&self) -> bool {
        let mut ages: Vec<Revision> = self.live().map(|claim| claim.age).collect();
        ages.sort_unstable();
        let times: Vec<LeaseTime> = self.memory.iter().map(|id| id.at).collect();
        let forgotten = self.counters.now.0.checked_sub(self.settings.ended_memory_ms);
        ages.is_sorted_by(|a, b| a < b)
            && ages.last().is_none_or(|age| *age <= self.counters.revision)
            && times.is_sorted()
            && times.last().is_none_or(|time| *time <= self.counters.now)
            && times.first().is_none_or(|time| forgotten.is_none_or(|until| time.0 > until))
            && times.len() as u64 <= self.settings.ended_memory_max
            && self.memory.is_consistent()
    }

    /// As many leases as resources that are held, each held by a lease of its own (I3).
    fn nothing_is_held_twice(&self) -> bool {
        let held = self.live().filter(|claim| claim.token().is_some()).count();
        let resources = self.claims.by_resource.values();
        held == resources.filter(|resource| resource.lease.is_some()).count()
    }

    /// A waiter came after the holder and after everybody before it; nobody waits for what is free.
    fn queues_are_in_order_of_age(&self) -> bool {
        self.claims.by_resource.values().all(|resource| {
            let Some(lease) = resource.lease else { return false };
            let lease = self.claims.get(lease).age;
            let ages = resource.waiters.iter().map(|(age, _)| age);
            core::iter::once(lease).chain(ages).is_sorted_by(|a, b| a < b)
        })
    }
}
