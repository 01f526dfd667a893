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
    /// How many claims end with one log entry: 1 to 100,000,000. What is due beyond that is left to the
    /// next entry, so that others come in between. Until its turn it is counted among the live, and a
    /// renewal saves it; no other answer depends on this.
    pub ends_per_entry: u64,
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
            ends_per_entry: 256,
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
        within("ends_per_entry", self.ends_per_entry, 1, COUNT_MAX)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut Settings)) -> BadField {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().expect_err("out of bounds")
    }

    fn ttl(ms: u64) -> LeaseTtl {
        LeaseTtl::from_ms(ms).expect("a ttl")
    }

    #[test]
    fn the_defaults_pass_their_own_check() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn one_ttl_for_everybody_is_allowed() {
        let (ttl_min, ttl_max) = (ttl(5_000), ttl(5_000));
        assert_eq!(Settings { ttl_min, ttl_max, ..Settings::default() }.check(), Ok(()));
    }

    #[test]
    fn a_setting_out_of_bounds_is_named() {
        assert_eq!(refused(|settings| settings.claims_max = 0).field, "claims_max");
        assert_eq!(refused(|settings| settings.claims_max = u64::MAX).field, "claims_max");
        let waiters = refused(|settings| settings.waiters_per_resource_max = COUNT_MAX + 1);
        assert_eq!(waiters.field, "waiters_per_resource_max");
        assert_eq!(refused(|settings| settings.ttl_max = ttl(999)).field, "ttl_min");
        assert_eq!(refused(|settings| settings.ended_memory_ms = 999).field, "ended_memory_ms");
        assert_eq!(refused(|settings| settings.ended_memory_max = 0).field, "ended_memory_max");
        assert_eq!(refused(|settings| settings.ends_per_entry = 0).field, "ends_per_entry");
    }

    #[test]
    fn stamps_come_at_least_four_times_in_the_shortest_ttl() {
        assert_eq!(refused(|settings| settings.stamp_interval_ms = 251).field, "stamp_interval_ms");
        assert_eq!(refused(|settings| settings.stamp_interval_ms = 0).field, "stamp_interval_ms");
        let hasty = refused(|settings| settings.ttl_min = ttl(3));
        assert_eq!(hasty.field, "stamp_interval_ms");
    }

    #[test]
    fn a_wish_is_clamped_to_what_the_cluster_allows() {
        let settings = Settings { ttl_max: ttl(5_000), ..Settings::default() };
        let clamped = [1, 1_000, 3_000, 5_000, 5_001].map(|ms| settings.clamp_ttl(ttl(ms)).as_ms());
        assert_eq!(clamped, [1_000, 1_000, 3_000, 5_000, 5_000]);
    }
}
