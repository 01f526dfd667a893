//! Replication: the only crate that names the consensus library.
//!
//! A [`Node`] is one member of a cluster. What is proposed to it goes through the log and comes back
//! as an outcome; what is asked of it is read from the state machine's owner, linearizably behind a
//! [`Node::barrier`].

pub mod grpc;
pub mod transport;

mod barrier;
mod chain;
mod change;
mod config;
mod execution;
mod lease_clock;
mod log;
mod node;
mod observer;
mod peers;
mod progress;
mod proposal;
mod proposer;
mod snapshot;
mod standing;
mod start;
mod state_machine;
mod status;
mod timing;
mod type_config;
mod wire;

pub use change::{AppliedBatch, Change};
pub use config::{Limits, Member, NodeConfig, SnapshotPolicy};
pub use execution::Execution;
pub use leasehold_api::pb::peer::v1 as pb;
pub use node::{Node, TokioNode};
pub use openraft_rt::AsyncRuntime;
pub use openraft_rt_tokio::TokioRuntime;
pub use proposal::Proposal;
pub use start::StartError;
pub use status::{NodeFailure, NodeStatus, Role};
pub use timing::{TURN_ADDS_AT_MOST, TURN_MAX, Timing};
