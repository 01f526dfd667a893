//! The events that are kept so that a watch can resume.
//!
//! Batches are kept whole and shared, not copied event by event: a reader gets a few reference
//! counts, and looks through them on its own task. A revision between two events of one batch is as
//! good a place to resume after as any.

use std::collections::VecDeque;

use hashbrown::DefaultHashBuilder;
use leasehold_types::{Event, RequestId, Revision, WatchRefusal};

use super::batch::{Kept, SharedBatch};

/// A reader gets whole batches until they hold this many events.
const CHUNK_EVENTS: usize = 1_000;

/// What happened lately, oldest first. Holds batches with events only.
#[derive(Debug)]
pub(super) struct Ring {
    batches: VecDeque<Kept>,
    hasher: DefaultHashBuilder,
    events: usize,
    events_max: usize,
    /// Every event after this revision is here: the smallest revision a watch can resume after. That
    /// of an event that is gone, or of a state whose past is not known.
    oldest: Revision,
    /// Everything up to this revision has been here.
    reached: Revision,
}

impl Ring {
    /// Empty, of a state at `revision`.
    pub(super) fn new(revision: Revision, events_max: usize) -> Self {
        let (batches, hasher) = (VecDeque::new(), DefaultHashBuilder::default());
        Self { batches, hasher, events: 0, events_max, oldest: revision, reached: revision }
    }

    /// Forgets everything: the state jumped to `revision` and what happened before was not told.
    pub(super) fn restart(&mut self, revision: Revision) {
        *self = Self::new(revision, self.events_max);
    }

    /// Takes the next batch. One that the starting state covered already is passed over.
    pub(super) fn push(&mut self, batch: SharedBatch) {
        if batch.revision <= self.reached {
            return;
        }
        self.reached = batch.revision;
        if batch.events.is_empty() {
            return;
        }
        self.events += batch.events.len();
        self.batches.push_back(Kept::new(batch, &self.hasher));
        while self.batches.len() > 1
            && self.events - self.batches[0].batch.events.len() >= self.events_max
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(Kept { batch, .. }) = self.batches.pop_front() {
            self.events -= batch.events.len();
            self.oldest = batch.events.last().map_or(self.oldest, |event| event.revision);
        }
    }

    /// Everything up to this revision has been here.
    pub(super) const fn reached(&self) -> Revision {
        self.reached
    }

    /// The first batches with events after `after`.
    ///
    /// # Errors
    /// [`WatchRefusal::NotRetained`] when some of them are forgotten.
    pub(super) fn read(&self, after: Revision) -> Result<Chunk, WatchRefusal> {
        if after < self.oldest {
            return Err(WatchRefusal::NotRetained { asked: after.0, oldest: self.oldest.0 });
        }
        let mut events = 0;
        let mut batches = Vec::new();
        for Kept { batch, .. } in self.batches_after(after) {
            if events >= CHUNK_EVENTS {
                break;
            }
            events += batch.events.len();
            batches.push(batch.clone());
        }
        let cut = events >= CHUNK_EVENTS;
        let reached = match batches.last() {
            Some(last) if cut => last.revision,
            _ => self.reached.max(after),
        };
        Ok(Chunk { batches, after, reached })
    }

    /// What happened to one claim after `after`, as far as it is kept.
    pub(super) fn events_of(
        &self,
        request: RequestId,
        after: Revision,
    ) -> impl Iterator<Item = &Event> {
        let kept = self.batches_after(after);
        kept.flat_map(move |kept| kept.events_of(&self.hasher, request, after))
    }

    /// Whether nothing after `after` was forgotten.
    pub(super) fn retains(&self, after: Revision) -> bool {
        after >= self.oldest
    }

    fn batches_after(&self, after: Revision) -> impl Iterator<Item = &Kept> {
        let first = self.batches.partition_point(|kept| kept.batch.revision <= after);
        self.batches.range(first..)
    }
}

/// A piece of what happened, as a watch reads it.
#[derive(Debug)]
pub(crate) struct Chunk {
    batches: Vec<SharedBatch>,
    after: Revision,
    reached: Revision,
}

impl Chunk {
    /// The events of resources whose names start with `prefix`, in order, at most `limit` of them;
    /// and up to where that is everything.
    pub(crate) fn matching(&self, prefix: &str, limit: usize) -> (Vec<&Event>, Revision) {
        let mut found: Vec<&Event> = self
            .batches
            .iter()
            .flat_map(|batch| batch.events_after(self.after))
            .filter(|event| event.resource.as_str().starts_with(prefix))
            .take(limit.saturating_add(1))
            .collect();
        if found.len() <= limit {
            return (found, self.reached);
        }
        found.truncate(limit);
        let reached = found.last().map_or(self.after, |event| event.revision);
        (found, reached)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use leasehold_raft::{AppliedBatch, Change};
    use leasehold_types::{EndReason, EventKind, Holder, LeaseTime, ResourceName};
    use std::sync::Arc;

    pub(crate) fn request(number: u8) -> RequestId {
        RequestId::from_bytes([number; 16])
    }

    pub(crate) fn ended(revision: u64, resource: &str, number: u8) -> Event {
        Event {
            revision: Revision(revision),
            at: LeaseTime(0),
            resource: ResourceName::new(resource).expect("a good name"),
            holder: Holder::new("h").expect("a good holder"),
            request: request(number),
            kind: EventKind::Ended { token: None, why: EndReason::Cancelled },
        }
    }

    /// A batch that ends at `revision`, with events named by their own revisions.
    pub(crate) fn batch(revision: u64, events: Vec<Event>) -> SharedBatch {
        let (log_index, at) = (revision, LeaseTime(revision));
        let batch = AppliedBatch { log_index, revision: Revision(revision), at, events };
        SharedBatch::new(Arc::new(Change::Batch(batch))).expect("a batch")
    }

    fn ring_of_three() -> Ring {
        let mut ring = Ring::new(Revision(10), 100);
        ring.push(batch(13, vec![ended(11, "a", 1), ended(12, "b", 2), ended(13, "a", 3)]));
        ring.push(batch(14, vec![]));
        ring.push(batch(16, vec![ended(16, "a", 4)]));
        ring
    }

    fn revisions(ring: &Ring, after: u64, prefix: &str) -> (Vec<u64>, u64) {
        let chunk = ring.read(Revision(after)).expect("retained");
        let (events, reached) = chunk.matching(prefix, 100);
        (events.iter().map(|event| event.revision.0).collect(), reached.0)
    }

    #[test]
    fn a_watch_resumes_between_two_events_of_one_batch() {
        let ring = ring_of_three();
        assert_eq!(revisions(&ring, 10, ""), (vec![11, 12, 13, 16], 16));
        assert_eq!(revisions(&ring, 11, ""), (vec![12, 13, 16], 16));
        assert_eq!(revisions(&ring, 12, ""), (vec![13, 16], 16));
        assert_eq!(revisions(&ring, 13, ""), (vec![16], 16));
        assert_eq!(revisions(&ring, 16, ""), (vec![], 16));
    }

    #[test]
    fn only_names_with_the_prefix_match_and_the_rest_counts_as_told() {
        let ring = ring_of_three();
        assert_eq!(revisions(&ring, 10, "b"), (vec![12], 16));
        assert_eq!(revisions(&ring, 10, "c"), (vec![], 16));
    }

    #[test]
    fn a_limit_inside_a_batch_tells_where_to_go_on() {
        let ring = ring_of_three();
        let chunk = ring.read(Revision(10)).expect("retained");
        let (events, reached) = chunk.matching("a", 1);
        assert_eq!((events.len(), reached), (1, Revision(11)));
        assert_eq!(revisions(&ring, reached.0, "a"), (vec![13, 16], 16));
    }

    #[test]
    fn a_limit_that_is_just_met_loses_nothing_and_skips_nothing() {
        let ring = ring_of_three();
        let chunk = ring.read(Revision(10)).expect("retained");
        let (events, reached) = chunk.matching("", 4);
        assert_eq!((events.len(), reached), (4, Revision(16)));
    }

    #[test]
    fn the_oldest_batches_are_forgotten_first_and_a_watch_behind_them_is_refused() {
        let mut ring = Ring::new(Revision(0), 2);
        for revision in 1..=5 {
            ring.push(batch(revision, vec![ended(revision, "a", 1)]));
        }
        assert_eq!(revisions(&ring, 3, ""), (vec![4, 5], 5));
        let refusal = ring.read(Revision(2)).expect_err("forgotten");
        assert_eq!(refusal, WatchRefusal::NotRetained { asked: 2, oldest: 3 });
    }

    #[test]
    fn a_revision_without_an_event_is_as_good_as_the_event_before_it() {
        let mut ring = Ring::new(Revision(0), 1);
        ring.push(batch(9, vec![ended(3, "a", 1)]));
        ring.push(batch(20, vec![]));
        assert_eq!(revisions(&ring, 0, ""), (vec![3], 20));
        ring.push(batch(30, vec![ended(25, "a", 1)]));
        assert_eq!(revisions(&ring, 3, ""), (vec![25], 30));
        assert!(!ring.retains(Revision(2)));
    }

    #[test]
    fn a_batch_larger_than_the_ring_is_kept_until_the_next() {
        let mut ring = Ring::new(Revision(0), 2);
        ring.push(batch(3, vec![ended(1, "a", 1), ended(2, "a", 1), ended(3, "a", 1)]));
        assert_eq!(revisions(&ring, 0, ""), (vec![1, 2, 3], 3));
        ring.push(batch(5, vec![ended(4, "a", 1), ended(5, "a", 1)]));
        assert!(!ring.retains(Revision(0)));
        assert_eq!(revisions(&ring, 3, ""), (vec![4, 5], 5));
    }

    #[test]
    fn what_the_starting_state_covered_is_not_told_again() {
        let mut ring = Ring::new(Revision(10), 100);
        ring.push(batch(9, vec![ended(9, "a", 1)]));
        ring.push(batch(10, vec![ended(10, "a", 1)]));
        assert_eq!(revisions(&ring, 10, ""), (vec![], 10));
        assert!(ring.read(Revision(9)).is_err());
    }

    #[test]
    fn after_a_snapshot_only_what_follows_it_can_be_watched() {
        let mut ring = ring_of_three();
        ring.restart(Revision(50));
        let refusal = ring.read(Revision(16)).expect_err("a gap");
        assert_eq!(refusal, WatchRefusal::NotRetained { asked: 16, oldest: 50 });
        ring.push(batch(51, vec![ended(51, "a", 1)]));
        assert_eq!(revisions(&ring, 50, ""), (vec![51], 51));
    }

    #[test]
    fn a_reader_ahead_of_the_feed_waits_where_it_is() {
        assert_eq!(revisions(&ring_of_three(), 20, ""), (vec![], 20));
    }

    #[test]
    fn a_long_history_is_read_in_pieces_without_gaps() {
        let mut ring = Ring::new(Revision(0), 10_000);
        for revision in 1..=2_500 {
            ring.push(batch(revision, vec![ended(revision, "a", 1)]));
        }
        let (mut at, mut seen) = (0, Vec::new());
        while at < 2_500 {
            let (events, reached) = revisions(&ring, at, "");
            assert!(reached > at, "no progress at {at}");
            seen.extend(events);
            at = reached;
        }
        assert_eq!(seen, (1..=2_500).collect::<Vec<_>>());
    }

    #[test]
    fn the_events_of_one_claim_are_found_after_a_revision() {
        let ring = ring_of_three();
        let found = |number, after| ring.events_of(request(number), Revision(after)).count();
        assert_eq!(found(3, 10), 1);
        assert_eq!(found(3, 12), 1);
        assert_eq!(found(3, 13), 0);
        assert_eq!(found(9, 10), 0);
    }
}
