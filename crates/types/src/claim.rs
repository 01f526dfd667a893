//! What is asked about claims, how a claim stands, and what happens to it: the part of the
//! vocabulary that client and server share.

use alloc::vec::Vec;

use crate::{
    EndReason, FencingToken, Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, Revision,
    WaitLimit,
};

/// A request to claim a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// What is claimed.
    pub resource: ResourceName,
    /// Who claims, for humans.
    pub holder: Holder,
    /// The client's own name for the claim.
    pub request: RequestId,
    /// Asked-for time to live; the cluster's settings clamp it.
    pub ttl: LeaseTtl,
    /// How long to queue when the resource is taken.
    pub wait: WaitLimit,
}

/// A request to move deadlines on. Answered item by item, tokens first, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renew {
    /// Leases, by token.
    pub tokens: Vec<FencingToken>,
    /// Claims, waiting or held, by request id.
    pub requests: Vec<RequestId>,
}

/// A live claim as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimAnswer {
    /// What is claimed.
    pub resource: ResourceName,
    /// Who claims.
    pub holder: Holder,
    /// The client's own name for the claim.
    pub request: RequestId,
    /// The ttl in effect.
    pub ttl: LeaseTtl,
    /// Waiting or held.
    pub standing: Standing,
    /// Deadline minus the lease time at which this request was applied, in ms. Counted from before
    /// the request was sent it is a sound bound on the claim's life.
    pub valid_for_ms: u64,
}

/// Whether a claim waits or is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the queue; `place` 1 is next.
    Waiting {
        /// Live claims ahead of it, plus one.
        place: u64,
    },
    /// Held: a lease.
    Held {
        /// Its fencing token.
        token: FencingToken,
    },
}

/// Something that happened to a claim, in order of revision. Feeds watches and pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// This event's own revision.
    pub revision: Revision,
    /// Lease time at which it happened.
    pub at: LeaseTime,
    /// What is claimed.
    pub resource: ResourceName,
    /// Who claims.
    pub holder: Holder,
    /// The claim.
    pub request: RequestId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It became a lease.
    Granted {
        /// Its token.
        token: FencingToken,
        /// Its ttl in effect.
        ttl: LeaseTtl,
        /// Its deadline, which the grant did not move.
        deadline: LeaseTime,
    },
    /// It joined the queue.
    Queued {
        /// Its place then; 1 is next.
        place: u64,
        /// Its ttl in effect.
        ttl: LeaseTtl,
    },
    /// It ended.
    Ended {
        /// Its token, if it was a lease.
        token: Option<FencingToken>,
        /// Why.
        why: EndReason,
    },
}
