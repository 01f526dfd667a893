//! Answers peers: check who asks, translate, hand on.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, future};
use leasehold_api::pb::peer::v1 as pb;
use leasehold_core::{Outcome, decode_commands, encode_outcomes};
use leasehold_types::Fault;
use openraft::Raft;
use openraft::errors::{Fatal, RaftError};
use openraft::raft::{AppendEntriesResponse, StreamAppendError};
use openraft_rt::AsyncRuntime;

use super::Gatekeeper;
use crate::barrier::ReadPoints;
use crate::log::Sealer;
use crate::proposer::{Intake, Origin};
use crate::snapshot::Document;
use crate::standing::LeaderHeard;
use crate::state_machine::{Snapshot, StateMachine};
use crate::transport::{Handled, Messages, PeerFault, PeerHandler, Replies};
use crate::type_config::{Types, Vote};
use crate::wire::{self, BadMessage};
use crate::{Execution, Limits};

/// Answers peers on behalf of one node.
pub(crate) struct Handler<RT: AsyncRuntime> {
    pub(crate) raft: Raft<Types<RT>, StateMachine<RT>>,
    pub(crate) gatekeeper: Arc<Gatekeeper>,
    pub(crate) heard: Arc<LeaderHeard<RT>>,
    pub(crate) sealer: Sealer<RT>,
    pub(crate) intake: Intake<RT>,
    pub(crate) read_points: ReadPoints<RT>,
    pub(crate) limits: Limits,
    pub(crate) execution: Execution,
}

impl<RT: AsyncRuntime> fmt::Debug for Handler<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl<RT: AsyncRuntime> Handler<RT> {
    /// Answers a call if the caller is believed.
    fn answer<T, F>(&self, call: &pb::Call, answer: F) -> Handled<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PeerFault>> + Send + 'static,
    {
        match self.gatekeeper.believe_call(call) {
            Ok(_) => answer.boxed(),
            Err(fault) => {
                tracing::warn!(%fault, "a caller is not believed");
                future::ready(Err(fault)).boxed()
            }
        }
    }
}

impl<RT: AsyncRuntime> PeerHandler for Handler<RT> {
    fn facts(&self) -> pb::Facts {
        self.gatekeeper.facts()
    }

    fn introduce(&self, call: pb::Call, _: pb::IntroduceRequest) -> Handled<pb::IntroduceReply> {
        let members = self.gatekeeper.members();
        self.answer(&call, async move {
            members.map_or(Ok(pb::IntroduceReply {}), |members| {
                let why = format!("this node belongs to the cluster of members {members:?}");
                Err(PeerFault::NotBelieved { why })
            })
        })
    }

    fn append(&self, call: pb::Call, request: pb::AppendRequest) -> Handled<pb::AppendReply> {
        let (raft, heard) = (self.raft.clone(), self.heard.clone());
        let gatekeeper = self.gatekeeper.clone();
        self.answer(&call, async move {
            heard.note();
            gatekeeper.hear(&request.known)?;
            gatekeeper.hear_reach(&request.others)?;
            let request = wire::append_from_wire::<RT>(request)?;
            let previous = request.prev_log_id;
            let last = request.entries.last().map(|entry| entry.log_id).or(previous);
            let result = match raft.append_entries(request).await? {
                AppendEntriesResponse::Success => Ok(last),
                AppendEntriesResponse::PartialSuccess(matched) => Ok(matched),
                AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote)),
                AppendEntriesResponse::Conflict => {
                    Err(StreamAppendError::Conflict(wire::present(previous, "previous")?))
                }
            };
            Ok(wire::append_reply_to_wire::<RT>(result))
        })
    }

    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
    ) -> Handled<Replies<pb::AppendReply>> {
        let (raft, heard) = (self.raft.clone(), self.heard.clone());
        let gatekeeper = self.gatekeeper.clone();
        let caller = call.from.as_ref().map_or(0, |from| from.node_id);
        self.answer(&call, async move {
            let leader = gatekeeper.reached_by(caller);
            let requests = requests.inspect(move |request| {
                heard.note();
                leader.raise(request.reached);
            });
            // A message that cannot be read ends the stream; the leader sees that and tries anew.
            let requests = requests.map(wire::append_from_wire::<RT>).take_while(|read| {
                if let Err(bad) = read {
                    tracing::warn!(%bad, "an append message was malformed");
                }
                future::ready(read.is_ok())
            });
            let requests = requests.filter_map(|read| future::ready(read.ok()));
            let replies = raft.stream_append(requests.boxed());
            let replies = replies.map(move |reply| {
                let reply = wire::append_reply_to_wire::<RT>(reply?);
                Ok(pb::AppendReply { reached: gatekeeper.own_reached(), ..reply })
            });
            Ok(replies.boxed())
        })
    }

    fn vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply> {
        let raft = self.raft.clone();
        self.answer(&call, async move {
            let reply = raft.vote(wire::vote_request_from_wire(request)?).await?;
            Ok(wire::vote_reply_to_wire(&reply))
        })
    }

    fn pre_vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply> {
        let raft = self.raft.clone();
        self.answer(&call, async move {
            let reply = raft.pre_vote(wire::vote_request_from_wire(request)?).await?;
            Ok(wire::vote_reply_to_wire(&reply))
        })
    }

    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Replies<pb::SnapshotChunk>,
    ) -> Handled<pb::SnapshotReply> {
        let (raft, sealer) = (self.raft.clone(), self.sealer.clone());
        let gatekeeper = self.gatekeeper.clone();
        let (execution, size_max) = (self.execution, self.limits.snapshot_bytes_max);
        self.answer(&call, async move {
            let (vote, document) = gather(chunks, size_max).await?;
            let bytes = document.clone();
            let opened = execution.run::<RT, _, _>(move || Document::open(bytes)).await;
            let opened = opened.map_err(|error| PeerFault::Stopping { why: error.to_string() })?;
            let meta = opened.map_err(|bad| PeerFault::Malformed { why: bad.to_string() })?.meta;
            let reply =
                raft.install_full_snapshot(vote, Snapshot { meta, snapshot: document }).await?;
            if let Err(error) = sealer.seal().await {
                // Nobody else learns of this one: the consensus library did not ask for it.
                let why = format!("could not sync the log behind a snapshot: {error}");
                gatekeeper.cannot_store(&why);
                return Err(PeerFault::Stopping { why });
            }
            Ok(pb::SnapshotReply { vote: Some(wire::vote_to_wire(&reply.vote)) })
        })
    }

    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
    ) -> Handled<pb::TransferLeaderReply> {
        let raft = self.raft.clone();
        self.answer(&call, async move {
            let reply = raft.handle_transfer_leader(wire::transfer_from_wire(request)?).await?;
            Ok(wire::transfer_reply_to_wire::<RT>(reply))
        })
    }

    fn forward(&self, call: pb::Call, request: pb::ForwardRequest) -> Handled<pb::ForwardReply> {
        let intake = self.intake.clone();
        self.answer(&call, async move {
            let commands = decode_commands(&request.commands)
                .map_err(|error| PeerFault::Malformed { why: crate::chain::one_line(&error) })?;
            let waited = Duration::from_millis(request.waited_ms);
            let proposals: Vec<_> = commands
                .into_iter()
                .map(|command| intake.propose(command, Origin::Peer, waited))
                .collect();
            let mut outcomes = Vec::with_capacity(proposals.len());
            for proposal in proposals {
                let outcome = match proposal {
                    Ok(proposal) => proposal.await,
                    Err(fault) => Err(fault),
                };
                outcomes.push(outcome_to_wire(outcome));
            }
            Ok(pb::ForwardReply { outcomes })
        })
    }

    fn read_index(&self, call: pb::Call, _: pb::ReadIndexRequest) -> Handled<pb::ReadIndexReply> {
        use pb::read_index_reply::Outcome;
        let read_points = self.read_points.clone();
        self.answer(&call, async move {
            let outcome = match read_points.as_leader().await {
                Ok(at) => Outcome::ReadLogId(wire::log_id_to_wire(at)),
                Err(fault) => Outcome::Fault(fault_to_wire(fault)),
            };
            Ok(pb::ReadIndexReply { outcome: Some(outcome) })
        })
    }
}

/// Puts a snapshot together from its chunks, which must come in order and without gaps.
pub(crate) async fn gather(
    mut chunks: Replies<pb::SnapshotChunk>,
    size_max: u64,
) -> Result<(Vote, Bytes), PeerFault> {
    let broken_off = || PeerFault::Malformed { why: "the snapshot broke off".to_owned() };
    let first = chunks.next().await.ok_or_else(broken_off)??;
    let vote = wire::vote_from_wire(first.vote)?;
    let size = first.size;
    if size > size_max {
        let why = format!("a snapshot of {size} bytes; {size_max} are allowed");
        return Err(PeerFault::Malformed { why });
    }
    let mut document = BytesMut::new();
    let mut next = Some(first);
    while let Some(chunk) = next {
        let (at, len) = (document.len() as u64, chunk.data.len() as u64);
        if chunk.offset != at || at + len > size {
            let why =
                format!("{len} bytes for offset {} where {at} of {size} were due", chunk.offset);
            return Err(PeerFault::Malformed { why });
        }
        document.extend_from_slice(&chunk.data);
        next = chunks.next().await.transpose()?;
    }
    if document.len() as u64 != size {
        return Err(broken_off());
    }
    Ok((vote, document.freeze()))
}

fn outcome_to_wire(outcome: Result<Outcome, Fault>) -> pb::ForwardedOutcome {
    use pb::forwarded_outcome::Outcome as Wire;
    let outcome = match outcome {
        Ok(outcome) => Wire::Applied(encode_outcomes(&[outcome]).into()),
        Err(fault) => Wire::Fault(fault_to_wire(fault)),
    };
    pb::ForwardedOutcome { outcome: Some(outcome) }
}

pub(crate) fn fault_to_wire(fault: Fault) -> pb::ForwardFault {
    let reason = fault.reason().to_owned();
    let mut wire = pb::ForwardFault { reason, why: String::new(), limit: 0, leader_address: None };
    match fault {
        Fault::NoLeader { leader_address } => wire.leader_address = leader_address,
        Fault::QueueFull { limit } => wire.limit = limit,
        Fault::ShuttingDown => {}
        Fault::OutcomeUnknown { why } | Fault::Storage { why } => wire.why = why,
    }
    wire
}

/// Reads a fault of the leader as this node tells it to its client. A word this program does not
/// know is not knowing.
pub(crate) fn fault_from_wire(fault: pb::ForwardFault) -> Fault {
    let pb::ForwardFault { reason, why, limit, leader_address } = fault;
    match reason.as_str() {
        "NO_LEADER" => Fault::NoLeader { leader_address },
        "QUEUE_FULL" => Fault::QueueFull { limit },
        // It is the leader that stops, not this node: another will lead.
        "SHUTTING_DOWN" => Fault::NoLeader { leader_address: None },
        _ => Fault::OutcomeUnknown { why: format!("the leader says {reason} {why}") },
    }
}

impl From<BadMessage> for PeerFault {
    fn from(bad: BadMessage) -> Self {
        Self::Malformed { why: bad.to_string() }
    }
}

impl<RT: AsyncRuntime> From<Fatal<Types<RT>>> for PeerFault {
    fn from(fatal: Fatal<Types<RT>>) -> Self {
        Self::Stopping { why: fatal.to_string() }
    }
}

impl<RT: AsyncRuntime> From<RaftError<Types<RT>>> for PeerFault {
    fn from(error: RaftError<Types<RT>>) -> Self {
        Self::Stopping { why: error.to_string() }
    }
}
