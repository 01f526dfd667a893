//! The fenced store, as it is spoken to with an explicit token.
//!
//! For writing under a lease use [`StoreClient::fenced`], which counts the writes and keeps their
//! order. The calls here are what it is made of, for command lines and for tests of the fence.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leasehold_types::{BadField, FencingToken};

use crate::fenced::FencedStore;
use crate::random::{Random, SystemRandom};
use crate::{LeaseGuard, StoreError};

/// How to reach a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The store, `host:port` or `http://host:port`.
    pub endpoint: String,
    /// Sent with writes and reads that carry no lease of their own; a store refuses another cluster's
    /// tokens. At most 256 bytes. Default: empty, not checked.
    pub cluster_id: String,
    /// How long a request may go without a definite answer before it fails as a fault. 1 ms to 1 h.
    /// Default: 10 s.
    pub request_timeout: Duration,
    /// How long to try to connect before trying again. 1 ms to 1 min. Default: 1 s.
    pub connect_timeout: Duration,
    /// Where jitter comes from. Default: the operating system.
    pub random: Arc<dyn Random>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            cluster_id: String::new(),
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(1),
            random: Arc::new(SystemRandom),
        }
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    pub(crate) key: String,
    pub(crate) operation: Operation,
    pub(crate) expected_version: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put(Bytes),
    Delete,
    Append(Bytes),
}

impl Mutation {
    /// Sets a value.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self::new(key.into(), Operation::Put(value.into()))
    }

    /// Removes a key.
    pub fn delete(key: impl Into<String>) -> Self {
        Self::new(key.into(), Operation::Delete)
    }

    /// Adds bytes to the end of a value.
    pub fn append(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self::new(key.into(), Operation::Append(value.into()))
    }

    /// Only if the key's version is this one; 0: only if the key is not there. Otherwise the whole
    /// write is refused.
    #[must_use]
    pub fn expecting(self, version: u64) -> Self {
        Self { expected_version: Some(version), ..self }
    }

    fn new(key: String, operation: Operation) -> Self {
        Self { key, operation, expected_version: None }
    }
}

/// The highest (token, sequence) that a store has seen for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The token; 0 when none was seen.
    pub token: u64,
    /// The sequence under that token.
    pub sequence: u64,
}

/// An accepted write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The mark after it.
    pub mark: Mark,
    /// The store's revision after it, which is also the version of every key that it changed.
    pub revision: u64,
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
    /// The revision of the write that last changed it.
    pub version: u64,
    /// The token under which it was written.
    pub token: u64,
}

/// The answer to a read of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The value; `None` when the key is not there.
    pub entry: Option<Entry>,
    /// The resource's mark, raised by this read where it carried a token.
    pub mark: Mark,
}

/// What a store knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// The version of the program.
    pub version: String,
    /// The lease cluster it was first written under; empty when none told.
    pub cluster_id: String,
    /// No token below this is accepted.
    pub floor: u64,
    /// Plus one for each accepted write.
    pub revision: u64,
    /// Resources with a mark.
    pub resources: u64,
    /// Keys stored.
    pub keys: u64,
    /// The highest token seen on any resource.
    pub highest_token: u64,
    /// Writes and reads refused as stale since it was started.
    pub stale_refused: u64,
}

/// A client of one store. Cheap to clone; connects when first used, inside a tokio runtime.
#[derive(Clone, Debug)]
pub struct StoreClient {}

impl StoreClient {
    /// A client of the store at `endpoint`, with all else by default.
    ///
    /// # Errors
    /// [`BadField`] naming `endpoint`.
    pub fn new(endpoint: &str) -> Result<Self, BadField> {
        Self::with(StoreConfig { endpoint: endpoint.to_owned(), ..StoreConfig::default() })
    }

    /// Checks the configuration. Connects to nothing yet.
    ///
    /// # Errors
    /// [`BadField`] naming the field of [`StoreConfig`] that does not hold what it may.
    pub fn with(config: StoreConfig) -> Result<Self, BadField> {
        todo!("{config:?}")
    }

    /// The store under a lease: attaches token, sequence and cluster id, and keeps writes in order.
    pub fn fenced(&self, guard: &LeaseGuard) -> FencedStore {
        todo!("{guard:?}")
    }

    /// Applies mutations atomically under an explicit token and sequence.
    ///
    /// With a sequence of 1 or more an unknown outcome is asked again, which the store answers as the
    /// first time. With 0 the writer promises never to repeat itself, so it is asked again only when
    /// it surely was not applied.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write_with(
        &self,
        resource: &str,
        token: FencingToken,
        sequence: u64,
        mutations: Vec<Mutation>,
    ) -> Result<Written, StoreError> {
        todo!("{resource} {token} {sequence} {mutations:?}")
    }

    /// Reads one key; with a token it raises the mark first, or is stale.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(
        &self,
        resource: &str,
        key: &str,
        token: Option<FencingToken>,
    ) -> Result<Got, StoreError> {
        todo!("{resource} {key} {token:?}")
    }

    /// Reads the keys that start with `prefix`, all pages; with a token it raises the mark first, or
    /// is stale.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        resource: &str,
        prefix: &str,
        token: Option<FencingToken>,
    ) -> Result<Vec<Entry>, StoreError> {
        todo!("{resource} {prefix} {token:?}")
    }

    /// What the store knows of itself.
    ///
    /// # Errors
    /// [`StoreError::Fault`].
    pub async fn status(&self) -> Result<StoreStatus, StoreError> {
        todo!()
    }
}
