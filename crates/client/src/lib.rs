//! The client library: leases that always know whether they may still act.

mod acquire;
pub mod attempts;
mod backoff;
mod belief;
mod caller;
mod channel;
pub mod claim;
pub mod claims;
mod client;
mod config;
mod connection;
mod endpoints;
mod errors;
mod fenced;
mod guard;
pub mod message;
mod random;
mod seats;
mod session;
mod store;
pub mod timeouts;
mod unary;
mod validity;
mod watch;
mod wire;

use claim::Change;

pub use acquire::AcquireBuilder;
pub use client::Client;
pub use config::ClientConfig;
pub use errors::{AcquireError, RequestError, StoreError, WatchError};
pub use fenced::FencedStore;
pub use guard::LeaseGuard;
pub use random::{Random, SystemRandom};
pub use store::{Entry, Got, Mark, Mutation, StoreClient, StoreConfig, StoreStatus, Written};
pub use unary::{Cancelled, Listing, NodeStatus, Released, ResourceStatus};
pub use validity::{LeaseState, LostReason, Moment, Validity, proven_until};
pub use watch::{Watch, WatchEvent, WatchEventKind};

/// The words that client, cluster and store share.
pub use leasehold_types as types;
