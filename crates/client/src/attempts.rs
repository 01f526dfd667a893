//! Attempts under way: which answer belongs to which question, and when the question was sent.
//!
//! An answer is matched by number and only once, so a duplicate, a push, or an answer from another
//! stream finds nothing here and proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leasehold_clock::Reading;

/// Numbered attempts on one stream. `T` is what the owner needs to know again when the answer comes.
#[derive(Debug)]
pub struct Attempts<T> {
    last: u64,
    open: BTreeMap<u64, Open<T>>,
    /// Deadlines of attempts that have not timed out yet.
    timeouts: BTreeSet<(Duration, u64)>,
}

#[derive(Debug)]
struct Open<T> {
    sent: Reading,
    times_out_at: Duration,
    about: T,
}

/// An attempt that was answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered<T> {
    /// The clock just before it was sent.
    pub sent: Reading,
    /// What it was about.
    pub about: T,
}

impl<T> Default for Attempts<T> {
    fn default() -> Self {
        Self { last: 0, open: BTreeMap::new(), timeouts: BTreeSet::new() }
    }
}

impl<T> Attempts<T> {
    /// Gives a new attempt its number, never used before. `sent` was read before it leaves.
    pub fn open(
        &mut self,
        sent: Reading,
        times_out_at: Duration,
        about: impl FnOnce(u64) -> T,
    ) -> u64 {
        self.last += 1;
        let number = self.last;
        self.open.insert(number, Open { sent, times_out_at, about: about(number) });
        self.timeouts.insert((times_out_at, number));
        number
    }

    /// The attempt of this number, once.
    pub fn answered(&mut self, number: u64) -> Option<Answered<T>> {
        let Open { sent, times_out_at, about } = self.open.remove(&number)?;
        self.timeouts.remove(&(times_out_at, number));
        Some(Answered { sent, about })
    }

    /// Attempts that have gone unanswered for their whole timeout. Each is told once; it stays open,
    /// since a late answer still proves what it proves.
    pub fn take_timed_out(&mut self, at: Duration) -> Vec<u64> {
        let later = self.timeouts.split_off(&(at + Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut self.timeouts, later);
        due.into_iter().map(|(_, number)| number).collect()
    }

    /// What the open attempt of this number is about, and when it was sent.
    pub fn get(&self, number: u64) -> Option<(&Reading, &T)> {
        self.open.get(&number).map(|open| (&open.sent, &open.about))
    }

    /// When the next attempt times out.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// The stream is gone: nothing that was asked on it can be answered any more. Numbers go on.
    pub fn abandon(&mut self) -> Vec<(u64, T)> {
        self.timeouts.clear();
        std::mem::take(&mut self.open)
            .into_iter()
            .map(|(number, open)| (number, open.about))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sent(ms: u64) -> Reading {
        let at = Duration::from_millis(ms);
        Reading { monotonic: at, raw: at, boot: at }
    }

    #[test]
    fn an_answer_is_matched_by_number_and_only_once() {
        let mut attempts = Attempts::default();
        let first = attempts.open(sent(1), SECOND, |_| "first");
        let second = attempts.open(sent(2), SECOND, |_| "second");
        assert_eq!(attempts.answered(second), Some(Answered { sent: sent(2), about: "second" }));
        assert_eq!(attempts.answered(second), None, "a duplicate");
        assert_eq!(attempts.answered(0), None, "a push");
        assert_eq!(attempts.answered(99), None, "nobody's");
        assert_eq!(attempts.answered(first), Some(Answered { sent: sent(1), about: "first" }));
    }

    #[test]
    fn an_attempt_times_out_once_and_can_still_be_answered_late() {
        let mut attempts = Attempts::default();
        let number = attempts.open(sent(1), SECOND, |_| ());
        assert_eq!(attempts.take_timed_out(SECOND - Duration::from_nanos(1)), []);
        assert_eq!(attempts.take_timed_out(SECOND), [number]);
        assert_eq!(attempts.take_timed_out(SECOND * 2), []);
        assert!(attempts.answered(number).is_some());
    }

    #[test]
    fn what_was_asked_on_a_lost_stream_is_never_answered_and_its_numbers_never_return() {
        let mut attempts = Attempts::default();
        let old = attempts.open(sent(1), SECOND, |_| "old");
        assert_eq!(attempts.abandon(), [(old, "old")]);
        assert_eq!(attempts.answered(old), None);
        assert!(attempts.open(sent(2), SECOND, |_| "new") > old);
        assert_eq!(attempts.next_timeout(), Some(SECOND));
    }
}
