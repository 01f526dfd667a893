//! A node's ear with a notebook: every message of a peer, and every answer to it.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use leasehold_api::seal;
use leasehold_raft::pb;
use leasehold_raft::transport::{Handled, Messages, PeerHandler, Replies};
use prost::Message;

use crate::seeds::{Seeds, pieces};

/// Kinds of messages, as the target `peer_messages` tells them apart.
const APPEND: u8 = 0;
const APPENDED: u8 = 1;
const VOTE: u8 = 2;
const VOTED: u8 = 3;
const TRANSFER: u8 = 4;
const TRANSFERRED: u8 = 5;
const FAULT: u8 = 6;
const CHUNKS: u8 = 7;
const SEALED: u8 = 8;
const TARGET: &str = "peer_messages";

pub(crate) struct Notebook {
    pub(crate) node: Arc<dyn PeerHandler>,
    pub(crate) seeds: Seeds,
}

impl Notebook {
    fn note<M: Message + 'static>(&self, kind: u8, answer: Handled<M>) -> Handled<M> {
        let seeds = self.seeds.clone();
        answer
            .inspect(move |answer| {
                if let Ok(message) = answer {
                    seeds.message(TARGET, kind, message);
                }
            })
            .boxed()
    }
}

/// As it is read, and as it comes off the wire.
fn appended(seeds: &Seeds, request: &pb::AppendRequest) {
    seeds.message(TARGET, APPEND, request);
    seeds.take(TARGET, SEALED, &seal(request));
}

impl PeerHandler for Notebook {
    fn facts(&self) -> pb::Facts {
        self.node.facts()
    }

    fn introduce(
        &self,
        call: pb::Call,
        request: pb::IntroduceRequest,
    ) -> Handled<pb::IntroduceReply> {
        self.node.introduce(call, request)
    }

    fn append(&self, call: pb::Call, request: pb::AppendRequest) -> Handled<pb::AppendReply> {
        appended(&self.seeds, &request);
        self.note(APPENDED, self.node.append(call, request))
    }

    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
    ) -> Handled<Replies<pb::AppendReply>> {
        let (asked, answered) = (self.seeds.clone(), self.seeds.clone());
        let requests = requests.inspect(move |request| appended(&asked, request));
        let replies = self.node.stream_append(call, requests.boxed());
        let noted = move |replies: Replies<pb::AppendReply>| {
            let note = move |reply: &Result<pb::AppendReply, _>| {
                if let Ok(reply) = reply {
                    answered.message(TARGET, APPENDED, reply);
                }
            };
            replies.inspect(note).boxed()
        };
        replies.map(|replies| replies.map(noted)).boxed()
    }

    fn vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply> {
        self.seeds.message(TARGET, VOTE, &request);
        self.note(VOTED, self.node.vote(call, request))
    }

    fn pre_vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply> {
        self.seeds.message(TARGET, VOTE, &request);
        self.note(VOTED, self.node.pre_vote(call, request))
    }

    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Replies<pb::SnapshotChunk>,
    ) -> Handled<pb::SnapshotReply> {
        let seeds = self.seeds.clone();
        let chunks = chunks.inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                seeds.take(TARGET, CHUNKS, &pieces([&chunk.encode_to_vec()[..]]));
            }
        });
        self.node.install_snapshot(call, chunks.boxed())
    }

    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
    ) -> Handled<pb::TransferLeaderReply> {
        self.seeds.message(TARGET, TRANSFER, &request);
        self.note(TRANSFERRED, self.node.transfer_leader(call, request))
    }

    fn forward(&self, call: pb::Call, request: pb::ForwardRequest) -> Handled<pb::ForwardReply> {
        use pb::forwarded_outcome::Outcome;
        self.seeds.take_whole("core_codec", request.commands.to_vec());
        let seeds = self.seeds.clone();
        let note = move |reply: &Result<pb::ForwardReply, _>| {
            let outcomes = reply.iter().flat_map(|reply| &reply.outcomes);
            for outcome in outcomes.filter_map(|outcome| outcome.outcome.as_ref()) {
                match outcome {
                    Outcome::Applied(bytes) => seeds.take_whole("core_codec", bytes.to_vec()),
                    Outcome::Fault(fault) => seeds.message(TARGET, FAULT, fault),
                }
            }
        };
        self.node.forward(call, request).inspect(note).boxed()
    }

    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
    ) -> Handled<pb::ReadIndexReply> {
        use pb::read_index_reply::Outcome;
        let seeds = self.seeds.clone();
        let note = move |reply: &Result<pb::ReadIndexReply, _>| {
            if let Ok(pb::ReadIndexReply { outcome: Some(Outcome::Fault(fault)) }) = reply {
                seeds.message(TARGET, FAULT, fault);
            }
        };
        self.node.read_index(call, request).inspect(note).boxed()
    }
}
