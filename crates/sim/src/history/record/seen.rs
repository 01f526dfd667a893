//! What was seen without asking: events, and what a client believed.

use serde::{Deserialize, Serialize};

use super::Token;

/// An event that a watch delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Who watched.
    pub client: String,
    /// What is claimed.
    pub resource: String,
    /// The claim.
    pub request_id: String,
    /// What happened.
    pub event: EventKind,
    /// The lease's token; absent for a claim that was never granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The event's own revision.
    pub revision: u64,
    /// Just after it came.
    pub received_ns: u64,
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It became a lease.
    Granted,
    /// It joined the queue.
    Queued,
    /// Its client released or cancelled it.
    Released,
    /// Its deadline passed, or it waited as long as it asked to.
    Expired,
}

/// A stretch of revisions in which a watch delivered every event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Who watched.
    pub client: String,
    /// Names start with this.
    pub prefix: String,
    /// Every event after this revision was delivered.
    pub after_revision: u64,
    /// Up to this one, itself included.
    pub through_revision: u64,
}

/// A time during which a client said that it held a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Belief {
    /// Who believed.
    pub client: String,
    /// What it believed to hold.
    pub resource: String,
    /// Under which token.
    pub token: Token,
    /// From this moment.
    pub from_ns: u64,
    /// To this one, itself not included.
    pub until_ns: u64,
}
