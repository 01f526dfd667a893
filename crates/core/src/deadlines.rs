//! When each live claim is due, and which is due first.
//!
//! A claim's due time only moves on: a renewal, a longer wait and a promotion each put it later. So a
//! heap need not hear of that at once. Each claim has one entry, which says a time at which it is due *at the
//! earliest*; an entry that comes to the front with less than its claim's due time is put back with
//! that, and one whose claim has ended is dropped ([`Deadlines::settle`]). A renewal then costs nothing
//! here, unless its claim was the first of all. Entries of claims that ended early would pile up where
//! ttls are long; when they are the majority, they are swept out.

use alloc::collections::BinaryHeap;
use alloc::collections::binary_heap::PeekMut;
use core::cmp::Reverse;

use leasehold_types::{LeaseTime, Revision};

use crate::slab::{Slab, Slot};

/// Fewer entries than this are never swept.
const SWEEP_MIN: usize = 64;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<Due>>,
}

/// A claim, and when it is due at the earliest. Ordered by time, then by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: LeaseTime,
    age: Revision,
    slot: Slot,
}

impl Due {
    /// When the claim is due, if it still lives: a slot may hold another claim by now, an age is one
    /// claim's for ever.
    fn now(&self, slab: &Slab) -> Option<LeaseTime> {
        let claim = slab.find(self.slot).filter(|claim| claim.age == self.age)?;
        Some(claim.due())
    }
}

impl Deadlines {
    /// A new claim.
    pub(crate) fn push(&mut self, at: LeaseTime, age: Revision, slot: Slot) {
        self.heap.push(Reverse(Due { at, age, slot }));
    }

    /// The claim that is due first, and when: of several the oldest. As it was when things were last
    /// settled.
    pub(crate) fn first(&self) -> Option<(LeaseTime, Slot)> {
        self.heap.peek().map(|Reverse(due)| (due.at, due.slot))
    }

    /// Makes the first entry a live claim's with its due time.
    pub(crate) fn settle(&mut self, slab: &Slab) {
        while let Some(mut first) = self.heap.peek_mut() {
            match first.0.now(slab) {
                Some(now) if now == first.0.at => break,
                Some(now) => first.0.at = now,
                None => drop(PeekMut::pop(first)),
            }
        }
        if self.heap.len() >= SWEEP_MIN && self.heap.len() > 2 * slab.len() {
            self.heap.retain(|Reverse(due)| due.now(slab).is_some());
        }
    }

    /// Whether every live claim has one entry, with no later time than its own, and the first is a live
    /// claim's with its due time.
    pub(crate) fn mirror(&self, slab: &Slab) -> bool {
        let live = self.heap.iter().filter(|Reverse(due)| due.now(slab).is_some());
        live.count() == slab.len()
            && self.heap.iter().all(|Reverse(due)| due.now(slab).is_none_or(|now| due.at <= now))
            && self.heap.peek().is_none_or(|Reverse(first)| first.now(slab) == Some(first.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::{Claim, Phase};
    use leasehold_types::{FencingToken, Holder, LeaseTtl, RequestId, ResourceName};

    fn claim(age: u64, deadline: u64) -> Claim {
        Claim {
            resource: ResourceName::new("resource").expect("a name"),
            holder: Holder::new("holder").expect("a holder"),
            request: RequestId::from_bytes([0; 16]),
            age: Revision(age),
            ttl_asked: LeaseTtl::MAX,
            ttl: LeaseTtl::MAX,
            deadline: LeaseTime(deadline),
            phase: Phase::Held {
                token: FencingToken::new(age).expect("a token"),
                since: LeaseTime(0),
            },
        }
    }

    fn insert(slab: &mut Slab, deadlines: &mut Deadlines, age: u64, deadline: u64) -> Slot {
        let slot = slab.insert(claim(age, deadline));
        deadlines.push(LeaseTime(deadline), Revision(age), slot);
        slot
    }

    #[test]
    fn of_claims_that_are_due_together_the_oldest_is_first() {
        let (mut slab, mut deadlines) = (Slab::default(), Deadlines::default());
        let younger = insert(&mut slab, &mut deadlines, 2, 10);
        let older = insert(&mut slab, &mut deadlines, 1, 10);
        assert_eq!(deadlines.first(), Some((LeaseTime(10), older)));
        slab.remove(older);
        deadlines.settle(&slab);
        assert_eq!(deadlines.first(), Some((LeaseTime(10), younger)));
    }

    #[test]
    fn a_claim_that_was_moved_on_is_first_when_its_time_comes() {
        let (mut slab, mut deadlines) = (Slab::default(), Deadlines::default());
        let moved = insert(&mut slab, &mut deadlines, 1, 10);
        let next = insert(&mut slab, &mut deadlines, 2, 20);
        slab.get_mut(moved).deadline = LeaseTime(30);
        deadlines.settle(&slab);
        assert_eq!(deadlines.first(), Some((LeaseTime(20), next)));
        slab.remove(next);
        deadlines.settle(&slab);
        assert_eq!(deadlines.first(), Some((LeaseTime(30), moved)));
        assert!(deadlines.mirror(&slab));
    }

    #[test]
    fn a_slot_that_was_taken_again_is_due_when_its_new_claim_is() {
        let (mut slab, mut deadlines) = (Slab::default(), Deadlines::default());
        let slot = insert(&mut slab, &mut deadlines, 1, 10);
        slab.remove(slot);
        assert_eq!(insert(&mut slab, &mut deadlines, 2, 30), slot);
        deadlines.settle(&slab);
        assert_eq!((deadlines.first(), deadlines.heap.len()), (Some((LeaseTime(30), slot)), 1));
    }

    #[test]
    fn entries_of_what_ended_are_swept_when_they_are_the_majority_and_not_before() {
        for (entries, left_when_swept) in [(100, Some(49)), (SWEEP_MIN as u64 - 1, None)] {
            let (mut slab, mut deadlines) = (Slab::default(), Deadlines::default());
            // The first stays, so that nothing that ended comes to the front.
            let mut ending: alloc::vec::Vec<_> =
                (1..=entries).map(|n| insert(&mut slab, &mut deadlines, n, n)).skip(1).collect();
            let swept = loop {
                let Some(slot) = ending.pop() else { break None };
                slab.remove(slot);
                deadlines.settle(&slab);
                if deadlines.heap.len() < entries as usize {
                    break Some(slab.len());
                }
            };
            assert_eq!(swept, left_when_swept, "of {entries}");
        }
    }

    #[test]
    fn what_ended_long_before_it_was_due_does_not_pile_up() {
        let (mut slab, mut deadlines) = (Slab::default(), Deadlines::default());
        insert(&mut slab, &mut deadlines, 1, 5);
        for age in 2..10_000 {
            let slot = insert(&mut slab, &mut deadlines, age, 1_000_000 + age);
            slab.remove(slot);
            deadlines.settle(&slab);
            assert!(deadlines.heap.len() <= SWEEP_MIN, "{} entries", deadlines.heap.len());
        }
        let kept: alloc::vec::Vec<_> =
            (0..500).map(|age| insert(&mut slab, &mut deadlines, 10_000 + age, 7)).collect();
        kept.iter().take(300).for_each(|slot| {
            slab.remove(*slot);
            deadlines.settle(&slab);
        });
        assert!(deadlines.heap.len() <= 2 * slab.len(), "{} entries", deadlines.heap.len());
        assert!(deadlines.mirror(&slab));
    }
}
