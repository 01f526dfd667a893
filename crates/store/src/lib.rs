//! The fenced store: storage that refuses stale fencing tokens.
//!
//! It asks the lease cluster nothing. For each resource it remembers, durably, the mark: the highest
//! (token, sequence) it has seen, and lets nothing older by ([`leasehold_fence`]). So it is right
//! even when the cluster is wrong, slow or gone.
//!
//! From the outside in:
//!
//! * [`serve`] runs the daemon a [`Config`] describes; [`verify`] checks a stopped one's database.
//! * `service` and `write_stream` are the gRPC side: wire in, checked requests on, answers out.
//! * [`Engine`] is the store without a network: bounded lanes in front of the writer, bounded reads
//!   beside it.
//! * `writer` is the one thread that owns the open database, and makes one durable commit of
//!   whatever is queued.
//! * `storage` commits a group of requests; `group` is the one place that judges and changes
//!   anything; `check` decides about a write's mutations before the first of them is applied.
//! * `tables`, `answer`, `witness` are what is on the disk; `open`, `setup` and `contents` check it.
//!
//! Invariants kept here: F1, a mark never decreases; F2, stored bytes carry the token they were
//! written under. Deliberately absent: replication (one store is one disk; lease and fence make its
//! restart harmless), expiry, and any clock.

mod answer;
mod check;
mod config;
mod contents;
mod directory;
mod engine;
mod execution;
mod fault;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod group;
mod lane;
mod latch;
mod open;
mod open_error;
mod serve;
mod service;
mod setup;
mod snapshot;
mod storage;
mod tables;
#[cfg(test)]
mod tests;
mod verify;
mod witness;
mod write_stream;
mod writer;

pub use config::{Config, ConfigError, LogConfig, LogFormat};
pub use engine::{Engine, Keeper, Read};
pub use execution::Execution;
pub use fault::StorageFault;
pub use group::Written;
pub use open_error::OpenError;
pub use serve::{ServeError, Server, serve, serve_on};
pub use snapshot::{Counters, Entry, Page};
pub use verify::{VerifyReport, verify};
