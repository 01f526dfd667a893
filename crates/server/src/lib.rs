//! The lease daemon, as a library: [`Config::load`], then [`serve()`].
//!
//! The node (`leasehold-raft`) turns commands into outcomes; what is here stands between it and its
//! clients. Reading order: [`config`](Config) is what a node is told; `serve` is its life from the
//! ports to the drain; `services` has one file for each group of calls; `hub` tells watches, waiting
//! calls and sessions what happened; `waiting` keeps the claims of waiting unary calls alive.
//!
//! State has owners: the node its replicated state, the hub's task the late events and who follows
//! what, the waiting room's task the schedule of renewals, a session's task its stream. The services
//! themselves hold only handles. Everything is bounded, and what is above a bound is answered at once.
//!
//! Deliberately absent: decisions about leases (the state machine's), batches and stamps (the node's),
//! the meaning of statuses (`leasehold-api`'s), signals, logging set-up and the runtime (the caller's).

mod config;
mod error;
mod hub;
mod leadership;
mod machine;
mod port;
mod quota;
mod serve;
mod services;
mod start;
mod stopping;
mod waiting;

pub use config::{Config, ConfigError, LimitsSection, LogFormat, LogSection, TimingSection};
pub use error::ServeError;
pub use machine::Machine;
pub use serve::{Listeners, serve, serve_on, serve_with};
