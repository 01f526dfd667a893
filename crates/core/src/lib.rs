//! The lease state machine: commands and a stamp in, outcomes and events out.
//!
//! [`LeaseState::apply`] takes one log entry, a [`Batch`]: a stamp of lease time and many
//! [`Command`]s. It has no clock, no IO, no randomness, no logging, no settings of its own and
//! iterates over nothing unordered; `no_std` makes most of that a compile error. So one log prefix
//! gives the same state, and the same snapshot bytes, on every node. Time is an argument: what is
//! due ends when an entry says so, and [`LeaseState::next_deadline`] is how the state asks for one.
//! Why that is safe is in `docs/lease-time.md`.
//!
//! Reading order: `command` (the whole vocabulary), `state` (what an entry does, in which order),
//! `commands` (what each command does), `claims` with `slab` and `queue` (where claims live),
//! `memory` (ids that must not be granted again), `snapshot`, `batch` and `outcomes` (their bytes),
//! `invariants` (what must hold, by name).
//!
//! What it costs: a claim is held once, in a slab, and found through ordered indexes of small
//! integers. Acquire and release together take about a microsecond among a thousand claims and
//! several among a million, most of it cache misses; [`LeaseState::freeze`] takes hold of a million
//! for a snapshot in a few milliseconds, without copying them.
//!
//! Deliberately absent: anything that waits, retries or decides when to propose; idle resources,
//! which have no state at all; and serde, since what lies on disks for years is written down field
//! by field.
#![no_std]

extern crate alloc;

mod batch;
mod claim;
mod claims;
mod codec;
mod command;
mod commands;
mod deadlines;
mod fields;
mod index;
mod invariants;
mod memory;
mod names;
mod outcomes;
mod queue;
mod reopen;
mod settings;
mod slab;
mod snapshot;
mod state;
mod view;

pub use batch::{Batch, decode_commands, encode_commands};
pub use codec::{DecodeError, Document};
pub use command::*;
pub use outcomes::{decode_outcomes, encode_outcomes};
pub use settings::Settings;
pub use snapshot::FrozenState;
pub use state::LeaseState;
pub use view::ResourceView;
