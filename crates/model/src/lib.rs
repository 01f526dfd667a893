//! An explicit-state model check of the protocol: every interleaving of a small world.
//!
//! The world has one resource, two or three clients, a leader and a deposed one that does not know it, a
//! replicated log, links that lose, delay, reorder and repeat, clocks at different rates, and a fenced
//! store. What decides in it is the real code: [`leasehold_core::LeaseState::apply`] through its own
//! snapshots, [`leasehold_fence::Mark`], and the client's [`leasehold_client::proven_until`]. What is
//! modelled is what stands around them: who may stamp, what is committed, what is under way, when a
//! client repeats, renews, gives up or sleeps. Time goes in steps of a second; between two steps anything
//! may happen in any order.
//!
//! Reading order: `config` (what is in a world), `world` (a state), `action` and `step` (what can happen),
//! `leader`, `client`, `store`, `tick` (how), `properties` (what must be true), `ghost` and `judge` (who
//! watches), `key` (which states are the same, and why that is sound), `protocol` and `mutant` (the
//! changed protocols), `configurations` and `trials` (what is run). `docs/model.md` has the results.
//!
//! # Why the search is finite, and why that is sound
//!
//! Nothing in a state is counted from the beginning. Lease times are relative to lease time now, ages of
//! messages are kept only while they limit what an answer proves, a leader's lead over lease time only
//! while it decides something, remembered ids only while somebody could still name them, tokens by rank.
//! Each of these forgets a difference that no rule reads: two states with one key have the same steps to
//! states with the same keys. A test takes states that share a key and compares their successors. So a
//! search without a time horizon ends, and what it has not seen cannot happen within the budgets of its
//! configuration: claims per client, elections, crashes, copies.
//!
//! The search is Stateright's, breadth first: a counter-example is a shortest one. It remembers a state
//! by a 64-bit hash of its key; at ten million states the chance that any two collide, so that one of
//! them is missed, is about three in a million.
//!
//! # What a `sometimes` shows
//!
//! A search that never saw a lease expire says nothing about expiry. So every step notes what happened,
//! and a check fails if something that must be possible never did. What happened is no part of a state.
//!
//! Deliberately absent: Raft (the log is atomic or loses its tail, which is all that Raft promises), bytes
//! on disks, membership, restored backups, more than one resource. The cluster simulator and the tests
//! with real processes have those.

mod action;
#[cfg(test)]
mod bisimulation;
mod client;
mod config;
mod configurations;
mod facts;
mod ghost;
mod happening;
mod heal;
mod judge;
mod key;
mod leader;
mod lease;
mod model;
mod mutant;
mod properties;
mod protocol;
mod run;
mod step;
mod store;
mod story;
mod tick;
mod trials;
mod trust;
mod world;

pub use action::Action;
pub use config::{Config, GrantAnswer, Log, Rates, StoreConfig, TICK_MS, Wait};
pub use configurations::{configurations, small_configurations};
pub use happening::{Happening, Happenings};
pub use key::Keyed;
pub use model::ProtocolModel;
pub use mutant::Mutant;
pub use run::{Found, Limits, Story, search, search_for};
pub use trials::{Trial, trials};
pub use world::World;
