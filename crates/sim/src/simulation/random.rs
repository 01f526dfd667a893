//! Randomness by seed.

use std::sync::{Mutex, PoisonError};

use leasehold_client::Random;

use super::fingerprint::digest;

/// A stream of its own for each purpose, so that one more draw here changes nothing there.
pub(crate) fn stream(seed: u64, purpose: &str) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ digest(purpose.as_bytes()))
}

/// A client's source of request ids and jitter.
#[derive(Debug)]
pub(crate) struct SeededRandom(Mutex<fastrand::Rng>);

impl SeededRandom {
    pub(crate) fn new(random: fastrand::Rng) -> Self {
        Self(Mutex::new(random))
    }
}

impl Random for SeededRandom {
    fn draw(&self) -> [u8; 16] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u128(..).to_le_bytes()
    }
}

/// The bug that every "random" request id is the same for a while.
#[derive(Debug, Default)]
pub(crate) struct PoorRandom(Mutex<u32>);

impl Random for PoorRandom {
    fn draw(&self) -> [u8; 16] {
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *drawn += 1;
        u128::from(*drawn / 8).to_le_bytes()
    }
}
