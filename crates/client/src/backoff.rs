//! How long to wait before trying again: doubling, with jitter, bounded.

use std::time::Duration;

use crate::random::{Random, number_below};

/// Doubles from a first pause to a longest one. Each pause is drawn from the upper half of what is
/// due, so that clients which failed together do not return together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    due: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, due: first }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self, random: &dyn Random) -> Duration {
        let half = self.due / 2;
        let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let pause = half + Duration::from_nanos(number_below(random, spread));
        self.due = (self.due * 2).min(self.longest);
        pause
    }

    /// It worked: the next pause is a first one again.
    pub(crate) fn reset(&mut self) {
        self.due = self.first;
    }

    /// Whether nothing has failed since the last success.
    pub(crate) const fn is_reset(&self) -> bool {
        self.due.as_nanos() == self.first.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(100);

    /// Always the same draw.
    #[derive(Debug)]
    struct Drawn([u8; 16]);

    impl Random for Drawn {
        fn draw(&self) -> [u8; 16] {
            self.0
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_drawn_from_their_upper_half() {
        let mut least = Backoff::new(FIRST, LONGEST);
        let pauses = [10, 20, 40, 50, 50].map(Duration::from_millis);
        assert_eq!(pauses.map(|_| least.pause(&Drawn([0; 16]))), pauses);
        for byte in 0..=u8::MAX {
            let mut drawn = Backoff::new(FIRST, LONGEST);
            for least in pauses {
                let pause = drawn.pause(&Drawn([byte; 16]));
                assert!((least..2 * least).contains(&pause), "{byte}: {pause:?} of {least:?}");
            }
        }
    }

    #[test]
    fn clients_that_failed_together_do_not_return_together() {
        let pause = |byte| Backoff::new(FIRST, LONGEST).pause(&Drawn([byte; 16]));
        assert_ne!(pause(1), pause(2));
    }

    #[test]
    fn after_a_success_the_next_pause_is_a_first_one() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert!(backoff.is_reset());
        let first = backoff.pause(&Drawn([0; 16]));
        assert!(!backoff.is_reset() && backoff.pause(&Drawn([0; 16])) > first);
        backoff.reset();
        assert!(backoff.is_reset());
        assert_eq!(backoff.pause(&Drawn([0; 16])), first);
    }
}
