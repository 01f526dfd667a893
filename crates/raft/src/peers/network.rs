//! What the consensus library calls its peers with.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, future};
use leasehold_api::pb::peer::v1 as pb;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{Instant, LogIdOptionExt, OptionalSend};
use openraft_rt::{AsyncRuntime, Select2};
use tokio::sync::oneshot;

use super::commit_news::ride_on_entries;
use super::silence::{Remark, Silence};
use super::{Peers, QuorumGate};
use crate::directory::Directory;
use crate::log::LogReader;
use crate::state_machine::Snapshot;
use crate::transport::{Lane, Messages, PeerFault, PeerLink, Replies};
use crate::type_config::{Listed, Types, Vote};
use crate::wire::{self, BadMessage};
use crate::{Limits, Member, NodeConfig, Timing};

type Rpc<T, RT> = Result<T, RPCError<Types<RT>>>;

/// Makes a [`Network`] for each peer.
#[derive(Debug)]
pub(crate) struct NetworkFactory<RT: AsyncRuntime> {
    shared: Arc<Shared<RT>>,
}

#[derive(Debug)]
struct Shared<RT: AsyncRuntime> {
    peers: Arc<Peers>,
    gate: Arc<QuorumGate<RT>>,
    directory: Directory,
    log: LogReader,
    timing: Timing,
    limits: Limits,
}

impl<RT: AsyncRuntime> NetworkFactory<RT> {
    pub(crate) fn new(
        peers: Arc<Peers>,
        gate: Arc<QuorumGate<RT>>,
        directory: Directory,
        log: LogReader,
        config: &NodeConfig,
    ) -> Self {
        let (timing, limits) = (config.timing.clone(), config.limits.clone());
        Self { shared: Arc::new(Shared { peers, gate, directory, log, timing, limits }) }
    }
}

impl<RT: AsyncRuntime> NetworkFactory<RT> {
    fn network(&self, target: u64, node: &Listed, pipelined: bool) -> Network<RT> {
        Network {
            target: self.shared.directory.member(target, node),
            shared: self.shared.clone(),
            pipelined,
            told: AtomicU64::new(0),
            silence: Silence::new(self.shared.timing.election_max),
        }
    }
}

impl<RT: AsyncRuntime> RaftNetworkFactory<Types<RT>> for NetworkFactory<RT> {
    type Network = Network<RT>;

    async fn new_client(&mut self, target: u64, node: &Listed) -> Network<RT> {
        self.network(target, node, true)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Listed) -> Network<RT> {
        self.network(target, node, false)
    }
}

/// Calls one peer.
#[derive(Debug)]
pub(crate) struct Network<RT: AsyncRuntime> {
    target: Member,
    shared: Arc<Shared<RT>>,
    /// Whether appends share one stream, as replication does; heartbeats go one by one.
    pipelined: bool,
    /// Which edition of what this node knows of the others the peer has taken.
    told: AtomicU64,
    /// Of what goes one by one.
    silence: Silence<RT::Instant>,
}

impl<RT: AsyncRuntime> Network<RT> {
    /// See [`QuorumGate`].
    fn pass_gate(&self) -> Rpc<(), RT> {
        if self.shared.gate.is_open() {
            return Ok(());
        }
        Err(Unreachable::from_string("no majority has answered for too long; quiet for a while")
            .into())
    }

    async fn append_one(
        &self,
        request: AppendEntriesRequest<Types<RT>>,
        option: RPCOption,
    ) -> Rpc<StreamAppendResult<Types<RT>>, RT> {
        self.pass_gate()?;
        let (mut request, within) = (wire::append_to_wire(request), option.soft_ttl());
        let told = self.told.load(Ordering::Relaxed);
        let news = self.shared.peers.news(self.target.node_id, told);
        let (edition, known) = news.unwrap_or((told, Vec::new()));
        request.known = known;
        request.others = self.shared.peers.reach(self.target.node_id);
        let call = |link: &dyn PeerLink, call| link.append(call, request, within);
        let answered = self.shared.peers.call(&self.target, Lane::Urgent, call).await;
        self.remark_on(answered.as_ref().err());
        let reply = answered.map_err(rpc_error)?;
        self.told.store(edition, Ordering::Relaxed);
        wire::append_reply_from_wire(reply).map_err(bad_reply)
    }

    fn remark_on(&self, fault: Option<&PeerFault>) {
        let peer = self.target.node_id;
        match (self.silence.note(RT::Instant::now(), fault.is_none()), fault) {
            (Some(Remark::Silent(silence)), Some(fault)) => {
                tracing::warn!(peer, ?silence, %fault, "a peer does not answer");
            }
            (Some(Remark::AnswersAgain(silence)), _) => {
                tracing::info!(peer, ?silence, "a peer answers again");
            }
            (Some(Remark::Silent(_)) | None, _) => {}
        }
    }

    /// The requests end with the replies: all sessions of the library with one peer draw from one
    /// source, so whatever still carries an earlier session's requests would take the next one's.
    ///
    /// Ends with an error as soon as a request follows what is purged by now. The library would go on
    /// sending nothing after it for ever; told of the error, it looks again and sends a snapshot.
    ///
    /// Waits for the first request before anything else: the library paces a peer that failed in the
    /// stream of requests, so whoever fails without having asked it for one is called again at once.
    async fn append_stream(
        &self,
        mut requests: Messages<AppendEntriesRequest<Types<RT>>>,
    ) -> Rpc<BoxStream<'static, Rpc<StreamAppendResult<Types<RT>>, RT>>, RT> {
        let Some(first) = requests.next().await else {
            return Ok(stream::empty().boxed());
        };
        self.pass_gate()?;
        let sent = Arc::new(AtomicU64::new(0));
        let counter = sent.clone();
        let (session, over) = oneshot::channel::<()>();
        let requests = requests.take_until(over);
        let shared = self.shared.clone();
        let gone = Arc::new(AtomicBool::new(false));
        let noticed = gone.clone();
        let requests = stream::once(future::ready(first)).chain(requests);
        let requests = ride_on_entries::<RT>(requests.boxed());
        let requests = requests.take_while(move |request| {
            let there = !request.entries.is_empty()
                || shared.log.reaches_back_to(request.prev_log_id.as_ref());
            noticed.store(!there, Ordering::Relaxed);
            future::ready(there)
        });
        let peers = self.shared.peers.clone();
        let requests = requests.map(move |request| {
            counter.fetch_add(1, Ordering::Relaxed);
            let reached = peers.own_reached();
            pb::AppendRequest { reached, ..wire::append_to_wire(request) }
        });
        let (requests, within) = (requests.boxed(), self.shared.timing.append_reply);
        let call = |link: &dyn PeerLink, call| link.stream_append(call, requests, within);
        let replies =
            self.shared.peers.call(&self.target, Lane::Log, call).await.map_err(rpc_error)?;
        let follower = self.shared.peers.reached_by(self.target.node_id);
        let replies = bounded_silence::<RT>(replies, sent, within).map(move |reply| {
            let reply = reply.map_err(rpc_error)?;
            follower.raise(reply.reached);
            wire::append_reply_from_wire(reply).map_err(bad_reply)
        });
        // Said behind the replies to what was sent before.
        let end = stream::once(async move { gone.load(Ordering::Relaxed) });
        let end = end.filter(|gone| future::ready(*gone)).map(|_| Err(purged()));
        let replies = replies.chain(end).inspect(move |_| {
            let _lives_as_long = &session;
        });
        Ok(replies.boxed())
    }

    fn snapshot_chunks(&self, vote: &Vote, document: &Bytes) -> Messages<pb::SnapshotChunk> {
        let size = self.shared.limits.snapshot_chunk_bytes.max(1);
        let (vote, whole, document) = (wire::vote_to_wire(vote), document.len(), document.clone());
        let chunk = move |offset: usize| pb::SnapshotChunk {
            vote: (offset == 0).then_some(vote),
            size: if offset == 0 { whole as u64 } else { 0 },
            offset: offset as u64,
            data: document.slice(offset..document.len().min(offset + size)),
        };
        stream::iter((0..whole.max(1)).step_by(size).map(chunk)).boxed()
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<Types<RT>>, StreamingError<Types<RT>>> {
        let chunks = self.snapshot_chunks(&vote, &snapshot.snapshot);
        let within = self.shared.timing.snapshot_whole;
        let call = |link: &dyn PeerLink, call| link.install_snapshot(call, chunks, within);
        let reply =
            self.shared.peers.call(&self.target, Lane::Snapshot, call).await.map_err(rpc_error)?;
        let vote = wire::vote_from_wire(reply.vote).map_err(bad_reply)?;
        Ok(SnapshotResponse::new(vote))
    }
}

impl<RT: AsyncRuntime> RaftNetworkV2<Types<RT>> for Network<RT> {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types<RT>>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<Types<RT>>, RT> {
        let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
        Ok(match self.append_one(request, option).await? {
            Ok(matched) if matched.next_index() >= last.next_index() => {
                AppendEntriesResponse::Success
            }
            Ok(matched) => AppendEntriesResponse::PartialSuccess(matched),
            Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
            Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Rpc<BoxStream<'s, Rpc<StreamAppendResult<Types<RT>>, RT>>, RT>>
    where
        S: Stream<Item = AppendEntriesRequest<Types<RT>>> + OptionalSend + Unpin + 'static,
    {
        let this: &'s Self = self;
        if this.pipelined {
            return Box::pin(async move { this.append_stream(input.boxed()).await });
        }
        let one_by_one = input.then(move |request| this.append_one(request, option.clone()));
        Box::pin(async move { Ok(one_by_one.boxed()) })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types<RT>>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<Types<RT>>, RT> {
        let (request, within) = (wire::vote_request_to_wire(&request), option.soft_ttl());
        let call = |link: &dyn PeerLink, call| link.vote(call, request, within);
        let reply =
            self.shared.peers.call(&self.target, Lane::Urgent, call).await.map_err(rpc_error)?;
        wire::vote_reply_from_wire(reply).map_err(bad_reply)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types<RT>>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<Types<RT>>, RT> {
        let (request, within) = (wire::vote_request_to_wire(&request), option.soft_ttl());
        let call = |link: &dyn PeerLink, call| link.pre_vote(call, request, within);
        let reply =
            self.shared.peers.call(&self.target, Lane::Urgent, call).await.map_err(rpc_error)?;
        wire::vote_reply_from_wire(reply).map_err(bad_reply)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types<RT>>, StreamingError<Types<RT>>> {
        match RT::select2(cancel, self.send_snapshot(vote, snapshot)).await {
            Select2::First(closed) => Err(StreamingError::Closed(closed)),
            Select2::Second(sent) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<RT>>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<Types<RT>>, RT> {
        let (request, within) = (wire::transfer_to_wire(&request), option.soft_ttl());
        let call = |link: &dyn PeerLink, call| link.transfer_leader(call, request, within);
        let reply =
            self.shared.peers.call(&self.target, Lane::Urgent, call).await.map_err(rpc_error)?;
        wire::transfer_reply_from_wire(reply).map_err(bad_reply)
    }
}

fn purged<RT: AsyncRuntime>() -> RPCError<Types<RT>> {
    Unreachable::from_string("the log was purged beyond where this peer stands").into()
}

/// Ends a stream of replies with a fault when, while one is due, none comes for `silence`, or a little
/// over half of it at worst. A stream that is idle because nothing was sent may stay so.
fn bounded_silence<RT: AsyncRuntime>(
    replies: Replies<pb::AppendReply>,
    sent: Arc<AtomicU64>,
    silence: Duration,
) -> Replies<pb::AppendReply> {
    let state = Some((replies, 0_u64));
    stream::unfold(state, move |state| {
        let sent = sent.clone();
        async move {
            let (mut replies, answered) = state?;
            let mut was_due = false;
            loop {
                match RT::timeout(silence / 2, replies.next()).await {
                    Ok(Some(Ok(reply))) => return Some((Ok(reply), Some((replies, answered + 1)))),
                    Ok(Some(Err(fault))) => return Some((Err(fault), None)),
                    Ok(None) => return None,
                    Err(_) if was_due => {
                        let why = format!("an append was not answered for {silence:?}");
                        return Some((Err(PeerFault::NoAnswer { why }), None));
                    }
                    Err(_) => was_due = sent.load(Ordering::Relaxed) > answered,
                }
            }
        }
    })
    .boxed()
}

/// Unreachable makes the library wait before it tries again, a network error does not.
fn rpc_error<RT: AsyncRuntime>(fault: PeerFault) -> RPCError<Types<RT>> {
    match fault {
        PeerFault::NoAnswer { .. } => NetworkError::new(&fault).into(),
        PeerFault::NotDelivered { .. } | PeerFault::Stopping { .. } => {
            Unreachable::new(&fault).into()
        }
        PeerFault::NotBelieved { .. }
        | PeerFault::AnswerNotBelieved { .. }
        | PeerFault::Malformed { .. } => {
            tracing::warn!(%fault, "a peer is not believed");
            Unreachable::new(&fault).into()
        }
    }
}

fn bad_reply<RT: AsyncRuntime>(bad: BadMessage) -> RPCError<Types<RT>> {
    rpc_error(PeerFault::Malformed { why: bad.to_string() })
}
