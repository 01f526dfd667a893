//! Scripted stories: what happens, told in one line per answer and event.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod leases;
mod reading;
mod request_ids;
mod waiting;
