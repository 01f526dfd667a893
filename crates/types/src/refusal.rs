//! The cluster's replicated ways to say no.

use alloc::borrow::Cow;

use crate::{FencingToken, Holder, ResourceName};

/// Who holds a resource, told to whoever was refused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// The holder, for humans.
    pub holder: Holder,
    /// The holder's token, for a person who wants to look it up; useless for writing, since the
    /// store takes it only from whoever counts its writes.
    pub token: FencingToken,
    /// Milliseconds of lease time since the grant.
    pub held_for_ms: u64,
    /// Milliseconds of lease time until the lease ends unless it is renewed.
    pub ends_in_ms: u64,
    /// Claims waiting behind it.
    pub queue_length: u64,
}

/// A definite no. Replicated: every node gives the same one, and the command had no other effect.
///
/// A fault ("I do not know whether it happened") is another type, in each crate that can have one.
/// [`Refusal::reason`] is the stable word on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else holds the resource, and the request did not ask to wait.
    #[error("{resource} is held by {:?} for another {} ms, {} waiting", .by.holder, .by.ends_in_ms, .by.queue_length)]
    Held {
        /// The resource asked for.
        resource: ResourceName,
        /// Who holds it.
        by: HeldBy,
    },
    /// The claim waited as long as it asked to.
    #[error("waited as long as asked without being granted")]
    WaitOver,
    /// The claim of this request id has ended; an id is granted at most once.
    #[error("the claim of this request id has ended ({why}); take a new id")]
    Ended {
        /// Why it ended.
        why: EndReason,
    },
    /// The request id belongs to a claim with another resource, holder or ttl.
    #[error("this request id is in use with another {field}")]
    RequestReused {
        /// The first field that differs.
        field: Cow<'static, str>,
    },
    /// The token is not the current one of a live lease: stop acting under it.
    #[error("token {token} is not held by a live lease")]
    NotHolder {
        /// The token presented.
        token: FencingToken,
    },
    /// The token was never issued by this cluster.
    #[error("token {token} was never issued")]
    TokenNotFound {
        /// The token presented.
        token: FencingToken,
    },
    /// The token is the current one of another resource.
    #[error("token {token} belongs to {actual}, not to {asked}")]
    WrongResource {
        /// The token presented.
        token: FencingToken,
        /// The resource named in the request.
        asked: ResourceName,
        /// The resource the token belongs to.
        actual: ResourceName,
    },
    /// A replicated bound is reached: claims in total.
    #[error("the cluster holds as many claims as it may ({limit})")]
    TooManyClaims {
        /// The setting.
        limit: u64,
    },
    /// A replicated bound is reached: waiters on one resource.
    #[error("{resource} has as many waiters as it may ({limit})")]
    TooManyWaiters {
        /// The resource asked for.
        resource: ResourceName,
        /// The setting.
        limit: u64,
    },
    /// After a restore, nothing is granted until leases granted after the backup must have ended.
    #[error("no grants for another {remaining_ms} ms after a restore")]
    Embargo {
        /// Milliseconds of lease time left.
        remaining_ms: u64,
    },
    /// A counter reached the end of `u64`. The cluster fails closed.
    #[error("the token counter is exhausted")]
    Exhausted,
}

/// Why a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// Released by its token.
    Released,
    /// Cancelled by its request id.
    Cancelled,
    /// Its deadline passed without a renewal.
    Expired,
    /// It waited as long as it asked to.
    WaitOver,
}

impl core::fmt::Display for EndReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::WaitOver => "wait over",
        })
    }
}

impl Refusal {
    /// The stable upper-case word that travels as `ErrorInfo.reason`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Held { .. } => "HELD",
            Self::WaitOver => "WAIT_OVER",
            Self::Ended { .. } => "ENDED",
            Self::RequestReused { .. } => "REQUEST_REUSED",
            Self::NotHolder { .. } => "NOT_HOLDER",
            Self::TokenNotFound { .. } => "TOKEN_NOT_FOUND",
            Self::WrongResource { .. } => "WRONG_RESOURCE",
            Self::TooManyClaims { .. } => "TOO_MANY_CLAIMS",
            Self::TooManyWaiters { .. } => "TOO_MANY_WAITERS",
            Self::Embargo { .. } => "EMBARGO",
            Self::Exhausted => "EXHAUSTED",
        }
    }
}
