//! The log of this node: in memory for reading, on disk for remembering.
//!
//! Votes, entries, truncations, purges and the committed position are records of *one* stream, in the
//! order in which they happened: a vote that overtook an entry would break the promise it makes.
//! Every entry that is not purged is also kept in memory, so that replication and `apply` never wait
//! for the disk. Reading order: [`memory`], [`record`], [`recover`], [`flusher`], [`store`].

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash_tests;
mod flusher;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz {
    pub(crate) use super::record::LogRecord;
    pub(crate) use super::recover::recover;
}
mod memory;
mod record;
mod recover;
mod store;

pub(crate) use recover::recover;
pub(crate) use store::{LogReader, LogStore, Sealer};
