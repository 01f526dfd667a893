//! The cluster's replicated bounds. Part of the state: no node has its own.

use alloc::format;

use leasehold_types::{BadField, LeaseTtl};

/// What a cluster allows. Replicated with the state and kept in every snapshot, because `apply`
/// depends on it: two nodes that clamp a ttl differently are two clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Claims in total, waiting and held: 1 to 100,000,000.
    pub claims_max: u64,
    /// Waiting claims on one resource: 0 (nobody may wait) to 100,000,000.
    pub waiters_per_resource_max: u64,
    /// Shortest ttl granted; a shorter wish is lengthened to it.
    pub ttl_min: LeaseTtl,
    /// Longest ttl granted; a longer wish is cut to it.
    pub ttl_max: LeaseTtl,
    /// How long the request id of an ended claim is remembered, in ms of lease time: 1 s to 24 h.
    pub ended_memory_ms: u64,
    /// How many ended request ids are remembered, oldest forgotten first: 1 to 100,000,000.
    pub ended_memory_max: u64,
    /// While claims are live or ids remembered, the leader commits a stamp at least this often, in
    /// ms: 1 to a quarter of `ttl_min`. That much elapsed time a change of leader can cost.
    pub stamp_interval_ms: u64,
}

/// No count goes beyond this, so that a claim's place in the slab fits 32 bits.
const COUNT_MAX: u64 = 100_000_000;

const SECOND_MS: u64 = 1_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            claims_max: 2_000_000,
            waiters_per_resource_max: 100_000,
            ttl_min: LeaseTtl::from_ms(SECOND_MS).expect("a second is a ttl"),
            ttl_max: LeaseTtl::MAX,
            ended_memory_ms: 60 * SECOND_MS,
            ended_memory_max: 1_000_000,
            stamp_interval_ms: 250,
        }
    }
}

impl Settings {
    /// Checks every bound and how they relate.
    ///
    /// # Errors
    /// [`BadField`] naming the first setting that is out of bounds.
    pub fn check(&self) -> Result<(), BadField> {
        within("claims_max", self.claims_max, 1, COUNT_MAX)?;
        within("waiters_per_resource_max", self.waiters_per_resource_max, 0, COUNT_MAX)?;
        within("ended_memory_ms", self.ended_memory_ms, SECOND_MS, LeaseTtl::MAX.as_ms())?;
        within("ended_memory_max", self.ended_memory_max, 1, COUNT_MAX)?;
        if self.ttl_min > self.ttl_max {
            let allowed = format!("at most ttl_max ({})", self.ttl_max);
            return Err(BadField::new("ttl_min", format!("{}", self.ttl_min), allowed));
        }
        within("stamp_interval_ms", self.stamp_interval_ms, 1, self.ttl_min.as_ms() / 4)
    }

    /// The ttl in effect for a wish.
    pub(crate) fn clamp_ttl(&self, asked: LeaseTtl) -> LeaseTtl {
        asked.clamp(self.ttl_min, self.ttl_max)
    }
}

fn within(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), BadField> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(BadField::new(field, format!("{value}"), format!("{least} to {most}")))
}
