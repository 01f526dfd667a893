//! What an answer proves about time.
//!
//! A holder may believe too little, never too much. An answer says `valid_for`: the claim's deadline
//! minus the lease time at which the request was applied. The request was applied after it was sent,
//! so counted from *just before it was sent* the claim lives at least that long, on a perfect clock.
//! Two clocks measure it, the leader's and this machine's, each wrong by at most rho = 0.1 %: the
//! leader's lease time may run fast by `1 + rho`, this clock slow by `1 - rho`, which leaves
//! `valid_for * (1 - rho) / (1 + rho)` here. Lease time has a grain of 1 ms at either end: delta =
//! 2 ms less. (Gray and Cheriton, SOSP 1989, count the holder's term from the request likewise.)
//!
//! Relies on: the reading was taken before the request left, and [`Reading::holder_elapsed_since`].
//! Gives C1: the holder's trusted interval lies inside the cluster's.
//!
//! Deliberately absent: IO, timers, and any way to make a proof of a push.

use std::time::Duration;

use leasehold_clock::Reading;
use leasehold_types::EndReason;

/// How far a clock's rate may be off, in parts of [`RATE_PARTS`]: 0.1 %.
const RATE_ERROR: u128 = 1;
const RATE_PARTS: u128 = 1_000;
/// The grain of lease time, at the deadline and at the stamp.
const GRAIN: Duration = Duration::from_millis(2);

/// A moment on the holder's own clocks: so long after a reading. Readings of all processes of one
/// boot compare, so a moment can be handed to another process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    from: Reading,
    after: Duration,
}

impl Moment {
    /// The moment `after` later than `from`.
    pub const fn new(from: Reading, after: Duration) -> Self {
        Self { from, after }
    }

    /// How long until then, suspended time counted; zero once it has come.
    pub fn remaining(&self, now: &Reading) -> Duration {
        self.after.saturating_sub(now.holder_elapsed_since(&self.from))
    }

    /// Whether it has come.
    pub fn has_come(&self, now: &Reading) -> bool {
        self.remaining(now).is_zero()
    }
}

/// Until when an answer proves the claim: see the module. Rounded down to a nanosecond.
pub fn proven_until(sent: Reading, valid_for: Duration) -> Moment {
    let scaled = valid_for.as_nanos() * (RATE_PARTS - RATE_ERROR) / (RATE_PARTS + RATE_ERROR);
    let nanoseconds = u64::try_from(scaled).unwrap_or(u64::MAX);
    Moment::new(sent, Duration::from_nanos(nanoseconds).saturating_sub(GRAIN))
}

/// Whether the holder may still act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Proven, and renewals are answered.
    Held {
        /// Time left by what is proven so far.
        remaining: Duration,
    },
    /// Still proven, but a renewal is overdue or unanswered: finish, do not begin.
    Uncertain {
        /// Time left by what is proven so far.
        remaining: Duration,
    },
    /// Over, for good: stop acting.
    Lost {
        /// Why.
        reason: LostReason,
    },
}

impl LeaseState {
    /// Whether the holder may still act: held or uncertain.
    pub const fn may_act(&self) -> bool {
        !matches!(self, Self::Lost { .. })
    }

    /// Whether `other` differs in more than the time left.
    pub(crate) fn differs_in_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) != std::mem::discriminant(other)
    }
}

/// Why a lease is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LostReason {
    /// The proven bound passed without an answer to a renewal. The cluster may still hold the lease
    /// for this process; it is released in the background all the same.
    #[error("no renewal was answered in time")]
    BoundPassed,
    /// The cluster said that the lease has ended.
    #[error("the cluster ended it ({0})")]
    Ended(EndReason),
    /// The cluster knows no such lease.
    #[error("the cluster knows no such lease")]
    NotHolder,
    /// This process released it, or dropped its guard.
    #[error("released here")]
    Released,
}

/// What is proven about one claim so far: the latest bound, and whether to doubt a further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    bound: Moment,
    renew_at: Moment,
    overdue_at: Moment,
    doubted: bool,
}

impl Validity {
    /// What the answer to the attempt that was sent at `sent` proves.
    pub fn proven(sent: Reading, valid_for: Duration, ttl: Duration) -> Self {
        let bound = proven_until(sent, valid_for);
        // A third of the ttl after the proof began, where the proof is a whole ttl; sooner where
        // the answer was about an older deadline.
        let renew_after = bound.after.saturating_sub(ttl * 2 / 3);
        Self {
            bound,
            renew_at: Moment::new(sent, renew_after),
            overdue_at: Moment::new(sent, renew_after + ttl / 6),
            doubted: false,
        }
    }

    /// Takes `newer` where its bound is the later one at `now`; tells whether it was.
    pub fn improve(&mut self, newer: Self, now: &Reading) -> bool {
        let better = newer.bound.remaining(now) > self.bound.remaining(now);
        if better {
            *self = newer;
        }
        better
    }

    /// A renewal went unanswered. Doubt lasts until a later bound is proven.
    pub fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Whether a renewal went unanswered since the bound was proven.
    pub const fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Until when the claim is proven.
    pub const fn bound(&self) -> Moment {
        self.bound
    }

    /// When to renew.
    pub const fn renew_at(&self) -> Moment {
        self.renew_at
    }

    /// When to doubt if nothing further is proven.
    pub const fn overdue_at(&self) -> Moment {
        self.overdue_at
    }

    /// How a lease with this proof stands.
    pub fn state(&self, now: &Reading) -> LeaseState {
        let remaining = self.bound.remaining(now);
        if remaining.is_zero() {
            LeaseState::Lost { reason: LostReason::BoundPassed }
        } else if self.doubted || self.overdue_at.has_come(now) {
            LeaseState::Uncertain { remaining }
        } else {
            LeaseState::Held { remaining }
        }
    }
}
