//! How many and how long: tokens, revisions, durations of lease time.

use alloc::format;
use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use crate::BadField;

/// Ordinal of a grant: a later grant has a larger token, whatever the resource. Never reused.
///
/// Issued only by the lease state machine, at the moment of grant. The idea is Chubby's sequencer
/// (Burrows, OSDI 2006, section 2.4); the name is Kleppmann's (2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(NonZeroU64);

impl FencingToken {
    /// `None` for 0, which is no token.
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The same, for a value that came in a message.
    ///
    /// # Errors
    /// [`BadField`] naming `token` for 0.
    pub fn from_wire(value: u64) -> Result<Self, BadField> {
        Self::new(value)
            .ok_or_else(|| BadField::new("token", "0", "1 or more, as a grant answered it"))
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A counter in the replicated state: plus one for each command applied and for each grant or end it
/// causes. Histories are totally ordered by it, and a watch resumes from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment of lease time: milliseconds since the cluster was made during which a leader ran.
///
/// A replicated number, not a clock reading: see `docs/lease-time.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseTime(pub u64);

impl LeaseTime {
    /// Milliseconds from `earlier` to `self`, 0 where `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved on by `ms`; stands still at the end of `u64`.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for LeaseTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a claim lives without renewal: 1 ms to 24 h of lease time. The cluster's settings narrow
/// this further, and an answer carries the ttl in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseTtl(u32);

impl LeaseTtl {
    /// Shortest that can be asked for.
    pub const MIN: Self = Self(1);
    /// Longest that can be asked for: 24 hours.
    pub const MAX: Self = Self(DAY_MS as u32);

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadField`] naming `ttl` for 0 and for more than 24 hours.
    pub fn from_ms(ms: u64) -> Result<Self, BadField> {
        match u32::try_from(ms) {
            Ok(value) if (Self::MIN.0..=Self::MAX.0).contains(&value) => Ok(Self(value)),
            _ => Err(BadField::new("ttl", format!("{ms} ms"), "1 ms to 24 h")),
        }
    }

    /// The same for a duration; what is below a millisecond is cut off.
    ///
    /// # Errors
    /// As [`Self::from_ms`].
    pub fn from_duration(duration: Duration) -> Result<Self, BadField> {
        Self::from_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0 as u64
    }

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl fmt::Display for LeaseTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// How long a claim may wait in the queue: 0 (do not wait) to 24 h of lease time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitLimit(u32);

impl WaitLimit {
    /// Try, do not wait.
    pub const NONE: Self = Self(0);
    /// Longest that can be asked for: 24 hours.
    pub const MAX: Self = Self(DAY_MS as u32);

    /// Checks the bound.
    ///
    /// # Errors
    /// [`BadField`] naming `wait` for more than 24 hours.
    pub fn from_ms(ms: u64) -> Result<Self, BadField> {
        match u32::try_from(ms) {
            Ok(value) if value <= Self::MAX.0 => Ok(Self(value)),
            _ => Err(BadField::new("wait", format!("{ms} ms"), "0 (do not wait) to 24 h")),
        }
    }

    /// The same for a duration; what is below a millisecond is rounded up, so that a wait of a
    /// microsecond is still a wait.
    ///
    /// # Errors
    /// As [`Self::from_ms`].
    pub fn from_duration(duration: Duration) -> Result<Self, BadField> {
        let ms = duration.as_nanos().div_ceil(1_000_000);
        Self::from_ms(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// Milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0 as u64
    }

    /// Whether this is "do not wait".
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_one_millisecond_to_a_day() {
        assert_eq!(LeaseTtl::from_ms(1).map(LeaseTtl::as_ms), Ok(1));
        assert_eq!(LeaseTtl::from_ms(DAY_MS), Ok(LeaseTtl::MAX));
        for bad in [0, DAY_MS + 1, u64::from(u32::MAX), u64::from(u32::MAX) + 1_001, u64::MAX] {
            assert_eq!(LeaseTtl::from_ms(bad).expect_err("outside the bounds").field, "ttl");
        }
        assert!(LeaseTtl::from_duration(Duration::MAX).is_err());
    }

    #[test]
    fn a_wait_shorter_than_a_millisecond_is_still_a_wait() {
        let wait = WaitLimit::from_duration(Duration::from_nanos(1)).expect("within the bounds");
        assert_eq!(wait.as_ms(), 1);
        assert!(WaitLimit::from_duration(Duration::ZERO).expect("try").is_none());
        assert!(WaitLimit::from_duration(Duration::MAX).is_err());
    }

    #[test]
    fn zero_is_no_token() {
        assert_eq!(FencingToken::new(0), None);
        assert_eq!(FencingToken::from_wire(0).expect_err("no token").field, "token");
        assert_eq!(FencingToken::new(u64::MAX).map(FencingToken::get), Some(u64::MAX));
    }
}
