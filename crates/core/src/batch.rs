//! A log entry, and commands on their way to the leader, as bytes.

use alloc::vec::Vec;

use leasehold_types::LeaseTime;

use crate::codec::{DecodeError, Document, Reader, Writer, bad};
use crate::fields::Field;
use crate::{Acquire, Command, Renew};

/// One log entry: one stamp, many commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The leader's stamp, made after the last command had arrived.
    pub at: LeaseTime,
    /// The commands, in the order in which they arrived.
    pub commands: Vec<Command>,
}

impl Batch {
    /// The bytes of the log entry.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(Document::Batch);
        writer.field(&self.at);
        writer.fields(&self.commands);
        writer.finish()
    }

    /// Reads a log entry.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but what [`Self::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Document::Batch, bytes)?;
        let batch = Self { at: reader.field()?, commands: reader.fields("commands")? };
        reader.finish().map(|()| batch)
    }
}

/// Commands without a stamp, on their way to the leader: stamps never travel, requests do.
pub fn encode_commands(commands: &[Command]) -> Vec<u8> {
    let mut writer = Writer::new(Document::Commands);
    writer.fields(commands);
    writer.finish()
}

/// Reads commands on their way to the leader.
///
/// # Errors
/// [`DecodeError`] for anything but what [`encode_commands`] writes.
pub fn decode_commands(bytes: &[u8]) -> Result<Vec<Command>, DecodeError> {
    let mut reader = Reader::new(Document::Commands, bytes)?;
    let commands = reader.fields("commands")?;
    reader.finish().map(|()| commands)
}

/// Kinds of commands. Since format 1: append, never renumber.
mod kind {
    pub(super) const ACQUIRE: u8 = 1;
    pub(super) const RENEW: u8 = 2;
    pub(super) const RELEASE: u8 = 3;
    pub(super) const CANCEL: u8 = 4;
    pub(super) const PULSE: u8 = 5;
}

impl Field for Command {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Acquire(acquire) => {
                writer.byte(kind::ACQUIRE);
                writer.field(acquire);
            }
            Self::Renew(Renew { tokens, requests }) => {
                writer.byte(kind::RENEW);
                writer.fields(tokens);
                writer.fields(requests);
            }
            Self::Release { resource, token } => {
                writer.byte(kind::RELEASE);
                writer.field(resource);
                writer.field(token);
            }
            Self::Cancel { request } => {
                writer.byte(kind::CANCEL);
                writer.field(request);
            }
            Self::Pulse => writer.byte(kind::PULSE),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.byte("command")? {
            kind::ACQUIRE => Self::Acquire(reader.field()?),
            kind::RENEW => Self::Renew(Renew {
                tokens: reader.fields("tokens")?,
                requests: reader.fields("request ids")?,
            }),
            kind::RELEASE => Self::Release { resource: reader.field()?, token: reader.field()? },
            kind::CANCEL => Self::Cancel { request: reader.field()? },
            kind::PULSE => Self::Pulse,
            other => return Err(bad("command", other)),
        })
    }
}

impl Field for Acquire {
    fn write(&self, writer: &mut Writer) {
        let Self { resource, holder, request, ttl, wait } = self;
        writer.field(resource);
        writer.field(holder);
        writer.field(request);
        writer.field(ttl);
        writer.field(wait);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resource: reader.field()?,
            holder: reader.field()?,
            request: reader.field()?,
            ttl: reader.field()?,
            wait: reader.field()?,
        })
    }
}
