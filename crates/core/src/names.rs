//! The names of resources with live claims, in byte order.
//!
//! Only listings need the order, and most leases are short, so names are sorted in late: what came or
//! went since stands in a table beside the tree, and a name that comes and goes again soon never
//! reaches the tree. A listing looks at both. The table is bounded, and so is what it adds to a listing.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::iter;
use core::ops::{Bound, RangeBounds};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use leasehold_types::ResourceName;

/// So many changes are not sorted in yet, at most.
const LATE_MAX: usize = 1_024;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    sorted: BTreeSet<ResourceName>,
    late: HashMap<ResourceName, Late>,
}

/// What is not sorted in yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// And is not in the tree.
    Came,
    /// And is still in the tree.
    Went,
}

impl Names {
    /// A name that is not there.
    pub(crate) fn insert(&mut self, name: &ResourceName) {
        self.change(name, Late::Came);
    }

    /// A name that is there.
    pub(crate) fn remove(&mut self, name: &ResourceName) {
        self.change(name, Late::Went);
    }

    pub(crate) fn len(&self) -> usize {
        let came = self.late.values().filter(|late| **late == Late::Came).count();
        self.sorted.len() + came - (self.late.len() - came)
    }

    /// The names from `start` on, in byte order.
    pub(crate) fn from(&self, start: Bound<&str>) -> impl Iterator<Item = &ResourceName> {
        let range = (start, Bound::Unbounded);
        let late = self.late.iter().filter(|(_, late)| **late == Late::Came).map(|(name, _)| name);
        let mut late: Vec<&ResourceName> =
            late.filter(|name| RangeBounds::<str>::contains(&range, name.as_str())).collect();
        late.sort_unstable();
        let mut late = late.into_iter().peekable();
        let sorted = self.sorted.range::<str, _>(range);
        let mut sorted = sorted.filter(|name| !self.late.contains_key(*name)).peekable();
        iter::from_fn(move || match (sorted.peek(), late.peek()) {
            (Some(next), Some(other)) if other < next => late.next(),
            (Some(_), _) => sorted.next(),
            (None, _) => late.next(),
        })
    }

    /// A name comes and goes in turns, so of two changes the second undoes the first.
    fn change(&mut self, name: &ResourceName, change: Late) {
        match self.late.entry(name.clone()) {
            Entry::Occupied(before) => {
                before.remove();
            }
            Entry::Vacant(entry) => {
                entry.insert(change);
            }
        }
        if self.late.len() > LATE_MAX {
            self.sort_in();
        }
    }

    fn sort_in(&mut self) {
        for (name, late) in self.late.drain() {
            match late {
                Late::Came => self.sorted.insert(name),
                Late::Went => self.sorted.remove(&name),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_are_a_sorted_set_whatever_is_sorted_in_late(
            changes in prop::collection::vec(0..400_u32, 0..4_000),
            start in 0..400_u32,
        ) {
            let name = |number: u32| ResourceName::new(&format!("n{number}")).expect("a name");
            let (mut names, mut set) = (Names::default(), BTreeSet::new());
            for change in changes {
                let name = name(change);
                match set.remove(&name) {
                    true => names.remove(&name),
                    false => {
                        names.insert(&name);
                        set.insert(name);
                    }
                }
                if names.late.len() > 100 {
                    names.sort_in();
                }
            }
            let start = name(start);
            for bound in [Bound::Included(start.as_str()), Bound::Excluded(start.as_str()), Bound::Unbounded] {
                let listed: Vec<_> = names.from(bound).collect();
                let expected: Vec<_> = set.range::<str, _>((bound, Bound::Unbounded)).collect();
                prop_assert_eq!(listed, expected);
            }
            prop_assert_eq!(names.len(), set.len());
        }
    }

    #[test]
    fn a_name_that_comes_and_goes_soon_is_never_sorted_in() {
        let mut names = Names::default();
        let name = |number: usize| ResourceName::new(&format!("{number}")).expect("a name");
        for number in 0..10_000 {
            names.insert(&name(number));
            names.remove(&name(number));
        }
        assert_eq!((names.sorted.len(), names.late.len()), (0, 0));
        (0..LATE_MAX).for_each(|number| names.insert(&name(number)));
        assert_eq!((names.sorted.len(), names.late.len()), (0, LATE_MAX));
        names.insert(&name(LATE_MAX));
        assert_eq!((names.sorted.len(), names.late.len()), (LATE_MAX + 1, 0));
    }

    #[test]
    fn a_bounded_number_of_changes_waits_to_be_sorted_in() {
        let mut names = Names::default();
        for number in 0..10_000 {
            names.insert(&ResourceName::new(&format!("{number}")).expect("a name"));
            assert!(names.late.len() <= LATE_MAX);
        }
        assert_eq!(names.len(), 10_000);
    }
}
