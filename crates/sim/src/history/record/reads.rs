//! Reads of claims.

use serde::{Deserialize, Serialize};

use super::{Outcome, Token};

/// A read of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Who called.
    pub client: String,
    /// What was read.
    pub resource: String,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// What was seen.
    pub outcome: Outcome<Seen>,
}

/// One resource as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The lease's token; absent when the resource is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The revision at which it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// A read of one page of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Who called.
    pub client: String,
    /// Names start with this.
    pub prefix: String,
    /// Names are behind this one; empty for the first page.
    #[serde(default)]
    pub after: String,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// What was seen.
    pub outcome: Outcome<Listed>,
}

/// One page as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The held resources, in byte order of their names.
    pub resources: Vec<Held>,
    /// Whether there are more pages; if not, what is not on this page was free.
    pub more: bool,
    /// The revision at which it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// One held resource on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its name.
    pub resource: String,
    /// Its lease's token.
    pub token: Token,
}
