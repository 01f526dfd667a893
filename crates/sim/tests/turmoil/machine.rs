//! What a simulated host has of its own: a clock that goes a little wrong, and seeded randomness.

use std::sync::Mutex;
use std::time::Duration;

use leasehold_client::Random;
use leasehold_clock::{Clock, Reading};

/// Simulated time, seen through a clock that is wrong by a fixed rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock {
    /// Billionths of its own time that it is ahead of true time.
    pub(crate) drift: i32,
    /// When this machine booted.
    pub(crate) offset: Duration,
}

impl HostClock {
    /// Within half of what two clocks may differ by.
    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        let offset = Duration::from_millis(random.u64(0..1_000_000_000));
        Self { drift: random.i32(-500_000..=500_000), offset }
    }
}

impl Clock for HostClock {
    fn read(&self) -> Reading {
        // There is no time between two runs of a host, and nobody who could compare.
        let time = turmoil::sim_elapsed().unwrap_or_default();
        let wrong = time / 1_000 * self.drift.unsigned_abs() / 1_000_000;
        let time = self.offset + if self.drift < 0 { time - wrong } else { time + wrong };
        Reading { monotonic: time, raw: time, boot: time }
    }
}

/// Randomness from a seed.
#[derive(Debug)]
pub(crate) struct Seeded(Mutex<fastrand::Rng>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Random for Seeded {
    fn draw(&self) -> [u8; 16] {
        self.0.lock().expect("no panic while drawing").u128(..).to_le_bytes()
    }
}
