//! The whole vocabulary of the state machine on one screen: commands in, outcomes and events out.

use alloc::vec::Vec;

use leasehold_types::{
    EndReason, FencingToken, Holder, LeaseTime, LeaseTtl, Refusal, RequestId, ResourceName,
    Revision, WaitLimit,
};

/// What a client, or the leader itself, asks of the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Claims a resource. Repeated with the same request id it answers the claim as it stands.
    Acquire(Acquire),
    /// Moves deadlines on. Applied before anything of its batch can expire.
    Renew(Renew),
    /// Ends a lease by its token.
    Release {
        /// The resource the caller believes the token is for.
        resource: ResourceName,
        /// The lease's token.
        token: FencingToken,
    },
    /// Ends a claim, waiting or held, by its request id; an unknown id is remembered as ended.
    Cancel {
        /// The claim's request id.
        request: RequestId,
    },
    /// Nothing but a stamp: lease time moves on, and what is due ends.
    Pulse,
}

/// See [`Command::Acquire`].
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

/// See [`Command::Renew`]. Answered item by item, tokens first, in order.
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

/// What became of one command. Replicated: the same on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state's revision just after this command and all it caused.
    pub revision: Revision,
    /// Lease time at which the command was applied.
    pub at: LeaseTime,
    /// The answer.
    pub answer: Answer,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `Acquire`: the claim as it stands, granted just now, earlier, or waiting.
    Claim(ClaimAnswer),
    /// To `Renew`: one item for each token, then one for each request id.
    Renewed(Vec<Result<ClaimAnswer, Refusal>>),
    /// To `Release`: whether the token's lease was live.
    Released {
        /// False when the lease had ended before.
        was_held: bool,
    },
    /// To `Cancel`: what it ended.
    Cancelled {
        /// The live claim that this ended: `Some(Some(token))` a lease, `Some(None)` a waiter.
        ended: Option<Option<FencingToken>>,
    },
    /// To `Pulse`.
    Pulsed,
    /// A definite no to any of them.
    Refused(Refusal),
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

/// What one batch did: outcomes by position, events in order of revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each command of the batch, by position.
    pub outcomes: Vec<Outcome>,
    /// Everything that happened to claims, in order of revision.
    pub events: Vec<Event>,
}
