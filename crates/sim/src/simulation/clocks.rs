//! The clocks of one machine, as wrong as a machine's can be.
//!
//! All follow true time, each at its own rate. A suspended machine loses `MONOTONIC` and `RAW` and
//! keeps `BOOTTIME`; a virtual machine that is frozen from outside may lose all three. A time service
//! slews `MONOTONIC` by up to 8 %.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_clock::{Clock, Reading};

use super::process::true_time;

/// Parts per million by which a clock is fast (or slow).
pub(crate) type Ppm = i64;

/// The clocks of one machine. Clones are the same clocks.
#[derive(Clone, Debug)]
pub(crate) struct MachineClocks {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    at: Duration,
    monotonic: Counter,
    raw: Counter,
    boot_ahead: Duration,
    suspended: bool,
    frozen: bool,
    /// False only under a planted bug.
    counts_sleep: bool,
}

#[derive(Debug)]
struct Counter {
    nanos: u128,
    rate: Ppm,
}

impl Counter {
    fn run(&mut self, passed: Duration) {
        let scaled = passed.as_nanos() as i128 * i128::from(1_000_000 + self.rate) / 1_000_000;
        self.nanos += u128::try_from(scaled).unwrap_or(0);
    }

    fn reading(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos).unwrap_or(u64::MAX))
    }
}

impl MachineClocks {
    /// Clocks that start anywhere, at these rates.
    pub(crate) fn new(start: Duration, monotonic: Ppm, raw: Ppm, counts_sleep: bool) -> Self {
        let counter = |rate| Counter { nanos: start.as_nanos(), rate };
        let state = State {
            at: true_time(),
            monotonic: counter(monotonic),
            raw: counter(raw),
            boot_ahead: Duration::ZERO,
            suspended: false,
            frozen: false,
            counts_sleep,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// `MONOTONIC` is slewed from now on.
    pub(crate) fn slew(&self, rate: Ppm) {
        self.change(|state| state.monotonic.rate = rate);
    }

    /// Suspend to memory, or back.
    pub(crate) fn suspend(&self, suspended: bool) {
        self.change(|state| state.suspended = suspended);
    }

    /// A virtual machine stopped from outside, or back: no clock of it sees that time.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.change(|state| state.frozen = frozen);
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Reading {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up();
        change(&mut state);
        let monotonic = state.monotonic.reading();
        Reading { monotonic, raw: state.raw.reading(), boot: monotonic + state.boot_ahead }
    }
}

impl State {
    fn catch_up(&mut self) {
        let now = true_time();
        let passed = now.saturating_sub(self.at);
        self.at = now;
        match (self.frozen, self.suspended) {
            (true, _) => {}
            (false, true) if !self.counts_sleep => {}
            (false, true) => self.boot_ahead += passed,
            (false, false) => {
                self.monotonic.run(passed);
                self.raw.run(passed);
            }
        }
    }
}

impl Clock for MachineClocks {
    fn read(&self) -> Reading {
        self.change(|_| {})
    }
}
