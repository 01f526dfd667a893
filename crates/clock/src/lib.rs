//! Readings of the machine's clocks, and the two ways to measure elapsed time safely.
//!
//! A leader may count too little time, never too much; a holder may count too much, never too
//! little. Linux has three clocks that disagree: `MONOTONIC` is slewed by time services (by up to
//! 8 % with stock daemons), `MONOTONIC_RAW` is not but has the oscillator's own error, and
//! `BOOTTIME` is `MONOTONIC` plus the time suspended, which `std::time::Instant` does not count
//! (rust-lang/rust#87906). So a [`Reading`] holds all three, and
//!
//! * [`Reading::leader_elapsed_since`] takes the smaller of the first two;
//! * [`Reading::holder_elapsed_since`] takes the larger, plus the time suspended.
//!
//! Elsewhere than on Linux all three are `std::time::Instant`, the best clock there is without
//! `unsafe`: on Windows it counts suspended time, on macOS it does not, so there a laptop that
//! sleeps is protected by the fenced store alone.
//!
//! Deliberately absent: the time of day. This is the only crate that reads a clock.

use std::fmt;
use std::time::Duration;

/// One look at all clocks of this machine. Only the differences between two readings of the same
/// boot mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Duration,
    /// `CLOCK_MONOTONIC_RAW`.
    pub raw: Duration,
    /// `CLOCK_BOOTTIME`.
    pub boot: Duration,
}

impl Reading {
    /// Time that has surely passed on this machine while it ran, for whoever must not count too much.
    pub fn leader_elapsed_since(&self, earlier: &Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        let raw = self.raw.saturating_sub(earlier.raw);
        monotonic.min(raw)
    }

    /// Time that may have passed, suspended time included, for whoever must not count too little.
    pub fn holder_elapsed_since(&self, earlier: &Self) -> Duration {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        let raw = self.raw.saturating_sub(earlier.raw);
        let boot = self.boot.saturating_sub(earlier.boot);
        let suspended = boot.saturating_sub(monotonic);
        monotonic.max(raw).saturating_add(suspended)
    }
}

/// Where readings come from. One implementation reads the machine, tests and the simulator bring
/// their own.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Reads all clocks now.
    fn read(&self) -> Reading;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

#[cfg(target_os = "linux")]
impl Clock for MachineClock {
    fn read(&self) -> Reading {
        use rustix::time::{ClockId, clock_gettime};
        let read = |id| {
            let time = clock_gettime(id);
            let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
            let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
            Duration::new(seconds, nanoseconds)
        };
        // BOOTTIME is read last: a suspension between two reads is then counted, never missed.
        let raw = read(ClockId::MonotonicRaw);
        let monotonic = read(ClockId::Monotonic);
        let boot = read(ClockId::Boottime);
        Reading { monotonic, raw, boot }
    }
}

#[cfg(not(target_os = "linux"))]
impl Clock for MachineClock {
    fn read(&self) -> Reading {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        Reading { monotonic: elapsed, raw: elapsed, boot: elapsed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(monotonic: u64, raw: u64, boot: u64) -> Reading {
        Reading {
            monotonic: Duration::from_millis(monotonic),
            raw: Duration::from_millis(raw),
            boot: Duration::from_millis(boot),
        }
    }

    #[test]
    fn a_leader_counts_the_slower_clock_and_a_holder_the_faster_one() {
        let (earlier, slewed) = (reading(0, 0, 0), reading(1_080, 1_000, 1_080));
        assert_eq!(slewed.leader_elapsed_since(&earlier), Duration::from_millis(1_000));
        assert_eq!(slewed.holder_elapsed_since(&earlier), Duration::from_millis(1_080));
    }

    #[test]
    fn a_holder_counts_suspended_time_and_a_leader_does_not() {
        let (earlier, woken) = (reading(0, 0, 0), reading(10, 10, 60_010));
        assert_eq!(woken.leader_elapsed_since(&earlier), Duration::from_millis(10));
        assert_eq!(woken.holder_elapsed_since(&earlier), Duration::from_millis(60_010));
    }

    #[test]
    fn a_reading_from_the_future_has_no_elapsed_time() {
        let (earlier, now) = (reading(5, 5, 5), reading(3, 3, 3));
        assert_eq!(now.leader_elapsed_since(&earlier), Duration::ZERO);
        assert_eq!(now.holder_elapsed_since(&earlier), Duration::ZERO);
    }

    #[test]
    fn the_machine_clock_does_not_run_back() {
        let earlier = MachineClock.read();
        let later = MachineClock.read();
        assert!(later.monotonic >= earlier.monotonic && later.boot >= earlier.boot);
    }
}
