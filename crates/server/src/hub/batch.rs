//! An applied batch, shared by all who tell of it.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use leasehold_raft::{AppliedBatch, Change};
use leasehold_types::{Event, RequestId, Revision};

/// An applied batch that the feed shares with all its listeners.
#[derive(Clone, Debug)]
pub(super) struct SharedBatch(Arc<Change>);

impl SharedBatch {
    /// `None` for a change that is no batch.
    pub(super) fn new(change: Arc<Change>) -> Option<Self> {
        matches!(*change, Change::Batch(_)).then_some(Self(change))
    }

    /// Its events after `after`. They are in order, and a hundred thousand leases may end in one batch:
    /// whoever reads it in pieces does not look through it from the start each time.
    pub(super) fn events_after(&self, after: Revision) -> &[Event] {
        let first = self.events.partition_point(|event| event.revision <= after);
        &self.events[first..]
    }
}

impl std::ops::Deref for SharedBatch {
    type Target = AppliedBatch;

    fn deref(&self) -> &AppliedBatch {
        match &*self.0 {
            Change::Batch(batch) => batch,
            Change::SnapshotInstalled { .. } => unreachable!("the constructor took batches only"),
        }
    }
}

/// Up to this many events are looked through one by one, which is sooner done.
const FEW: usize = 16;

/// A batch that is kept, with the last event of each claim in it.
///
/// Under load a batch has hundreds of events, and of every lease granted in it somebody asks what
/// happened to it since. Looking through all of them for each would be the square of their number.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) batch: SharedBatch,
    /// Places among the events; `None` where there are few.
    last: Option<HashTable<usize>>,
}

impl Kept {
    /// Every question must come with this same hasher.
    pub(super) fn new(batch: SharedBatch, hasher: &impl BuildHasher) -> Self {
        let events = &batch.events;
        if events.len() <= FEW {
            return Self { batch, last: None };
        }
        let hash_of = |place: &usize| hasher.hash_one(events[*place].request);
        let mut places = HashTable::with_capacity(events.len());
        for (place, event) in events.iter().enumerate() {
            let same = |other: &usize| events[*other].request == event.request;
            match places.entry(hash_of(&place), same, hash_of) {
                Entry::Occupied(mut last) => *last.get_mut() = place,
                Entry::Vacant(first) => drop(first.insert(place)),
            }
        }
        Self { batch, last: Some(places) }
    }

    /// What happened to one claim after `after`.
    pub(super) fn events_of(
        &self,
        hasher: &impl BuildHasher,
        request: RequestId,
        after: Revision,
    ) -> impl Iterator<Item = &Event> {
        let events: &[Event] = match self.may_tell_of(hasher, request, after) {
            true => self.batch.events_after(after),
            false => &[],
        };
        events.iter().filter(move |event| event.request == request)
    }

    /// Whether the claim may have an event after `after`. Never false when it has one.
    fn may_tell_of(&self, hasher: &impl BuildHasher, request: RequestId, after: Revision) -> bool {
        let (events, Some(places)) = (&self.batch.events, &self.last) else { return true };
        let same = |place: &usize| events[*place].request == request;
        let last = places.find(hasher.hash_one(request), same);
        last.is_some_and(|place| events[*place].revision > after)
    }
}

#[cfg(test)]
mod tests {
    use hashbrown::DefaultHashBuilder;

    use super::super::ring::tests::{batch, ended, request};
    use super::*;

    #[test]
    fn of_many_events_or_few_it_is_known_which_claims_have_one_after_a_revision() {
        let hasher = DefaultHashBuilder::default();
        for count in [1, 16, 17, 200] {
            // Claims 1 to 9 take turns; claim 0 has none.
            let events: Vec<Event> = (1..=count)
                .map(|n| ended(n, "a", u8::try_from(n % 9 + 1).expect("small")))
                .collect();
            let kept = Kept::new(batch(count, events), &hasher);
            for number in 0..=9 {
                for after in 0..=count {
                    let (request, after) = (request(number), Revision(after));
                    let told: Vec<&Event> = kept.events_of(&hasher, request, after).collect();
                    let happened = kept.batch.events.iter();
                    let happened = happened.filter(|e| e.request == request && e.revision > after);
                    assert!(told.iter().copied().eq(happened), "{number} {after:?} {count}");
                    let (may, has) = (kept.may_tell_of(&hasher, request, after), !told.is_empty());
                    assert!(may || !has, "claim {number} after {after:?} of {count}");
                    assert!(count <= FEW as u64 || may == has, "{number} {after:?} {count}");
                }
            }
        }
    }
}
