//! A node that answers candidates as none should: planted bugs.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::ready;
use leasehold_raft::pb;
use leasehold_raft::transport::{Handled, Messages, PeerFault, PeerHandler, Replies};

/// What is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrong {
    /// It answers no candidate.
    Silent,
    /// It follows whoever asks for its vote in a later term, although it hears a leader: no pre-vote,
    /// no trust in the leader, and the leader is told of the later term.
    Disloyal,
}

/// Passes everything on but the questions of candidates.
pub(crate) struct BadVoter {
    node: Arc<dyn PeerHandler>,
    wrong: Wrong,
    /// The latest that somebody asked for.
    asked: Mutex<Option<pb::Vote>>,
}

impl BadVoter {
    pub(crate) fn new(node: Arc<dyn PeerHandler>, wrong: Wrong) -> Self {
        Self { node, wrong, asked: Mutex::default() }
    }

    fn note(&self, vote: Option<pb::Vote>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if term(vote) > term(*asked) {
            *asked = vote;
        }
    }

    /// What a leader of a term must give way to.
    fn later_than(&self, leader: Option<pb::Vote>) -> Option<pb::Vote> {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.filter(|_| term(asked) > term(leader))
    }
}

fn term(vote: Option<pb::Vote>) -> u64 {
    vote.map_or(0, |vote| vote.term)
}

fn silent() -> Handled<pb::VoteReply> {
    let why = "it gives no votes".to_owned();
    ready(Err(PeerFault::NoAnswer { why })).boxed()
}

impl PeerHandler for BadVoter {
    fn vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply> {
        match self.wrong {
            Wrong::Silent => silent(),
            // As if the leader itself had asked for the election.
            Wrong::Disloyal => {
                self.note(request.vote);
                self.node.vote(call, pb::VoteRequest { leadership_transfer: true, ..request })
            }
        }
    }

    fn pre_vote(&self, call: pb::Call, request: pb::VoteRequest) -> Handled<pb::VoteReply> {
        match self.wrong {
            Wrong::Silent => silent(),
            Wrong::Disloyal => {
                let answer = self.node.pre_vote(call, request);
                async { answer.await.map(|reply| pb::VoteReply { granted: true, ..reply }) }.boxed()
            }
        }
    }

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
        match self.later_than(request.vote) {
            Some(vote) => {
                let outcome = Some(pb::append_reply::Outcome::HigherVote(vote));
                ready(Ok(pb::AppendReply { outcome, reached: 0 })).boxed()
            }
            None => self.node.append(call, request),
        }
    }

    fn stream_append(
        &self,
        call: pb::Call,
        requests: Messages<pb::AppendRequest>,
    ) -> Handled<Replies<pb::AppendReply>> {
        self.node.stream_append(call, requests)
    }

    fn install_snapshot(
        &self,
        call: pb::Call,
        chunks: Replies<pb::SnapshotChunk>,
    ) -> Handled<pb::SnapshotReply> {
        self.node.install_snapshot(call, chunks)
    }

    fn transfer_leader(
        &self,
        call: pb::Call,
        request: pb::TransferLeaderRequest,
    ) -> Handled<pb::TransferLeaderReply> {
        self.node.transfer_leader(call, request)
    }

    fn forward(&self, call: pb::Call, request: pb::ForwardRequest) -> Handled<pb::ForwardReply> {
        self.node.forward(call, request)
    }

    fn read_index(
        &self,
        call: pb::Call,
        request: pb::ReadIndexRequest,
    ) -> Handled<pb::ReadIndexReply> {
        self.node.read_index(call, request)
    }
}
