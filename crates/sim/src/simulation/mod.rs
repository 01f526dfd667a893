//! A whole cluster with its clients and a store, in one thread, on virtual time, from one seed.
//!
//! The nodes, the record stream, the client's claims and the fence are the real ones; clocks, disks,
//! network and processes are simulated, and go wrong. Reading order: `plan` (from a seed to a world),
//! `world` (who is in it), `faults` (what goes wrong), `seen` (what can be seen to happen), `oracles`
//! (what must be true of it), `healing` (what must come true afterwards).
//!
//! Why it repeats: one thread; virtual time; every consumer of chance has a stream of its own, named
//! after its purpose; nothing is iterated in an order that a machine decides.
//!
//! Deliberately absent: gRPC, TLS, threads, and the machine's file system: real processes are for
//! those.

mod application;
mod bad_voter;
pub(crate) mod clocks;
mod faults;
pub(crate) mod fingerprint;
mod healing;
mod log_on_disk;
mod lying_disk;
mod machine;
pub(crate) mod network;
pub(crate) mod old_copy;
mod oracles;
pub(crate) mod panics;
mod plan;
pub(crate) mod process;
pub(crate) mod random;
mod report;
mod run;
mod running;
mod scale;
mod seen;
mod serving;
mod session;
mod store;
mod story;
pub(crate) mod transport;
mod world;

pub use oracles::Violation;
pub use plan::{FaultClass, Plant};
pub use report::Figures;
pub use run::{Ended, Options, blame, run};
pub use scale::{Cell, Measured, measure};
