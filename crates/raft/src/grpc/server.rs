//! The answering end.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, future};
use leasehold_api::pb::peer::v1 as pb;
use leasehold_api::pb::peer::v1::peer_service_server::{PeerService, PeerServiceServer};
use tonic::{Code, Request, Response, Status, Streaming};

use super::{CALL, FACTS, FAULT, MALFORMED, NOT_BELIEVED, STOPPING, get, put};
use crate::Limits;
use crate::transport::{PeerFault, PeerHandler};

/// The service to mount on the peer port; `handler` is [`crate::Node::peer_handler`].
pub fn peer_service(
    handler: Arc<dyn PeerHandler>,
    limits: &Limits,
) -> PeerServiceServer<GrpcPeers> {
    PeerServiceServer::new(GrpcPeers { handler })
        .max_decoding_message_size(limits.message_bytes_max)
        .max_encoding_message_size(limits.message_bytes_max)
}

/// Answers peers over gRPC.
pub struct GrpcPeers {
    handler: Arc<dyn PeerHandler>,
}

impl fmt::Debug for GrpcPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrpcPeers")
    }
}

impl GrpcPeers {
    /// Takes a request apart: who calls, and what.
    fn open<M>(request: Request<M>) -> Result<(pb::Call, M), Status> {
        let call = get(request.metadata(), CALL).map_err(status_of)?;
        Ok((call, request.into_inner()))
    }

    /// An answer with the name of whoever gives it.
    fn sign<T>(&self, answer: Result<T, PeerFault>) -> Result<Response<T>, Status> {
        let mut response = Response::new(answer.map_err(status_of)?);
        put(response.metadata_mut(), FACTS, &self.handler.facts());
        Ok(response)
    }
}

fn status_of(fault: PeerFault) -> Status {
    let why = fault.to_string();
    let (code, word) = match fault {
        PeerFault::NotBelieved { .. } => (Code::FailedPrecondition, NOT_BELIEVED),
        PeerFault::Malformed { .. } => (Code::InvalidArgument, MALFORMED),
        PeerFault::Stopping { .. } => (Code::Unavailable, STOPPING),
        // These are a caller's; a handler that passes one on knows as little as its caller.
        PeerFault::NotDelivered { .. }
        | PeerFault::NoAnswer { .. }
        | PeerFault::AnswerNotBelieved { .. } => {
            return Status::unknown(why);
        }
    };
    let mut status = Status::new(code, why);
    status.metadata_mut().insert(FAULT, tonic::metadata::MetadataValue::from_static(word));
    status
}

#[tonic::async_trait]
impl PeerService for GrpcPeers {
    type StreamAppendStream = BoxStream<'static, Result<pb::AppendReply, Status>>;

    async fn introduce(
        &self,
        request: Request<pb::IntroduceRequest>,
    ) -> Result<Response<pb::IntroduceReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.introduce(call, request).await)
    }

    async fn stream_append(
        &self,
        request: Request<Streaming<pb::AppendRequest>>,
    ) -> Result<Response<Self::StreamAppendStream>, Status> {
        let (call, requests) = Self::open(request)?;
        // A stream that breaks ends: the caller is gone.
        let requests = requests.take_while(|read| future::ready(read.is_ok()));
        let requests = requests.filter_map(|read| future::ready(read.ok())).boxed();
        let replies = self.handler.stream_append(call, requests).await;
        self.sign(replies.map(|replies| replies.map(|reply| reply.map_err(status_of)).boxed()))
    }

    async fn append(
        &self,
        request: Request<pb::AppendRequest>,
    ) -> Result<Response<pb::AppendReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.append(call, request).await)
    }

    async fn vote(
        &self,
        request: Request<pb::VoteRequest>,
    ) -> Result<Response<pb::VoteReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.vote(call, request).await)
    }

    async fn pre_vote(
        &self,
        request: Request<pb::VoteRequest>,
    ) -> Result<Response<pb::VoteReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.pre_vote(call, request).await)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::SnapshotReply>, Status> {
        let (call, chunks) = Self::open(request)?;
        let broken = |status: Status| PeerFault::Malformed { why: status.to_string() };
        let chunks = chunks.map(move |chunk| chunk.map_err(broken)).boxed();
        self.sign(self.handler.install_snapshot(call, chunks).await)
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::TransferLeaderReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.transfer_leader(call, request).await)
    }

    async fn forward(
        &self,
        request: Request<pb::ForwardRequest>,
    ) -> Result<Response<pb::ForwardReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.forward(call, request).await)
    }

    async fn read_index(
        &self,
        request: Request<pb::ReadIndexRequest>,
    ) -> Result<Response<pb::ReadIndexReply>, Status> {
        let (call, request) = Self::open(request)?;
        self.sign(self.handler.read_index(call, request).await)
    }
}
