//! The calling end.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use leasehold_api::pb::peer::v1 as pb;
use leasehold_api::pb::peer::v1::peer_service_client::PeerServiceClient;
use leasehold_net::Connector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::{CALL, FAULT, MALFORMED, NOT_BELIEVED, STOPPING, facts, put};
use crate::transport::{Answer, Answered, Lane, Messages, PeerFault, PeerLink, Replies, Transport};
use crate::{Limits, Member, Timing};

/// Links over gRPC: one long-lived connection for each peer and lane.
pub fn transport(
    connector: Arc<dyn Connector>,
    timing: &Timing,
    limits: &Limits,
) -> Arc<dyn Transport> {
    Arc::new(GrpcTransport {
        connector,
        connect: timing.connect,
        keepalive: timing.keepalive,
        message_bytes_max: limits.message_bytes_max,
    })
}

#[derive(Debug)]
struct GrpcTransport {
    connector: Arc<dyn Connector>,
    connect: Duration,
    keepalive: Duration,
    message_bytes_max: usize,
}

/// Window of one stream: a large append is not held up by waiting for room.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Window of a connection: two such streams.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

impl Transport for GrpcTransport {
    fn link(&self, member: &Member, _: Lane) -> Arc<dyn PeerLink> {
        let client = self.endpoint(&member.peer_address).map(|endpoint| {
            PeerServiceClient::new(self.connector.connect_lazily(endpoint))
                .max_decoding_message_size(self.message_bytes_max)
                .max_encoding_message_size(self.message_bytes_max)
        });
        Arc::new(GrpcLink { address: member.peer_address.clone(), client })
    }
}

impl GrpcTransport {
    fn endpoint(&self, address: &str) -> Result<Endpoint, PeerFault> {
        let bad =
            |why: &str| PeerFault::NotDelivered { why: format!("the address {address:?} {why}") };
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        port.ok_or_else(|| bad("has no port"))?;
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|_| bad("is not one"))?;
        Ok(endpoint
            .connect_timeout(self.connect)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
    }
}

type Client = PeerServiceClient<Channel>;

struct GrpcLink {
    address: String,
    client: Result<Client, PeerFault>,
}

impl fmt::Debug for GrpcLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gRPC link to {}", self.address)
    }
}

impl GrpcLink {
    /// Makes a call, bounded by `within`, whose answer is `T`.
    fn call<M, T, F>(
        &self,
        call: &pb::Call,
        message: M,
        within: Duration,
        make: impl FnOnce(Client, Request<M>) -> F,
    ) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
    {
        let client = match &self.client {
            Ok(client) => client.clone(),
            Err(fault) => return std::future::ready(Err(fault.clone())).boxed(),
        };
        let mut request = Request::new(message);
        put(request.metadata_mut(), CALL, call);
        let answer = make(client, request);
        async move {
            let response = match tokio::time::timeout(within, answer).await {
                Ok(answer) => answer.map_err(|status| fault_of(&status))?,
                Err(_) => {
                    return Err(PeerFault::NoAnswer { why: format!("none within {within:?}") });
                }
            };
            let by = facts(response.metadata())
                .map_err(|fault| PeerFault::AnswerNotBelieved { why: fault.to_string() })?;
            Ok(Answered { by, reply: response.into_inner() })
        }
        .boxed()
    }
}

/// A stream of messages by a name of its own: the compiler cannot see through the boxed one in a
/// generated call (rust-lang/rust#102211).
struct Outgoing<T>(Messages<T>);

impl<T> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.as_mut().poll_next(context)
    }
}

impl PeerLink for GrpcLink {
    fn introduce(
        &self,
        call: pb::Call,
        request: pb::IntroduceRequest,
        within: Duration,
    ) -> Answer<pb::IntroduceReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.introduce(request).await
        })
    }

    fn append(
        &self,
        call: pb::Call,
        request: pb::AppendRequest,
        within: Duration,
    ) -> Answer<pb::AppendReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.append(request).await
        })
    }

    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
        within: Duration,
    ) -> Answer<Replies<pb::AppendReply>> {
        self.call(&call, Outgoing(requests), within, |mut client, request| async move {
            let response = client.stream_append(request).await?;
            Ok(response.map(|replies| {
                replies.map(|reply| reply.map_err(|status| fault_of(&status))).boxed()
            }))
        })
    }

    fn vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.vote(request).await
        })
    }

    fn pre_vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.pre_vote(request).await
        })
    }

    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Messages<pb::SnapshotChunk>,
        within: Duration,
    ) -> Answer<pb::SnapshotReply> {
        self.call(&call, Outgoing(chunks), within, |mut client, request| async move {
            client.install_snapshot(request).await
        })
    }

    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
        within: Duration,
    ) -> Answer<pb::TransferLeaderReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.transfer_leader(request).await
        })
    }

    fn forward(
        &self,
        call: pb::Call,
        request: pb::ForwardRequest,
        within: Duration,
    ) -> Answer<pb::ForwardReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.forward(request).await
        })
    }

    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
        within: Duration,
    ) -> Answer<pb::ReadIndexReply> {
        self.call(&call, request, within, |mut client, request| async move {
            client.read_index(request).await
        })
    }
}

/// What a failed call means. Only the handler's own word is believed: gRPC invents `UNAVAILABLE` and
/// others by itself, sometimes after the call has arrived.
fn fault_of(status: &Status) -> PeerFault {
    let why = status.message().to_owned();
    match status.metadata().get(FAULT).and_then(|word| word.to_str().ok()) {
        Some(NOT_BELIEVED) => PeerFault::NotBelieved { why },
        Some(MALFORMED) => PeerFault::Malformed { why },
        Some(STOPPING) => PeerFault::Stopping { why },
        _ if could_not_connect(status) => PeerFault::NotDelivered { why },
        _ => PeerFault::NoAnswer { why: format!("{:?}: {why}", status.code()) },
    }
}

/// Without a connection nothing can have arrived.
fn could_not_connect(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
