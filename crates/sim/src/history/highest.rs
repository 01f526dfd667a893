//! The greatest of what was known before a moment: the sweep that most real-time checks are.

/// Values, each known from some time on, and the greatest so far at each time.
#[derive(Clone, Debug)]
pub(crate) struct Highest<T> {
    known: Vec<(u64, T)>,
}

impl<T: Ord + Copy> Highest<T> {
    /// Of values with the times from which they are known. O(n log n).
    pub(crate) fn new(mut known: Vec<(u64, T)>) -> Self {
        known.sort_unstable();
        let mut greatest: Option<T> = None;
        for (_, value) in &mut known {
            *value = greatest.map_or(*value, |greatest| greatest.max(*value));
            greatest = Some(*value);
        }
        Self { known }
    }

    /// The greatest value known before that time, O(log n).
    pub(crate) fn before(&self, ns: u64) -> Option<T> {
        let end = self.known.partition_point(|(known_ns, _)| *known_ns < ns);
        end.checked_sub(1).map(|last| self.known[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_value_before_a_moment_need_not_be_the_latest() {
        let highest = Highest::new(vec![(30, 2), (10, 1), (20, 5)]);
        let before = [10, 11, 20, 21, 99].map(|ns| highest.before(ns));
        assert_eq!(before, [None, Some(1), Some(1), Some(5), Some(5)]);
    }
}
