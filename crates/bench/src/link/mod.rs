//! How the clients of a run reach the cluster and the store: generated gRPC code and nothing above it.
//!
//! The client library gives each claim a life of its own: bounds, renewals, a guard. That is what a
//! program wants that holds a lease and works under it. Here it would be measured in the place of the
//! cluster, so a run speaks as a program in any language would that has only the proto files: over a
//! few connections, each shared by many clients, with one Session stream on each ([`session`]) or with
//! unary calls ([`unary`]). Both go to the leader, as the library does.

pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod unary;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use leasehold_api::pb::lease::v1::claim::Standing;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_api::pb::lease::v1::renew_result::Result as Item;
use leasehold_api::pb::lease::v1::session_response::Message;
use leasehold_api::pb::lease::v1::{
    AcquireRequest, Claim, RenewResponse, SessionRequest, SessionResponse,
};
use leasehold_api::{Problem, duration_from_std, std_from_duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use session::Session;
use unary::Unary;

pub(crate) use crate::locks::{Ask, Failed, Locks, Renewed};

/// Messages that may wait for a connection.
pub(crate) const OUTGOING_MAX: usize = 1_024;
/// How long one node may take to be dialled and to welcome.
const DIAL_PATIENCE: Duration = Duration::from_secs(5);
/// Who claims.
pub(crate) const HOLDER: &str = "leasehold-bench";

/// Nothing came in the time allowed.
pub(crate) const NOT_ANSWERED: Failed = Failed("NOT_ANSWERED");
/// There is no stream, or it broke before the answer.
pub(crate) const BROKEN: Failed = Failed("OUTCOME_UNKNOWN");

impl From<&Status> for Failed {
    fn from(status: &Status) -> Self {
        Self(Problem::from(status).reason())
    }
}

impl Ask {
    pub(crate) fn into_wire(self) -> AcquireRequest {
        let Self { resource, request, ttl, wait } = self;
        AcquireRequest {
            resource,
            holder: HOLDER.to_owned(),
            request_id: request,
            ttl: Some(duration_from_std(ttl)),
            wait: (!wait.is_zero()).then(|| duration_from_std(wait)),
        }
    }
}

/// Request ids of one run: a random half and a number.
#[derive(Debug)]
pub(crate) struct RequestIds {
    run: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(run: u64) -> Self {
        Self { run, next: AtomicU64::new(1) }
    }

    pub(crate) fn next(&self) -> Bytes {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.run.to_be_bytes());
        id[8..].copy_from_slice(&number.to_be_bytes());
        Bytes::copy_from_slice(&id)
    }
}

/// One of the two ways to the cluster. Shared by many clients.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Session(Session),
    Unary(Unary),
}

impl Locks for Link {
    /// The token.
    type Held = u64;

    async fn acquire(&self, ask: Ask) -> Result<u64, Failed> {
        match self {
            Self::Session(session) => session.acquire(ask).await,
            Self::Unary(unary) => unary.acquire(ask).await,
        }
    }

    async fn renew(&self, tokens: &[u64]) -> Result<Renewed, Failed> {
        let answer = match self {
            Self::Session(session) => session.renew(tokens).await,
            Self::Unary(unary) => unary.renew(tokens).await,
        };
        answer.map(Renewed::from)
    }

    async fn release(&self, resource: &str, token: u64) -> Result<(), Failed> {
        match self {
            Self::Session(session) => session.release(resource, token).await,
            Self::Unary(unary) => unary.release(resource, token).await,
        }
    }
}

impl From<RenewResponse> for Renewed {
    fn from(answer: RenewResponse) -> Self {
        let mut renewed = Self { ok: 0, lost: 0, valid_for: Duration::MAX };
        for item in answer.results {
            let Some(Item::Claim(Claim { standing: Some(Standing::Lease(lease)) })) = item.result
            else {
                renewed.lost += 1;
                continue;
            };
            renewed.ok += 1;
            let valid_for = lease.valid_for.unwrap_or_default();
            let valid_for = std_from_duration("valid_for", &valid_for).unwrap_or_default();
            renewed.valid_for = renewed.valid_for.min(valid_for);
        }
        renewed
    }
}

/// An open Session stream, and the connection it is on.
pub(crate) struct Dialled {
    pub(crate) channel: Channel,
    pub(crate) outgoing: mpsc::Sender<SessionRequest>,
    pub(crate) incoming: Streaming<SessionResponse>,
}

/// Dials the node that leads, by what these say, or, where nobody knows, one that answers.
///
/// # Errors
/// What the last of them said.
pub(crate) async fn dial_leader(endpoints: &[String]) -> Result<Dialled, String> {
    let mut why = "no endpoints".to_owned();
    for endpoint in endpoints {
        match dial(endpoint).await {
            Ok((dialled, None)) => return Ok(dialled),
            Ok((dialled, Some(leader))) => {
                return Ok(match dial(&leader).await {
                    Ok((leading, _)) => leading,
                    Err(_) => dialled,
                });
            }
            Err(error) => why = format!("{endpoint}: {error}"),
        }
    }
    Err(why)
}

/// Dials a node: its stream, and where the leader is if it is elsewhere.
async fn dial(address: &str) -> Result<(Dialled, Option<String>), String> {
    let late = |_| "no welcome in time".to_owned();
    let welcomed = tokio::time::timeout(DIAL_PATIENCE, async {
        let channel = connect(address).await?;
        let (outgoing, requests) = mpsc::channel(OUTGOING_MAX);
        let mut client = LeaseServiceClient::new(channel.clone());
        let answer = client.session(ReceiverStream::new(requests)).await;
        let mut incoming = answer.map_err(|status| status.message().to_owned())?.into_inner();
        let first = incoming.message().await.map_err(|status| status.message().to_owned())?;
        let Some(Message::Welcome(welcome)) = first.and_then(|response| response.message) else {
            return Err("no welcome".to_owned());
        };
        let elsewhere = welcome.leader_id != welcome.node_id && !welcome.leader_address.is_empty();
        let leader = elsewhere.then_some(welcome.leader_address);
        Ok((Dialled { channel, outgoing, incoming }, leader))
    });
    welcomed.await.map_err(late)?
}

/// One connection, `host:port` with or without `http://`.
pub(crate) async fn connect(address: &str) -> Result<Channel, String> {
    let bare = address.strip_prefix("http://").unwrap_or(address);
    let endpoint = Endpoint::from_shared(format!("http://{bare}"));
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    let dialled = endpoint.connect_timeout(DIAL_PATIENCE).tcp_nodelay(true).connect().await;
    dialled.map_err(|_| "no connection".to_owned())
}
