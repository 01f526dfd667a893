//! Who waits for one resource, in order of arrival.
//!
//! A renewal of a waiting claim is answered with its place, and any claim may leave from the middle,
//! so with a hundred thousand waiters neither may walk the queue. Waiters stand in a row in order of
//! age; one that leaves becomes a gap, and a Fenwick tree ("A new data structure for cumulative
//! frequency tables", 1994) counts who is still there: joining, leaving and the exact place cost
//! O(log n). When gaps are the majority the row closes up, which is O(1) per leaver on average.

use alloc::vec::Vec;

use leasehold_types::Revision;

use crate::slab::Slot;

/// Below this length gaps are not worth closing.
const CLOSE_UP_MIN: usize = 32;

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    row: Vec<Waiter>,
    /// `present[i]` counts the waiters still there among the `lowest_bit(i + 1)` that end at `row[i]`.
    present: Vec<u32>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    age: Revision,
    slot: Slot,
    gone: bool,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The waiter that is next.
    pub(crate) fn first(&self) -> Option<Slot> {
        self.iter().next().map(|(_, slot)| slot)
    }

    /// The waiters in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Revision, Slot)> {
        let start = self.gaps_in_front();
        let there = self.row[start..].iter().filter(|waiter| !waiter.gone);
        there.map(|waiter| (waiter.age, waiter.slot))
    }

    /// Joins at the end: `age` is above every other in the queue.
    pub(crate) fn push(&mut self, age: Revision, slot: Slot) {
        debug_assert!(self.row.last().is_none_or(|last| last.age < age), "ages only grow");
        self.row.push(Waiter { age, slot, gone: false });
        let end = self.row.len();
        let before = self.count_to(end - 1) - self.count_to(end - lowest_bit(end));
        self.present.push(before + 1);
        self.len += 1;
    }

    /// Leaves from anywhere. `false` when it was not there.
    pub(crate) fn remove(&mut self, age: Revision) -> bool {
        let Some(index) = self.index_of(age) else { return false };
        self.row[index].gone = true;
        let mut end = index + 1;
        while end <= self.row.len() {
            self.present[end - 1] -= 1;
            end += lowest_bit(end);
        }
        self.len -= 1;
        if self.row.len() >= CLOSE_UP_MIN && self.len < self.row.len() / 2 {
            self.close_up();
        }
        true
    }

    /// Waiters ahead, plus one. `None` when it is not there.
    pub(crate) fn place(&self, age: Revision) -> Option<u64> {
        let index = self.index_of(age)?;
        Some(u64::from(self.count_to(index + 1)))
    }

    fn index_of(&self, age: Revision) -> Option<usize> {
        let index = self.row.binary_search_by_key(&age, |waiter| waiter.age).ok()?;
        (!self.row[index].gone).then_some(index)
    }

    /// Waiters still there among the first `end` of the row.
    fn count_to(&self, mut end: usize) -> u32 {
        let mut count = 0;
        while end > 0 {
            count += self.present[end - 1];
            end -= lowest_bit(end);
        }
        count
    }

    /// How much of the row's start is gaps, found by descending the tree.
    fn gaps_in_front(&self) -> usize {
        let (mut end, mut step) = (0, self.row.len().checked_ilog2().map_or(0, |log| 1 << log));
        while step > 0 {
            if end + step <= self.row.len() && self.present[end + step - 1] == 0 {
                end += step;
            }
            step /= 2;
        }
        end
    }

    fn close_up(&mut self) {
        let row = core::mem::take(&mut self.row);
        *self = Self::default();
        row.iter()
            .filter(|waiter| !waiter.gone)
            .for_each(|waiter| self.push(waiter.age, waiter.slot));
    }
}

fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Remove(prop::sample::Index),
        RemoveFirst,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Push),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => Just(Step::RemoveFirst),
        ];
        prop::collection::vec(step, 0..300)
    }

    fn full(waiters: u64) -> Queue {
        let mut queue = Queue::default();
        (0..waiters).for_each(|age| queue.push(Revision(age), Slot::new(0)));
        queue
    }

    #[test]
    fn a_row_closes_up_when_most_of_it_is_gaps_and_not_before() {
        let mut queue = full(1_000);
        (0..500).for_each(|age| assert!(queue.remove(Revision(age))));
        assert_eq!((queue.row.len(), queue.len()), (1_000, 500));
        assert!(queue.remove(Revision(700)));
        assert_eq!((queue.row.len(), queue.len()), (499, 499));
    }

    #[test]
    fn a_short_row_is_left_as_it_is() {
        let mut queue = full(CLOSE_UP_MIN as u64 - 1);
        (0..20).for_each(|age| assert!(queue.remove(Revision(age))));
        assert_eq!(queue.row.len(), CLOSE_UP_MIN - 1);
        let mut queue = full(CLOSE_UP_MIN as u64);
        (0..20).for_each(|age| assert!(queue.remove(Revision(age))));
        assert!(queue.row.len() < CLOSE_UP_MIN);
    }

    proptest! {
        #[test]
        fn a_queue_is_a_list_that_forgets_who_left(steps in steps()) {
            let (mut queue, mut list) = (Queue::default(), Vec::<u64>::new());
            for (age, step) in (0..).zip(steps) {
                match step {
                    Step::Push => {
                        queue.push(Revision(age), Slot::new(age as usize));
                        list.push(age);
                    }
                    Step::Remove(index) if !list.is_empty() => {
                        let gone = list.remove(index.index(list.len()));
                        prop_assert!(queue.remove(Revision(gone)));
                        prop_assert!(!queue.remove(Revision(gone)));
                    }
                    Step::RemoveFirst if !list.is_empty() => {
                        prop_assert!(queue.remove(Revision(list.remove(0))));
                    }
                    _ => prop_assert!(!queue.remove(Revision(age))),
                }
                prop_assert_eq!(queue.len(), list.len());
                let gaps = queue.row.iter().take_while(|waiter| waiter.gone).count();
                prop_assert_eq!(queue.gaps_in_front(), gaps);
                prop_assert_eq!(queue.first(), list.first().map(|age| Slot::new(*age as usize)));
                prop_assert_eq!(queue.iter().map(|(age, _)| age.0).collect::<Vec<_>>(), list.clone());
                for (place, age) in (1..).zip(&list) {
                    prop_assert_eq!(queue.place(Revision(*age)), Some(place));
                }
                prop_assert_eq!(queue.place(Revision(u64::MAX)), None);
            }
        }
    }
}
