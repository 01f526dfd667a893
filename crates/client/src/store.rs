//! The fenced store, as it is spoken to with an explicit token.
//!
//! For writing under a lease use [`StoreClient::fenced`], which counts the writes and keeps their
//! order. The calls here are what it is made of, for command lines and for tests of the fence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use leasehold_api::{CLUSTER_ID_BYTES_MAX, CheckedWrite, PAGE_BYTES_MAX};
use leasehold_net::{Connector, TcpConnector};
use leasehold_types::{BadField, Fault, FencingToken};
use tonic::transport::Channel;

use crate::caller::Caller;
use crate::channel::Channels;
use crate::config::{Address, connect_timeout_within, request_timeout_within};
use crate::fenced::FencedStore;
use crate::random::{Random, SystemRandom};
use crate::{LeaseGuard, StoreError};

const PAGE_SIZE: u32 = 1_000;
/// A page ends once it has its most bytes, so it may pass them by one entry; envelopes come on top.
const ANSWER_BYTES_MAX: usize = 2 * PAGE_BYTES_MAX;

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
    /// How connections are made. Default: over TCP.
    pub connector: Arc<dyn Connector>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            cluster_id: String::new(),
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(1),
            random: Arc::new(SystemRandom),
            connector: Arc::new(TcpConnector),
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
pub struct StoreClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: Address,
    cluster_id: String,
    caller: Caller,
}

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
        let StoreConfig {
            endpoint,
            cluster_id,
            request_timeout,
            connect_timeout,
            random,
            connector,
        } = config;
        let address = Address::new("endpoint", &endpoint)?;
        let request_timeout = request_timeout_within(request_timeout)?;
        let connect_timeout = connect_timeout_within(connect_timeout)?;
        if cluster_id.len() > CLUSTER_ID_BYTES_MAX {
            let got = format!("{} bytes", cluster_id.len());
            return Err(BadField::new("cluster_id", got, "at most 256 bytes, or empty"));
        }
        let channels = Channels::new(connector, connect_timeout);
        let caller = Caller::new(vec![address.clone()], channels, request_timeout, random);
        Ok(Self { inner: Arc::new(Inner { address, cluster_id, caller }) })
    }

    /// The store under a lease: attaches token, sequence and cluster id, and keeps writes in order.
    ///
    /// Asking twice gives two handles on the same order. Call it inside a tokio runtime.
    pub fn fenced(&self, guard: &LeaseGuard) -> FencedStore {
        FencedStore::new(self.clone(), Arc::clone(guard.lease()))
    }

    /// Applies mutations atomically under an explicit token and sequence.
    ///
    /// With a sequence of 1 or more an unknown outcome is asked again, which the store answers as the
    /// first time. With 0 the writer promises never to repeat itself, so it is asked again only while
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
        let cluster_id = self.inner.cluster_id.clone();
        let request = pb::WriteRequest {
            resource: resource.to_owned(),
            token: token.get(),
            sequence,
            mutations: mutations.into_iter().map(pb::Mutation::from).collect(),
            cluster_id,
        };
        CheckedWrite::try_from(request.clone())?;
        self.write_while(request, |fault| sequence > 0 || fault.surely_not_applied()).await
    }

    /// Sends one checked write until there is a definite answer, time is over, or `keep_on` says no.
    ///
    /// That the write is stale is a definite answer only about the attempt that was answered so. One
    /// before it, whose answer was lost, may have been applied before somebody overtook it.
    pub(crate) async fn write_while(
        &self,
        request: pb::WriteRequest,
        keep_on: impl Fn(&Fault) -> bool,
    ) -> Result<Written, StoreError> {
        let in_doubt = AtomicBool::new(false);
        let call = self.inner.caller.call(
            |channel| {
                let request = request.clone();
                async move { client(channel).write(request).await }
            },
            |fault| {
                in_doubt.fetch_or(!fault.surely_not_applied(), Ordering::Relaxed);
                keep_on(fault)
            },
        );
        match call.await.map_err(StoreError::from) {
            Ok(answer) => Ok(Written { mark: mark(answer.mark), revision: answer.revision }),
            Err(no) if no.is_stale() && in_doubt.into_inner() => {
                let why = format!("an attempt before was not answered, and now {no}");
                Err(Fault::OutcomeUnknown { why }.into())
            }
            Err(error) => Err(error),
        }
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
        self.get_as(resource, key, token, self.inner.cluster_id.clone()).await
    }

    pub(crate) async fn get_as(
        &self,
        resource: &str,
        key: &str,
        token: Option<FencingToken>,
        cluster_id: String,
    ) -> Result<Got, StoreError> {
        let request = pb::GetRequest {
            resource: resource.to_owned(),
            key: key.to_owned(),
            token: token.map(FencingToken::get),
            cluster_id,
        };
        let call = self.inner.caller.call(
            |channel| {
                let request = request.clone();
                async move { client(channel).get(request).await }
            },
            |_| true,
        );
        let answer = call.await?;
        Ok(Got { entry: answer.entry.map(Entry::from), mark: mark(answer.mark) })
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
        self.list_as(resource, prefix, token, self.inner.cluster_id.clone()).await
    }

    pub(crate) async fn list_as(
        &self,
        resource: &str,
        prefix: &str,
        token: Option<FencingToken>,
        cluster_id: String,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = pb::ListRequest {
                resource: resource.to_owned(),
                prefix: prefix.to_owned(),
                page_size: PAGE_SIZE,
                page_token: page_token.clone(),
                token: token.map(FencingToken::get),
                cluster_id: cluster_id.clone(),
            };
            let call = self.inner.caller.call(
                |channel| {
                    let request = request.clone();
                    async move { client(channel).list(request).await }
                },
                |_| true,
            );
            let page = call.await?;
            entries.extend(page.entries.into_iter().map(Entry::from));
            if page.next_page_token.is_empty() {
                return Ok(entries);
            }
            // A page that does not move on would be asked for without end.
            if page.next_page_token <= page_token {
                let why = "a page of the list does not follow the one before".into();
                return Err(Fault::OutcomeUnknown { why }.into());
            }
            page_token = page.next_page_token;
        }
    }

    /// What the store knows of itself.
    ///
    /// # Errors
    /// [`StoreError::Fault`].
    pub async fn status(&self) -> Result<StoreStatus, StoreError> {
        let call = self.inner.caller.call(
            |channel| async move { client(channel).status(pb::StatusRequest {}).await },
            |_| true,
        );
        let raw = call.await?;
        Ok(StoreStatus {
            version: raw.version,
            cluster_id: raw.cluster_id,
            floor: raw.floor,
            revision: raw.revision,
            resources: raw.resources,
            keys: raw.keys,
            highest_token: raw.highest_token,
            stale_refused: raw.stale_refused,
        })
    }

    /// Two clients of one address write in one order.
    pub(crate) fn address(&self) -> &Address {
        &self.inner.address
    }
}

/// Pages and values may be as large as the store sends them.
fn client(channel: Channel) -> StoreServiceClient<Channel> {
    StoreServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

fn mark(raw: Option<pb::Mark>) -> Mark {
    let pb::Mark { token, sequence } = raw.unwrap_or_default();
    Mark { token, sequence }
}

impl From<pb::Entry> for Entry {
    fn from(raw: pb::Entry) -> Self {
        let pb::Entry { key, value, version, token } = raw;
        Self { key, value, version, token }
    }
}

impl From<Mutation> for pb::Mutation {
    fn from(mutation: Mutation) -> Self {
        use pb::mutation::Operation as Wire;
        let Mutation { key, operation, expected_version } = mutation;
        let operation = match operation {
            Operation::Put(value) => Wire::Put(pb::Put { key, value }),
            Operation::Delete => Wire::Delete(pb::Delete { key }),
            Operation::Append(value) => Wire::Append(pb::Append { key, value }),
        };
        Self { operation: Some(operation), expected_version }
    }
}
