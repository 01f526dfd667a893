//! The client library: leases that always know whether they may still act.
//!
//! ```no_run
//! use std::time::Duration;
//! use leasehold_client::{Client, ClientConfig, StoreClient};
//!
//! # async fn nightly() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(ClientConfig {
//!     endpoints: vec!["10.0.0.1:7100".into(), "10.0.0.2:7100".into(), "10.0.0.3:7100".into()],
//!     ..ClientConfig::default()
//! })?;
//! let store = StoreClient::new("10.0.0.9:7200")?;
//!
//! let lease = client
//!     .acquire("jobs/nightly")
//!     .ttl(Duration::from_secs(30))
//!     .wait(Duration::from_secs(60))
//!     .await?;
//! let fenced = store.fenced(&lease);
//! fenced.put("status", "running").await?;
//! lease.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised, and by whom
//!
//! While [`LeaseGuard::check`] says yes, the cluster has granted the resource to nobody else, unless
//! somebody released it by its token or by force, and as long as the *rates* of two machines' clocks
//! differ by no more than 0.1 % each. Nothing depends on the time of day. The guard counts from before
//! each renewal was sent, on the clock that counts the most, suspended time included.
//!
//! That is a promise about the moment of the check. A process can be stopped between the check and
//! its effect: by the kernel, a debugger, a page fault, a frozen virtual machine, whose clocks may
//! stand still as well. When it goes on it writes, late, and no library in that process can know. So
//! the other half is the storage's: it compares the **fencing token** that comes with each write and
//! refuses one that is smaller than a token it has seen. [`StoreClient::fenced`] is that half, ready
//! made; for a storage of your own, send [`LeaseGuard::token`] with every write and compare there.
//!
//! # Three states
//!
//! [`LeaseState::Held`]: proven, and renewals are answered. [`LeaseState::Uncertain`]: still proven, but
//! a renewal is unanswered: finish what is begun, begin nothing. [`LeaseState::Lost`]: over for good,
//! with the reason. A lease is renewed every third of its ttl, so a cluster may be without a leader
//! for most of two thirds of it before anything is lost.
//!
//! ```no_run
//! # async fn work(lease: &leasehold_client::LeaseGuard) -> Result<(), leasehold_client::LostReason> {
//! # async fn next_step() {}
//! loop {
//!     lease.check()?;
//!     tokio::select! {
//!         () = next_step() => {}
//!         reason = lease.lost() => return Err(reason),
//!     }
//! }
//! # }
//! ```
//!
//! # Not knowing
//!
//! A timeout means "unknown", never "no". Every request can be repeated without harm, and is: claims
//! carry an id of their own, writes a sequence, releases a token. When the time allowed is over, what
//! comes back is a [`Fault`](types::Fault), which is another type than a [`Refusal`](types::Refusal): the
//! second is a definite answer, also of everything that was tried before.
//!
//! # Dropping
//!
//! Every future here can be dropped at any point. Dropping an acquire cancels its claim, dropping a
//! guard releases its lease, both in the background; a write that was dropped is applied or not, but
//! never after a later one.
//!
//! # Clocks
//!
//! On Linux three clocks are read, and a machine that slept knows it at the first check. Elsewhere the
//! library uses `std::time::Instant`, the best there is without `unsafe`: on Windows it counts suspended
//! time, on macOS it does not, so there a laptop that sleeps is protected by the storage alone.
//!
//! # How it is made
//!
//! The thinking is pure and can be driven by a simulator: [`proven_until`] and [`Validity`] say what an
//! answer proves, [`claim`] is one claim's life, [`claims`] all of a client's with their attempts,
//! [`timeouts`] how long to wait. Around them one task owns the claims and one stream to the cluster.
//!
//! Deliberately absent: leases shared between processes, re-entrant locks, callbacks on the runtime's
//! threads, and any way to make a guard from a token.

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
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
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
pub use leasehold_net::{Connector, TcpConnector};
pub use random::{Random, SystemRandom};
pub use store::{Entry, Got, Mark, Mutation, StoreClient, StoreConfig, StoreStatus, Written};
pub use unary::{Cancelled, Listing, NodeStatus, Released, ResourceStatus};
pub use validity::{LeaseState, LostReason, Moment, Validity, proven_until};
pub use watch::{Watch, WatchEvent, WatchEventKind};

/// The words that client, cluster and store share.
pub use leasehold_types as types;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
