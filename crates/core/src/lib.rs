//! The lease state machine: pure, deterministic, no clock, no IO.
#![no_std]
extern crate alloc;
mod command;
pub use command::*;
