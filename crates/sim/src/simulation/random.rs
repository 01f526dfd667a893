//! Randomness by seed, and a digest that is the same on every machine.

use std::sync::{Mutex, PoisonError};

use leasehold_client::Random;

/// A stream of its own for each purpose, so that one more draw here changes nothing there.
pub(crate) fn stream(seed: u64, purpose: &str) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ digest(purpose.as_bytes()))
}

/// FNV-1a (Fowler, Noll and Vo), 64 bits. For comparing what should be equal, not against an adversary.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
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
