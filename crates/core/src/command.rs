//! The whole vocabulary of the state machine on one screen: commands in, outcomes and events out.

use alloc::vec::Vec;

pub use leasehold_types::{Acquire, ClaimAnswer, Event, EventKind, Renew, Standing};
use leasehold_types::{FencingToken, LeaseTime, Refusal, RequestId, ResourceName, Revision};

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

/// What one batch did: outcomes by position, events in order of revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each command of the batch, by position.
    pub outcomes: Vec<Outcome>,
    /// Everything that happened to claims, in order of revision.
    pub events: Vec<Event>,
}
