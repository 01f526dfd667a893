//! What must hold between two batches, by name. The same names are used by the simulator's oracles
//! and in reports.
//!
//! Here stands what a state alone can show; [`LeaseState::restore`] refuses bytes that break any of
//! it, and the tests check it after every batch. Four of the names also speak of history: that
//! `next_token` only grows (I2), that an id is granted once (I4), that equal prefixes have equal
//! snapshots (I5) and that grants come in order of arrival (I7). The `History` in this crate's tests
//! watches those over outcomes and events, and the cluster simulator does so across nodes.

use alloc::vec::Vec;
use core::ops::Bound;

use leasehold_types::{LeaseTime, ResourceName, Revision};

use crate::LeaseState;
use crate::claim::{Claim, Phase};
use crate::claims::Resource;
use crate::slab::Slot;
use crate::state::Counters;

pub(crate) const I1: &str = "I1 what is due has ended, or its turn comes after those that have";
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

    /// Also: none lasts longer than its ttl, so that no claim lives for ever.
    fn every_claim_lasts(&self) -> bool {
        let Counters { now, ends_left, .. } = self.counters;
        let lasts = |claim: &Claim| {
            let (Phase::Waiting { since, .. } | Phase::Held { since, .. }) = claim.phase;
            let ends_later = match ends_left {
                Some(last) => (claim.due(), claim.age) > last,
                None => claim.due() > now,
            };
            ends_later && since <= now && claim.deadline.since_ms(now) <= claim.ttl.as_ms()
        };
        ends_left.is_none_or(|(due, _)| due <= now) && self.live().all(lasts)
    }

    fn every_token_was_issued(&self) -> bool {
        self.live().filter_map(Claim::token).all(|token| token < self.counters.next_token)
    }

    /// Every entry of an index names a claim that has that key, and there are as many entries as
    /// claims: so each claim is in each index, once.
    fn indexes_mirror_the_claims(&self) -> bool {
        let claims = &self.claims;
        let held = self.live().filter(|claim| claim.token().is_some()).count();
        let waiting = claims.by_resource.values().map(Resource::waiting).sum();
        claims.by_request.len() == claims.len()
            && claims.by_token.len() == held
            && claims.len() - held == waiting
            && claims.iter().all(|(slot, claim)| self.is_found(slot, claim))
            && claims.deadlines.mirror(&claims.slab)
            && claims.by_resource.iter().all(|(name, resource)| self.mirrors(name, resource))
            && claims.names.len() == claims.by_resource.len()
            && claims.names.from(Bound::Unbounded).all(|name| claims.by_resource.contains_key(name))
    }

    fn is_found(&self, slot: Slot, claim: &Claim) -> bool {
        let by_token = |token| self.claims.with_token(token) == Some(slot);
        self.claims.with_request(&claim.request) == Some(slot) && claim.token().is_none_or(by_token)
    }

    fn mirrors(&self, name: &ResourceName, resource: &Resource) -> bool {
        let lease = resource.lease.map(|slot| self.claims.get(slot));
        lease.is_none_or(|claim| claim.token().is_some() && claim.resource == *name)
            && resource.waiters().all(|(age, slot)| {
                let claim = self.claims.get(slot);
                claim.token().is_none() && claim.resource == *name && claim.age == age
            })
    }

    fn no_live_id_has_ended(&self) -> bool {
        self.live().all(|claim| self.memory.why(&claim.request).is_none())
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
            let ages = resource.waiters().map(|(age, _)| age);
            core::iter::once(lease).chain(ages).is_sorted_by(|a, b| a < b)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadlines::Deadlines;
    use crate::memory::{EndedId, Memory};
    use crate::names::Names;
    use crate::slab::Slot;
    use crate::{Acquire, Command, Settings};
    use alloc::vec;
    use leasehold_types::{EndReason, FencingToken, Holder, LeaseTtl, RequestId, WaitLimit};

    type Break = fn(&mut LeaseState);

    fn id(number: u8) -> RequestId {
        RequestId::from_bytes([number; 16])
    }

    fn name(text: &str) -> ResourceName {
        ResourceName::new(text).expect("a name")
    }

    fn acquire(number: u8, resource: &str) -> Command {
        Command::Acquire(Acquire {
            resource: name(resource),
            holder: Holder::new("holder").expect("a holder"),
            request: id(number),
            ttl: LeaseTtl::from_ms(10_000).expect("a ttl"),
            wait: WaitLimit::from_ms(60_000).expect("a wait"),
        })
    }

    /// `left` is held by 1 and waited for by 2 and 3, `right` held by 4; 5 and 6 have ended.
    fn sound() -> LeaseState {
        let mut state = LeaseState::new(Settings::default());
        let first =
            [acquire(5, "gone"), acquire(6, "gone"), acquire(1, "left"), acquire(2, "left")];
        state.apply(LeaseTime(0), &first);
        let gone = [5, 6].map(|number| Command::Cancel { request: id(number) });
        state.apply(LeaseTime(100), &gone);
        state.apply(LeaseTime(200), &[acquire(3, "left"), acquire(4, "right")]);
        state
    }

    fn slot(state: &LeaseState, number: u8) -> Slot {
        state.claims.with_request(&id(number)).expect("a live claim")
    }

    fn claim(state: &mut LeaseState, number: u8) -> &mut Claim {
        let slot = slot(state, number);
        state.claims.slab.get_mut(slot)
    }

    fn age(state: &LeaseState, number: u8) -> Revision {
        state.claims.get(slot(state, number)).age
    }

    fn token(state: &LeaseState, number: u8) -> FencingToken {
        state.claims.get(slot(state, number)).token().expect("a lease")
    }

    fn resource<'a>(state: &'a mut LeaseState, text: &str) -> &'a mut Resource {
        state.claims.by_resource.get_mut(text).expect("it has claims")
    }

    fn ended(number: u8, at: u64) -> EndedId {
        EndedId { request: id(number), why: EndReason::Expired, at: LeaseTime(at) }
    }

    fn remembering(ids: &[EndedId]) -> Memory {
        let mut memory = Memory::default();
        ids.iter().for_each(|id| memory.remember(*id, 100));
        memory
    }

    #[test]
    fn nothing_is_broken_in_what_apply_made() {
        assert_eq!(sound().broken_invariants(), [""; 0]);
    }

    #[test]
    fn whatever_is_broken_is_named() {
        let breaks: Vec<(&str, &str, Break)> = vec![
            (I1, "a deadline that has come", |state| {
                claim(state, 4).deadline = state_now(state);
            }),
            (I1, "a deadline beyond the ttl", |state| {
                claim(state, 4).deadline = LeaseTime(10_201);
            }),
            (I1, "a lease from the future", |state| {
                let token = token(state, 4);
                claim(state, 4).phase = Phase::Held { token, since: LeaseTime(201) };
            }),
            (I1, "a wait that is over", |state| {
                let since = LeaseTime(0);
                claim(state, 2).phase = Phase::Waiting { since, until: LeaseTime(200) };
            }),
            (I1, "ends that are ahead of time", |state| {
                state.counters.ends_left = Some((LeaseTime(201), Revision(1)));
            }),
            (I2, "a token that was not issued", |state| {
                state.counters.next_token = token(state, 4);
            }),
            (I3, "an id that is not indexed", |state| {
                let slot = slot(state, 4);
                state.claims.by_request.remove(slot, &id(4));
            }),
            (I3, "ids that name each other's claims", |state| {
                let (one, other) = (slot(state, 1), slot(state, 4));
                state.claims.slab.get_mut(one).request = id(4);
                state.claims.slab.get_mut(other).request = id(1);
            }),
            (I3, "a token that is not indexed", |state| {
                let (slot, token) = (slot(state, 4), token(state, 4));
                state.claims.by_token.remove(slot, &token);
            }),
            (I3, "tokens that name each other's claims", |state| {
                let (one, other) = (claim(state, 1).phase, claim(state, 4).phase);
                claim(state, 1).phase = other;
                claim(state, 4).phase = one;
            }),
            (I3, "deadlines that are not indexed", |state| {
                state.claims.deadlines = Deadlines::default();
            }),
            (I3, "a deadline that is indexed twice", |state| {
                let (slot, age) = (slot(state, 4), age(state, 4));
                state.claims.deadlines.push(LeaseTime(10_200), age, slot);
            }),
            (I3, "a deadline that is indexed too late", |state| {
                claim(state, 4).deadline = LeaseTime(10_199);
            }),
            (I3, "a first deadline that is not the claim's", |state| {
                claim(state, 1).deadline = LeaseTime(10_001);
            }),
            (I3, "names that are not listed", |state| state.claims.names = Names::default()),
            (I3, "a name that is listed in the place of another", |state| {
                state.claims.names.remove(&name("left"));
                state.claims.names.insert(&name("gone"));
            }),
            (I3, "a waiter in no queue", |state| {
                let age = age(state, 3);
                resource(state, "left").leave(age);
            }),
            (I3, "a waiter in another queue", |state| {
                let (age, slot) = (age(state, 3), slot(state, 3));
                resource(state, "left").leave(age);
                resource(state, "right").join(age, slot);
            }),
            (I3, "a waiter under another age", |state| {
                let (age, slot) = (age(state, 3), slot(state, 3));
                resource(state, "left").leave(age);
                resource(state, "left").join(Revision(age.0 + 1), slot);
            }),
            (I3, "a holder that waits for what it holds", |state| {
                let (first, last) = (age(state, 2), age(state, 3));
                let (waiter, holder) = (slot(state, 2), slot(state, 1));
                [first, last].iter().for_each(|age| resource(state, "left").leave(*age));
                claim(state, 1).age = last;
                resource(state, "left").join(first, waiter);
                resource(state, "left").join(last, holder);
            }),
            (I3, "a waiter that is taken for the holder", |state| {
                resource(state, "left").lease = Some(slot(state, 2));
            }),
            (I3, "a holder of something else", |state| {
                let (one, other) = (slot(state, 1), slot(state, 4));
                resource(state, "left").lease = Some(other);
                resource(state, "right").lease = Some(one);
            }),
            (I4, "a live id that is remembered as ended", |state| {
                state.memory.remember(ended(4, 200), 100);
            }),
            (I5, "two claims of one age", |state| claim(state, 4).age = age(state, 3)),
            (I5, "a claim from the future", |state| {
                claim(state, 4).age = Revision(state.counters.revision.0 + 1);
            }),
            (I5, "an end in the future", |state| state.memory = remembering(&[ended(9, 201)])),
            (I5, "ends out of order", |state| {
                state.memory = remembering(&[ended(8, 101), ended(9, 100)]);
            }),
            (I5, "an end that should be forgotten", |state| {
                state.counters.now = LeaseTime(state.settings.ended_memory_ms + 100);
            }),
            (I5, "more ends than are to be remembered", |state| {
                state.settings.ended_memory_max = 1;
            }),
            (I5, "an end without its reason", |state| state.memory.lose_a_reason(&id(5))),
            (I5, "an end with another reason", |state| state.memory.change_a_reason(&id(5))),
            (I6, "a lease of nothing", |state| resource(state, "right").lease = None),
            (I7, "a free resource that is waited for", |state| {
                resource(state, "left").lease = None;
            }),
            (I7, "a holder that came after who waits", |state| {
                claim(state, 1).age = Revision(state.counters.revision.0);
            }),
            (I7, "a holder that came with who waits", |state| {
                claim(state, 1).age = age(state, 2);
            }),
        ];
        for (invariant, what, break_it) in breaks {
            let mut state = sound();
            break_it(&mut state);
            let broken = state.broken_invariants();
            assert!(broken.contains(&invariant), "{what}: {broken:?}");
        }
    }

    #[test]
    fn what_is_just_so_is_not_broken() {
        let mut state = sound();
        state.settings.ended_memory_max = 2;
        state.counters.revision = age(&state, 4);
        assert_eq!(state.broken_invariants(), [""; 0], "as many ends and as old as allowed");
        claim(&mut state, 4).deadline = LeaseTime(200);
        let age = age(&state, 4);
        for (last, waits) in [(Revision(age.0 - 1), true), (age, false)] {
            state.counters.ends_left = Some((LeaseTime(200), last));
            let broken = state.broken_invariants();
            assert_eq!(!broken.contains(&I1), waits, "of what is due together the oldest is first");
        }
        state.counters.now = LeaseTime(state.settings.ended_memory_ms + 99);
        let broken = state.broken_invariants();
        assert!(!broken.contains(&I5), "an end is remembered for all of its time: {broken:?}");
    }

    fn state_now(state: &LeaseState) -> LeaseTime {
        state.counters.now
    }
}
