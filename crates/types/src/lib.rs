//! The words that client and server share.
//!
//! Every domain word is a type with one door: a constructor that checks the bounds and says, when it
//! refuses, which field it was, what came and what is allowed. Past that door nothing is "maybe
//! valid". Reading order: [`BadField`], the names, the numbers, then [`Refusal`] and [`Fault`]: a refusal is an answer, a fault is not knowing.
//!
//! Deliberately absent: clocks, wire formats, serde. `no_std`, so that the state machine can use it.
#![no_std]

extern crate alloc;

mod bad_field;
mod claim;
mod fault;
mod names;
mod numbers;
mod other_refusals;
mod refusal;

pub use bad_field::BadField;
pub use claim::{Acquire, ClaimAnswer, Event, EventKind, Renew, Standing};
pub use fault::Fault;
pub use names::{HOLDER_BYTES_MAX, Holder, RESOURCE_NAME_BYTES_MAX, RequestId, ResourceName};
pub use numbers::{FencingToken, LeaseTime, LeaseTtl, Revision, WaitLimit};
pub use other_refusals::{StoreRefusal, WatchRefusal};
pub use refusal::{EndReason, HeldBy, Refusal};
