//! What a live lease takes of a node's memory. Counted by pages, which differ a little with the allocator, so
//! the budget is a bound and not a figure.

use std::hint::black_box;

use crate::Outcome;
use crate::parts::{NAMES_BYTES, state_with};

const LEASES: u64 = 1_000_000;

/// Bytes of a live lease in the replicated state, and in a snapshot of it; both without its names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes {
    pub(crate) state: u64,
    pub(crate) snapshot: u64,
}

/// Measures with a million leases, each of another resource.
pub(crate) fn of_a_lease() -> Outcome<Bytes> {
    let before = resident()?;
    let state = black_box(state_with(LEASES));
    let taken = resident()?.saturating_sub(before);
    let each = |bytes: u64| (bytes / LEASES).saturating_sub(NAMES_BYTES);
    Ok(Bytes { state: each(taken), snapshot: each(state.snapshot().len() as u64) })
}

/// Bytes of this process that are in memory.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1_024)
}
