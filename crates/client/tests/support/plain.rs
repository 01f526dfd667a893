//! Time and randomness of a test's own, without any runtime.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by test crates")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_client::Random;
use leasehold_clock::{Clock, Reading};

pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// All three clocks at so many milliseconds.
pub fn at(ms: u64) -> Reading {
    let at = Duration::from_millis(ms);
    Reading { monotonic: at, raw: at, boot: at }
}

/// Ids that differ, jitter that hardly is one, the same each run.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Random for Counting {
    fn draw(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1).to_le_bytes()
    }
}

/// A clock that only the test moves.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Reading>);

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        let mut reading = self.0.lock().expect("no test panics while it moves the clock");
        reading.monotonic += by;
        reading.raw += by;
        reading.boot += by;
    }

    /// The machine sleeps: only one clock counts it.
    pub fn suspend(&self, by: Duration) {
        self.0.lock().expect("no test panics while it moves the clock").boot += by;
    }
}

impl Clock for ManualClock {
    fn read(&self) -> Reading {
        *self.0.lock().expect("no test panics while it moves the clock")
    }
}
