//! Outcomes on their way back from the leader, as bytes. They are never stored.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use leasehold_types::{HeldBy, Refusal};

use crate::codec::{DecodeError, Document, Reader, Writer, bad};
use crate::fields::Field;
use crate::{Answer, ClaimAnswer, Outcome, Standing};

/// Outcomes on their way back from the leader to the node that forwarded the commands.
pub fn encode_outcomes(outcomes: &[Outcome]) -> Vec<u8> {
    let mut writer = Writer::new(Document::Outcomes);
    writer.fields(outcomes);
    writer.finish()
}

/// Reads outcomes on their way back from the leader.
///
/// # Errors
/// [`DecodeError`] for anything but what [`encode_outcomes`] writes.
pub fn decode_outcomes(bytes: &[u8]) -> Result<Vec<Outcome>, DecodeError> {
    let mut reader = Reader::new(Document::Outcomes, bytes)?;
    let outcomes = reader.fields("outcomes")?;
    reader.finish().map(|()| outcomes)
}

impl Field for Outcome {
    const BYTES_MIN: usize = 3;

    fn write(&self, writer: &mut Writer) {
        let Self { revision, at, answer } = self;
        writer.field(revision);
        writer.field(at);
        writer.field(answer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { revision: reader.field()?, at: reader.field()?, answer: reader.field()? })
    }
}

/// Since format 1: append, never renumber.
impl Field for Answer {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Claim(claim) => {
                writer.byte(1);
                writer.field(claim);
            }
            Self::Renewed(items) => {
                writer.byte(2);
                writer.fields(items);
            }
            Self::Released { was_held } => writer.bytes(&[3, u8::from(*was_held)]),
            Self::Cancelled { ended: None } => writer.bytes(&[4, 0]),
            Self::Cancelled { ended: Some(None) } => writer.bytes(&[4, 1]),
            Self::Cancelled { ended: Some(Some(token)) } => {
                writer.bytes(&[4, 2]);
                writer.field(token);
            }
            Self::Pulsed => writer.byte(5),
            Self::Refused(refusal) => {
                writer.byte(6);
                writer.field(refusal);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.byte("answer")? {
            1 => Self::Claim(reader.field()?),
            2 => Self::Renewed(reader.fields("renewed items")?),
            3 => Self::Released { was_held: read_flag(reader, "was_held")? },
            4 => Self::Cancelled {
                ended: match reader.byte("what was cancelled")? {
                    0 => None,
                    1 => Some(None),
                    2 => Some(Some(reader.field()?)),
                    other => return Err(bad("what was cancelled", other)),
                },
            },
            5 => Self::Pulsed,
            6 => Self::Refused(reader.field()?),
            other => return Err(bad("answer", other)),
        })
    }
}

impl Field for Result<ClaimAnswer, Refusal> {
    fn write(&self, writer: &mut Writer) {
        writer.byte(u8::from(self.is_ok()));
        match self {
            Ok(claim) => writer.field(claim),
            Err(refusal) => writer.field(refusal),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match read_flag(reader, "renewed item")? {
            true => Ok(reader.field()?),
            false => Err(reader.field()?),
        })
    }
}

impl Field for ClaimAnswer {
    fn write(&self, writer: &mut Writer) {
        let Self { resource, holder, request, ttl, standing, valid_for_ms } = self;
        writer.field(resource);
        writer.field(holder);
        writer.field(request);
        writer.field(ttl);
        match standing {
            Standing::Waiting { place } => {
                writer.byte(1);
                writer.number(*place);
            }
            Standing::Held { token } => {
                writer.byte(2);
                writer.field(token);
            }
        }
        writer.number(*valid_for_ms);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            resource: reader.field()?,
            holder: reader.field()?,
            request: reader.field()?,
            ttl: reader.field()?,
            standing: match reader.byte("standing")? {
                1 => Standing::Waiting { place: reader.number("place")? },
                2 => Standing::Held { token: reader.field()? },
                other => return Err(bad("standing", other)),
            },
            valid_for_ms: reader.number("valid_for")?,
        })
    }
}

/// Since format 1: append, never renumber.
impl Field for Refusal {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Held { resource, by } => {
                writer.byte(1);
                writer.field(resource);
                writer.field(by);
            }
            Self::WaitOver => writer.byte(2),
            Self::Ended { why } => {
                writer.byte(3);
                writer.field(why);
            }
            Self::RequestReused { field } => {
                writer.byte(4);
                writer.text(field);
            }
            Self::NotHolder { token } => {
                writer.byte(5);
                writer.field(token);
            }
            Self::TokenNotFound { token } => {
                writer.byte(6);
                writer.field(token);
            }
            Self::WrongResource { token, asked, actual } => {
                writer.byte(7);
                writer.field(token);
                writer.field(asked);
                writer.field(actual);
            }
            Self::TooManyClaims { limit } => {
                writer.byte(8);
                writer.number(*limit);
            }
            Self::TooManyWaiters { resource, limit } => {
                writer.byte(9);
                writer.field(resource);
                writer.number(*limit);
            }
            Self::Embargo { remaining_ms } => {
                writer.byte(10);
                writer.number(*remaining_ms);
            }
            Self::Exhausted => writer.byte(11),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.byte("refusal")? {
            1 => Self::Held { resource: reader.field()?, by: reader.field()? },
            2 => Self::WaitOver,
            3 => Self::Ended { why: reader.field()? },
            4 => Self::RequestReused { field: reader.text("reused field")?.to_owned().into() },
            5 => Self::NotHolder { token: reader.field()? },
            6 => Self::TokenNotFound { token: reader.field()? },
            7 => Self::WrongResource {
                token: reader.field()?,
                asked: reader.field()?,
                actual: reader.field()?,
            },
            8 => Self::TooManyClaims { limit: reader.number("limit")? },
            9 => Self::TooManyWaiters { resource: reader.field()?, limit: reader.number("limit")? },
            10 => Self::Embargo { remaining_ms: reader.number("remaining_ms")? },
            11 => Self::Exhausted,
            other => return Err(bad("refusal", other)),
        })
    }
}

impl Field for HeldBy {
    fn write(&self, writer: &mut Writer) {
        let Self { holder, token, held_for_ms, ends_in_ms, queue_length } = self;
        writer.field(holder);
        writer.field(token);
        writer.number(*held_for_ms);
        writer.number(*ends_in_ms);
        writer.number(*queue_length);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            holder: reader.field()?,
            token: reader.field()?,
            held_for_ms: reader.number("held_for_ms")?,
            ends_in_ms: reader.number("ends_in_ms")?,
            queue_length: reader.number("queue_length")?,
        })
    }
}

fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    match reader.byte(what)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(bad(what, other)),
    }
}
