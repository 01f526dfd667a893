//! Replication: the only crate that names the consensus library.
//!
//! A [`Node`] is one member of a cluster. What is proposed to it goes through the log and comes back
//! as an outcome; what is asked of it is read from the state machine's owner, linearizably behind a
//! [`Node::barrier`]; what happens is told to whoever listens to [`Node::applied`].
//!
//! ```text
//! command -> queue -> batch, stamped -> log -> disk and peers -> apply -> outcome by position
//!           (proposer: one task)      (library)  (log, peers)  (state machine: one task)
//! ```
//!
//! Reading order: `lease_clock` (what a stamp is), `proposer` (from a command to a log entry),
//! `state_machine`, `log`, `roster`, `peers`, `barrier`, then `start` (how they are put together) and
//! `founder`.
//!
//! Must be true:
//! * **Stamps come from one place.** Only the node that is a leadership stamps for it, from the note it
//!   took when it applied that leadership's first entry; the entry is bound to the leadership.
//! * **Durable, then visible.** A vote, an append, a snapshot is acknowledged when it is on disk. A
//!   failed sync stops the node.
//! * **A node that forgot does not count.** Both sides of every call check who the other is.
//! * **Nothing is read on trust in time.** Election timers are for liveness only.
//! * **Everything runs on any runtime** ([`AsyncRuntime`]), so that a simulator can own time, threads
//!   and network; only [`grpc`] is tokio's.
//!
//! Deliberately absent: changes of members, reads by leader lease, retries of client commands (the
//! client's own request id makes those safe), and any decision about leases.

pub mod grpc;
pub mod transport;

mod barrier;
mod chain;
mod change;
mod config;
mod directory;
mod execution;
mod founder;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod lease_clock;
mod log;
mod node;
mod observer;
mod peers;
mod progress;
mod proposal;
mod proposer;
mod roster;
mod snapshot;
mod standing;
mod start;
mod state_machine;
mod status;
mod timing;
mod type_config;
mod watched;
mod wire;

pub use change::{AppliedBatch, Change};
pub use config::{Limits, Member, NodeConfig, SnapshotPolicy};
pub use execution::Execution;
pub use leasehold_api::pb::peer::v1 as pb;
pub use node::{Node, TokioNode};
pub use openraft_rt::AsyncRuntime;
pub use openraft_rt_tokio::TokioRuntime;
pub use proposal::{Outcomes, Proposal};
pub use start::StartError;
pub use status::{NodeFailure, NodeStatus, Role};
pub use timing::{TURN_ADDS_AT_MOST, TURN_MAX, Timing};
pub use watched::{Unchanging, Watched};
