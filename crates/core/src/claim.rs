//! One claim.

use leasehold_types::{
    EndReason, FencingToken, Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, Revision,
};

/// One client's request for a resource, from the moment it is accepted until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) resource: ResourceName,
    pub(crate) holder: Holder,
    pub(crate) request: RequestId,
    /// The revision at which its `Acquire` was applied: unique, and the order of arrival.
    pub(crate) age: Revision,
    /// The ttl as it was asked for, to recognise a request id that is used for something else.
    pub(crate) ttl_asked: LeaseTtl,
    /// The ttl in effect.
    pub(crate) ttl: LeaseTtl,
    pub(crate) deadline: LeaseTime,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In its resource's queue.
    Waiting {
        /// Lease time at which it joined.
        since: LeaseTime,
        /// Lease time at which it has waited as long as it asked to.
        until: LeaseTime,
    },
    /// A lease.
    Held {
        token: FencingToken,
        /// Lease time of the grant.
        since: LeaseTime,
    },
}

impl Claim {
    /// Lease time at which it ends unless something happens.
    pub(crate) fn due(&self) -> LeaseTime {
        match self.phase {
            Phase::Waiting { until, .. } => until.min(self.deadline),
            Phase::Held { .. } => self.deadline,
        }
    }

    /// Why it ends when it is due. Whoever waited as long as it asked to has no other reason.
    pub(crate) fn reason_when_due(&self) -> EndReason {
        match self.phase {
            Phase::Waiting { until, .. } if until <= self.deadline => EndReason::WaitOver,
            _ => EndReason::Expired,
        }
    }

    /// Its token, if it is a lease.
    pub(crate) fn token(&self) -> Option<FencingToken> {
        match self.phase {
            Phase::Waiting { .. } => None,
            Phase::Held { token, .. } => Some(token),
        }
    }
}
