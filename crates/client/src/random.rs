//! Where randomness comes from: request ids and jitter, nothing else.

use std::fmt::Debug;

/// A source of random bytes. The machine's in use; seeded ones in tests and simulations.
pub trait Random: Send + Sync + Debug + 'static {
    /// Sixteen bytes that nobody else draws. Two claims with one request id would be one claim.
    fn draw(&self) -> [u8; 16];
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// When the operating system has no randomness to give: without it no request id is safe.
    fn draw(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }
}

/// A number from 0 to `below - 1`, near enough to even for jitter; 0 when `below` is 0.
pub(crate) fn number_below(random: &dyn Random, below: u64) -> u64 {
    let bytes = random.draw();
    let low: [u8; 8] = std::array::from_fn(|at| bytes[at]);
    u64::from_le_bytes(low).checked_rem(below).unwrap_or(0)
}
