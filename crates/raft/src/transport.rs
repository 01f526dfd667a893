//! How nodes reach each other: two traits in the words of `peer.proto`, and nothing about sockets.
//!
//! A [`Transport`] makes a [`PeerLink`] to a member; at the other end a [`PeerHandler`] answers.
//! [`crate::grpc`] joins them over the network, tests and the simulator in memory. Both ends of a
//! call say who they are in [`pb::Facts`], and both check before they believe: a link hands over the
//! answering node's facts with every answer.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use leasehold_api::pb::peer::v1 as pb;

use crate::Member;

/// Makes links to peers.
pub trait Transport: Send + Sync + Debug + 'static {
    /// A link to `member`. Connects when first used, and again after it broke.
    fn link(&self, member: &Member, lane: Lane) -> Arc<dyn PeerLink>;
}

/// What a link is for. Lanes do not share a connection, so that none delays another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Replication.
    Log,
    /// Heartbeats, votes and read points: small and urgent.
    Urgent,
    /// Whole snapshots.
    Snapshot,
    /// Client commands on their way to the leader.
    Forward,
}

/// An answer, and who gave it.
#[derive(Clone, Debug)]
pub struct Answered<T> {
    /// The answering node, to be checked before `reply` is believed.
    pub by: pb::Facts,
    /// The answer.
    pub reply: T,
}

/// What a call comes to.
pub type Answer<T> = BoxFuture<'static, Result<Answered<T>, PeerFault>>;

/// A stream of messages.
pub type Messages<T> = BoxStream<'static, T>;

/// A stream of answers; it ends with its first fault.
pub type Replies<T> = BoxStream<'static, Result<T, PeerFault>>;

/// A way to one peer. Each call is bounded by `within`, a stream by the silence its user allows.
pub trait PeerLink: Send + Sync + Debug + 'static {
    /// Asks whether the peer belongs to no cluster yet.
    fn introduce(
        &self,
        call: pb::Call,
        request: pb::IntroduceRequest,
        within: Duration,
    ) -> Answer<pb::IntroduceReply>;

    /// One append by itself.
    fn append(
        &self,
        call: pb::Call,
        request: pb::AppendRequest,
        within: Duration,
    ) -> Answer<pb::AppendReply>;

    /// A stream of appends, answered in order. `within` bounds the opening.
    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
        within: Duration,
    ) -> Answer<Replies<pb::AppendReply>>;

    /// Asks for a vote.
    fn vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply>;

    /// Asks whether a vote would be granted.
    fn pre_vote(
        &self,
        call: pb::Call,
        request: pb::VoteRequest,
        within: Duration,
    ) -> Answer<pb::VoteReply>;

    /// Sends a snapshot.
    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Messages<pb::SnapshotChunk>,
        within: Duration,
    ) -> Answer<pb::SnapshotReply>;

    /// Hands leadership over.
    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
        within: Duration,
    ) -> Answer<pb::TransferLeaderReply>;

    /// Passes client commands to the leader.
    fn forward(
        &self,
        call: pb::Call,
        request: pb::ForwardRequest,
        within: Duration,
    ) -> Answer<pb::ForwardReply>;

    /// Asks the leader for a read point.
    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
        within: Duration,
    ) -> Answer<pb::ReadIndexReply>;
}

/// Answers peers. [`crate::Node`] is the one implementation; a transport's far end calls it, and
/// hands [`PeerHandler::facts`], taken when the answer is ready, back with every answer.
pub trait PeerHandler: Send + Sync + 'static {
    /// What this node says about itself.
    fn facts(&self) -> pb::Facts;

    /// See [`PeerLink::introduce`].
    fn introduce(
        &self,
        call: pb::Call,
        request: pb::IntroduceRequest,
    ) -> Handled<pb::IntroduceReply>;

    /// See [`PeerLink::append`].
    fn append(&self, call: pb::Call, request: pb::AppendRequest) -> Handled<pb::AppendReply>;

    /// See [`PeerLink::stream_append`]. `requests` ends when the caller is gone.
    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
    ) -> Handled<Replies<pb::AppendReply>>;

    /// See [`PeerLink::vote`].
    fn vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply>;

    /// See [`PeerLink::pre_vote`].
    fn pre_vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply>;

    /// See [`PeerLink::install_snapshot`]. An `Err` among the chunks is a caller that broke off.
    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Replies<pb::SnapshotChunk>,
    ) -> Handled<pb::SnapshotReply>;

    /// See [`PeerLink::transfer_leader`].
    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
    ) -> Handled<pb::TransferLeaderReply>;

    /// See [`PeerLink::forward`].
    fn forward(&self, call: pb::Call, request: pb::ForwardRequest) -> Handled<pb::ForwardReply>;

    /// See [`PeerLink::read_index`].
    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
    ) -> Handled<pb::ReadIndexReply>;
}

/// What answering comes to.
pub type Handled<T> = BoxFuture<'static, Result<T, PeerFault>>;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// It never left this node: the peer cannot be reached.
    #[error("not delivered: {why}")]
    NotDelivered {
        /// What went wrong.
        why: String,
    },
    /// It may or may not have arrived.
    #[error("no answer: {why}")]
    NoAnswer {
        /// What went wrong.
        why: String,
    },
    /// One side does not believe the other: another cluster, another node, a node that forgot, a
    /// copied disk. Nothing was done.
    #[error("refused: {why}")]
    NotBelieved {
        /// Who did not believe whom, and why.
        why: String,
    },
    /// It was done, or not, by a peer whose answer is not believed; so it counts for nothing.
    #[error("the answer is not believed: {why}")]
    AnswerNotBelieved {
        /// Why not.
        why: String,
    },
    /// The message breaks the protocol. Nothing was done.
    #[error("malformed: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// The peer is stopping or has failed.
    #[error("the peer is stopping: {why}")]
    Stopping {
        /// What it said.
        why: String,
    },
}
