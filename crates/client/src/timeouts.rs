//! How long to wait for one answer: measured, not guessed.
//!
//! RFC 6298's estimator: a smoothed round trip and its variation, `timeout = smoothed + 4 * variation`,
//! doubled each time an attempt goes unanswered, and kept doubled until a new round trip is measured
//! (Karn and Partridge, SIGCOMM 1987). The other half of Karn's rule, never to measure a repeated
//! attempt, is met by construction: every attempt has its own number and its answer echoes it, so no
//! answer is ever taken for another's.
//!
//! The RFC's floor of a second is for TCP's coarse timers; here the floor covers a disk sync and a
//! commit. Pure: durations in, durations out.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const FLOOR: Duration = Duration::from_millis(200);
const CEILING: Duration = Duration::from_secs(5);
const GRAIN: Duration = Duration::from_millis(1);
const DOUBLINGS_MAX: u32 = 8;

/// The timeout of the next attempt on one path.
#[derive(Clone, Debug, Default)]
pub struct Timeouts {
    measured: Option<Measured>,
    doublings: u32,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
}

impl Timeouts {
    /// Shortest timeout there is: 200 ms.
    pub const FLOOR: Duration = FLOOR;

    /// How long to wait for the next answer: 200 ms to 5 s; 1 s before anything was measured.
    pub fn current(&self) -> Duration {
        let base = match self.measured {
            None => FIRST,
            Some(Measured { smoothed, variation }) => smoothed + GRAIN.max(variation * 4),
        };
        base.max(FLOOR).saturating_mul(1 << self.doublings).min(CEILING)
    }

    /// An attempt was answered after this long.
    pub fn answered(&mut self, round_trip: Duration) {
        let round_trip = round_trip.min(Duration::from_secs(3_600));
        self.measured = Some(match self.measured {
            None => Measured { smoothed: round_trip, variation: round_trip / 2 },
            Some(Measured { smoothed, variation }) => Measured {
                variation: variation * 3 / 4 + smoothed.abs_diff(round_trip) / 4,
                smoothed: smoothed * 7 / 8 + round_trip / 8,
            },
        });
        self.doublings = 0;
    }

    /// An attempt went unanswered for as long as [`Self::current`] said.
    pub fn timed_out(&mut self) {
        self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
    }

    /// The path changed: what was measured stays a good guess, the doubling was about the old path.
    pub fn path_changed(&mut self) {
        self.doublings = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_timeout_is_a_second_and_then_follows_what_is_measured() {
        let mut timeouts = Timeouts::default();
        assert_eq!(timeouts.current(), ms(1_000));
        timeouts.answered(ms(400));
        assert_eq!(timeouts.current(), ms(400 + 4 * 200), "RFC 6298, rule 2.2");
        timeouts.answered(ms(400));
        assert_eq!(timeouts.current(), ms(400 + 4 * 150), "RFC 6298, rule 2.3");
    }

    #[test]
    fn a_round_trip_that_differs_counts_a_quarter_in_the_variation_and_an_eighth_in_the_mean() {
        let mut timeouts = Timeouts::default();
        timeouts.answered(ms(400));
        timeouts.answered(ms(600));
        assert_eq!(timeouts.current(), ms(350 + 75 + 4 * (150 + 50)));
    }

    #[test]
    fn doubling_is_about_the_path_and_ends_with_it() {
        let mut timeouts = Timeouts::default();
        timeouts.answered(ms(400));
        let measured = timeouts.current();
        timeouts.timed_out();
        assert_eq!(timeouts.current(), measured * 2);
        timeouts.path_changed();
        assert_eq!(timeouts.current(), measured);
    }

    #[test]
    fn a_steady_path_comes_down_to_the_floor() {
        let mut timeouts = Timeouts::default();
        (0..50).for_each(|_| timeouts.answered(ms(2)));
        assert_eq!(timeouts.current(), FLOOR);
    }

    #[test]
    fn a_timeout_stays_doubled_until_a_round_trip_is_measured() {
        let mut timeouts = Timeouts::default();
        (0..50).for_each(|_| timeouts.answered(ms(2)));
        timeouts.timed_out();
        assert_eq!(timeouts.current(), FLOOR * 2);
        timeouts.timed_out();
        assert_eq!(timeouts.current(), FLOOR * 4);
        timeouts.answered(ms(2));
        assert_eq!(timeouts.current(), FLOOR);
    }

    #[test]
    fn doubling_ends_at_the_ceiling_and_extremes_do_not_overflow() {
        let mut timeouts = Timeouts::default();
        (0..100).for_each(|_| timeouts.timed_out());
        assert_eq!(timeouts.current(), CEILING);
        timeouts.answered(Duration::MAX);
        timeouts.answered(Duration::ZERO);
        assert_eq!(timeouts.current(), CEILING);
    }

    #[test]
    fn a_slow_path_has_a_longer_timeout_than_its_round_trip() {
        let mut timeouts = Timeouts::default();
        for round_trip in [900, 1_100, 950, 1_300, 1_000] {
            timeouts.answered(ms(round_trip));
            assert!(timeouts.current() > ms(round_trip));
        }
    }
}
