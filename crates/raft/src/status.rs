//! What a node knows about itself: hints, never a basis for decisions.

use leasehold_types::{FencingToken, LeaseTime, Revision};

use crate::Member;

/// What a node knows about itself and its cluster at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// This node.
    pub node_id: u64,
    /// What it does.
    pub role: Role,
    /// Who leads, as far as it knows. May be itself.
    pub leader: Option<Member>,
    /// The term it lives in.
    pub term: u64,
    /// Last index of its log.
    pub last_log_index: Option<u64>,
    /// Last index applied to its state.
    pub applied_index: Option<u64>,
    /// Last index covered by its snapshot.
    pub snapshot_index: Option<u64>,
    /// Revision of its state.
    pub revision: Revision,
    /// Lease time of its state.
    pub at: LeaseTime,
    /// Claims alive in its state, waiting and held.
    pub claims: u64,
    /// The last token issued in its state.
    pub last_token: Option<FencingToken>,
    /// On the leader: whether a majority answered within the last `election_max`. On a follower:
    /// whether it knows a leader.
    pub has_quorum: bool,
    /// Whether a request given to this node now has a way to the log: it leads and has noted the
    /// start of its leadership, or it knows who leads.
    pub serving: bool,
    /// The members as this node knows them, ascending by id.
    pub members: Vec<Member>,
    /// Why the node stopped for good, once it has.
    pub failed: Option<NodeFailure>,
}

/// What a node does in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Role {
    /// It knows of no cluster yet, or does not vote.
    #[default]
    Learner,
    /// It follows.
    Follower,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
    /// It was shut down or has failed.
    Stopped,
}

/// Why a node stopped for good. The process should exit and start anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeFailure {
    /// The disk failed, or what it holds is not what was written. Nothing more is written or answered.
    #[error("storage failed: {why}")]
    Storage {
        /// What the disk said.
        why: String,
    },
    /// The consensus task died of a bug.
    #[error("the consensus task died")]
    Panicked,
}
