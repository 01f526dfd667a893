//! The lease state machine.
#![no_std]

extern crate alloc;

mod batch;
mod claim;
mod claims;
mod codec;
mod command;
mod commands;
mod fields;
mod invariants;
mod memory;
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
