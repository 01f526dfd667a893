//! What a line of a history says: one call with its answer, one event seen, or one belief.
//!
//! The format is public and described, field by field, in `docs/history-format.md`. A type here is a
//! line there, and a field that the format does not know is refused: a misspelt field that is
//! silently dropped would make checks pass that never ran.

mod calls;
mod reads;
mod seen;
mod span;
mod store;

use std::fmt;
use std::num::NonZeroU64;

use leasehold_types::FencingToken;
use serde::{Deserialize, Serialize};

pub use calls::{Acquire, Cancel, Cancelled, Release, Released, Renew, Standing};
pub use reads::{Get, Held, List, Listed, Seen};
pub use seen::{Belief, Event, EventKind, Watched};
pub use span::{Fate, Span};
pub use store::{Done, Entry, Found, Increment, Mutation, Read, Total, Write, Written};

/// A fencing token as a history writes it: a number, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(NonZeroU64);

impl Token {
    /// `None` for 0, which is no token.
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl From<FencingToken> for Token {
    fn from(token: FencingToken) -> Self {
        Self::new(token.get()).expect("a fencing token is not 0")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A call to claim a resource.
    Acquire(Acquire),
    /// One item of a call to renew; the items of one call are lines with the same times.
    Renew(Renew),
    /// A call to end a lease by its token.
    Release(Release),
    /// A call to end a claim by its request id.
    Cancel(Cancel),
    /// A read of one resource.
    Get(Get),
    /// A read of one page of resources.
    List(List),
    /// An event that a watch delivered.
    Event(Event),
    /// A stretch of revisions in which a watch delivered every event: what is missing did not happen.
    Watched(Watched),
    /// A time during which a client said that it held a lease.
    Belief(Belief),
    /// A write to a fenced store.
    Write(Write),
    /// A read of one key of a fenced store.
    Read(Read),
    /// One increment of a counter, under a lease, by whatever calls it took.
    Increment(Increment),
    /// What a counter was when everything was over.
    Total(Total),
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// Yes.
    Ok(T),
    /// A definite no.
    Refused(Refused),
    /// Not known: it may have happened at any time since the invocation, or never, or may still happen.
    Unknown,
}

impl<T> Outcome<T> {
    /// The answer, if it was yes.
    pub const fn ok(&self) -> Option<&T> {
        match self {
            Self::Ok(answer) => Some(answer),
            Self::Refused(_) | Self::Unknown => None,
        }
    }

    /// The refusal, if it was no.
    pub const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Ok(_) | Self::Unknown => None,
        }
    }

    /// Whether it was refused for that reason.
    pub fn refuses(&self, reason: &str) -> bool {
        self.refused().is_some_and(|refused| refused.reason == reason)
    }

    /// Whether nobody knows what became of it.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

/// A definite no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The stable word, such as `HELD`, `NOT_HOLDER`, `STALE_TOKEN`.
    pub reason: String,
    /// The revision of the answer, where it carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The token of the lease that stands in the way, where the answer tells it (`HELD`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_token: Option<Token>,
    /// The store's mark, where the answer tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_token: Option<Token>,
    /// The sequence of the store's mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark_sequence: Option<u64>,
}

impl Refused {
    /// A refusal that tells nothing but its reason.
    pub fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), ..Self::default() }
    }
}
