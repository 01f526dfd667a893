//! A log entry and the messages between nodes, as bytes.

use alloc::vec::Vec;

use leasehold_types::LeaseTime;

use crate::{Command, DecodeError, Outcome};

/// One log entry: one stamp, many commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The leader's stamp.
    pub at: LeaseTime,
    /// The commands, in the order in which they arrived.
    pub commands: Vec<Command>,
}

impl Batch {
    /// The bytes of a log entry.
    pub fn encode(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads a log entry.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`Self::encode`] did not write.
    pub fn decode(_bytes: &[u8]) -> Result<Self, DecodeError> {
        unimplemented!()
    }
}

/// Commands without a stamp, on their way to the leader.
pub fn encode_commands(_commands: &[Command]) -> Vec<u8> {
    unimplemented!()
}

/// Reads what [`encode_commands`] wrote.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_commands(_bytes: &[u8]) -> Result<Vec<Command>, DecodeError> {
    unimplemented!()
}

/// Outcomes on their way back from the leader.
pub fn encode_outcomes(_outcomes: &[Outcome]) -> Vec<u8> {
    unimplemented!()
}

/// Reads what [`encode_outcomes`] wrote.
///
/// # Errors
/// [`DecodeError`] for anything else.
pub fn decode_outcomes(_bytes: &[u8]) -> Result<Vec<Outcome>, DecodeError> {
    unimplemented!()
}
