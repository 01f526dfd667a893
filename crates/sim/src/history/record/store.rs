//! Calls to a fenced store, and what a counter in it came to.

use serde::{Deserialize, Serialize};

use super::{Outcome, Token};

/// A write to a fenced store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Who called.
    pub client: String,
    /// Which store; empty where there is one.
    #[serde(default)]
    pub store: String,
    /// The resource written to.
    pub resource: String,
    /// The fencing token presented.
    pub token: Token,
    /// The number of this write under that token; 0 for a writer that never repeats itself.
    pub sequence: u64,
    /// What was to be changed, in order.
    pub mutations: Vec<Mutation>,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// Accepted or not.
    pub outcome: Outcome<Written>,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mutation {
    /// Sets a value.
    Put {
        /// The key.
        key: String,
        /// The value, or any text that stands for it.
        value: String,
    },
    /// Adds to the end of a value.
    Append {
        /// The key.
        key: String,
        /// What is added.
        value: String,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: String,
    },
}

impl Mutation {
    /// The key it changes.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Append { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The store's revision of this write.
    pub revision: u64,
}

/// A read of one key of a fenced store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Who called.
    pub client: String,
    /// Which store; empty where there is one.
    #[serde(default)]
    pub store: String,
    /// The resource read from.
    pub resource: String,
    /// The key.
    pub key: String,
    /// The fencing token presented, if the read was to raise the mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// Just before it was sent.
    pub invoked_ns: u64,
    /// Just after the answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// What was found.
    pub outcome: Outcome<Found>,
}

/// The answer to a read of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The value; absent when the key is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The value.
    pub value: String,
    /// The store's revision of the write that last changed it.
    pub version: u64,
    /// The token under which it was written.
    pub token: Token,
}

/// One increment of a counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increment {
    /// Who incremented.
    pub client: String,
    /// Which counter.
    pub counter: String,
    /// This increment's own name.
    pub id: String,
    /// When it began.
    pub invoked_ns: u64,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ns: Option<u64>,
    /// Whether it counted.
    pub outcome: Outcome<Done>,
}

/// Yes, and nothing more to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {}

/// What a counter was when everything was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Total {
    /// Which counter.
    pub counter: String,
    /// Its value.
    pub value: u64,
    /// The names of the increments in it, where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
}
