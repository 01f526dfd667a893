//! Calls that change claims.

use serde::{Deserialize, Serialize};

use super::{Outcome, Token};

/// A call to claim a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acquire {
    /// Who called.
    pub client: String,
    /// The claim's request id; lines with one id are retries of one claim.
    pub request_id: String,
    /// What is claimed.
    pub resource: String,
    /// For how long it would wait, in ms; 0 does not wait.
    #[serde(default)]
    pub wait_ms: u64,
    /// Whether this line stands for more than one message, as a client library sends them.
    #[serde(default)]
    pub retried: bool,
    /// Just before the (first) message was sent.
    pub invoked_ns: u64,
    /// Just after the answer came; for an unknown outcome, when the caller gave up, or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// The claim as it stands.
    pub outcome: Outcome<Standing>,
}

/// A live claim as it stands: held, with a token, or waiting, with a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The token, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The place in the queue, 1 is next, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// For how long the claim is good, counted from the invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<u64>,
    /// The state's revision of this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// One item of a call to renew, by token or by request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// Who called.
    pub client: String,
    /// The claim's resource, which the caller knows.
    pub resource: String,
    /// The lease's token, if it was renewed by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The claim's request id, if it was renewed by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// The claim as it stands.
    pub outcome: Outcome<Standing>,
}

/// A call to end a lease by its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who called.
    pub client: String,
    /// The lease's resource.
    pub resource: String,
    /// The lease's token.
    pub token: Token,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// Whether it was held until then.
    pub outcome: Outcome<Released>,
}

/// The answer to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    /// False when the lease had ended before.
    pub was_held: bool,
    /// The state's revision of this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// A call to end a claim by its request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Who called.
    pub client: String,
    /// The claim's resource, which the caller knows.
    pub resource: String,
    /// The claim's request id.
    pub request_id: String,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// What it ended.
    pub outcome: Outcome<Cancelled>,
}

/// The answer to a cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancelled {
    /// Whether this ended a live claim.
    pub was_live: bool,
    /// The token of the lease that this released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_token: Option<Token>,
    /// The state's revision of this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}
