//! What must be true of any bytes, whoever sent them: a peer, a client, a disk, a person.
//!
//! One module is one target. Each has one function, `check`, which takes any bytes, and panics where
//! something does not hold that should; `targets/` wraps it for the fuzzer, `tests/replay.rs` for
//! `cargo test`. "It does not panic" is the least of what is checked: wherever there is one, the target
//! compares with a naive model, or writes back what it read, or reads twice.
//!
//! Most targets take inputs of two kinds, told apart by their first byte: bytes as they were recorded
//! from a real run, so that the fuzzer starts from what happens, and values made by `arbitrary`, so that
//! it gets past checksums and lengths.
//!
//! Deliberately absent: sockets, threads, clocks, the machine's disk.

mod input;

pub mod apply;
pub mod arguments;
pub mod claims;
pub mod config;
pub mod core_codec;
pub mod disk_records;
pub mod durations;
pub mod history;
pub mod lease_requests;
pub mod log_records;
pub mod names;
pub mod peer_messages;
pub mod session;
pub mod snapshots;
pub mod store_engine;
pub mod store_requests;
pub mod stream_recovery;
pub mod whole_files;

/// A target: its name, and what must hold for any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 18] = [
    ("apply", apply::check),
    ("arguments", arguments::check),
    ("claims", claims::check),
    ("config", config::check),
    ("core_codec", core_codec::check),
    ("disk_records", disk_records::check),
    ("durations", durations::check),
    ("history", history::check),
    ("lease_requests", lease_requests::check),
    ("log_records", log_records::check),
    ("names", names::check),
    ("peer_messages", peer_messages::check),
    ("session", session::check),
    ("snapshots", snapshots::check),
    ("store_engine", store_engine::check),
    ("store_requests", store_requests::check),
    ("stream_recovery", stream_recovery::check),
    ("whole_files", whole_files::check),
];
