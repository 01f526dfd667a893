//! The lease state machine: pure, deterministic, no clock, no IO.
#![no_std]

extern crate alloc;

mod batch;
mod codec;
mod command;
mod settings;
mod state;
mod view;

pub use batch::{Batch, decode_commands, decode_outcomes, encode_commands, encode_outcomes};
pub use codec::DecodeError;
pub use command::*;
pub use settings::Settings;
pub use state::{FrozenState, LeaseState};
pub use view::ResourceView;
