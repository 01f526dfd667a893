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
