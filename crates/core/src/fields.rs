//! The shared words as bytes, each way side by side.

use leasehold_types::{
    EndReason, FencingToken, Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, Revision,
    WaitLimit,
};

use crate::codec::{DecodeError, Reader, Writer, bad};

/// A word that has bytes.
pub(crate) trait Field: Sized {
    /// The fewest bytes it can have, against lists that claim to be longer than the input.
    const BYTES_MIN: usize = 1;
    fn write(&self, writer: &mut Writer);
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

impl Field for ResourceName {
    const BYTES_MIN: usize = 2;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.text("resource")?).map_err(|why| bad("resource", why.got))
    }
}

impl Field for Holder {
    fn write(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.text("holder")?).map_err(|why| bad("holder", why.got))
    }
}

impl Field for RequestId {
    const BYTES_MIN: usize = 16;

    fn write(&self, writer: &mut Writer) {
        writer.bytes(self.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes("request id", 16)?;
        Self::from_slice(bytes).map_err(|why| bad("request id", why.got))
    }
}

impl Field for FencingToken {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.get());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.number("token")?).ok_or_else(|| bad("token", 0))
    }
}

impl Field for Revision {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.number("revision").map(Self)
    }
}

impl Field for LeaseTime {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.number("lease time").map(Self)
    }
}

impl Field for LeaseTtl {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.as_ms());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_ms(reader.number("ttl")?).map_err(|why| bad("ttl", why.got))
    }
}

impl Field for WaitLimit {
    fn write(&self, writer: &mut Writer) {
        writer.number(self.as_ms());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_ms(reader.number("wait")?).map_err(|why| bad("wait", why.got))
    }
}

/// Since format 1: append, never renumber.
impl Field for EndReason {
    fn write(&self, writer: &mut Writer) {
        writer.byte(match self {
            Self::Released => 1,
            Self::Cancelled => 2,
            Self::Expired => 3,
            Self::WaitOver => 4,
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.byte("end reason")? {
            1 => Self::Released,
            2 => Self::Cancelled,
            3 => Self::Expired,
            4 => Self::WaitOver,
            other => return Err(bad("end reason", other)),
        })
    }
}

impl Writer {
    pub(crate) fn field(&mut self, field: &impl Field) {
        field.write(self);
    }

    pub(crate) fn fields<F: Field>(&mut self, fields: &[F]) {
        self.list(fields.iter(), |writer, field| field.write(writer));
    }
}

impl Reader<'_> {
    pub(crate) fn field<F: Field>(&mut self) -> Result<F, DecodeError> {
        F::read(self)
    }

    pub(crate) fn fields<F: Field>(
        &mut self,
        what: &'static str,
    ) -> Result<alloc::vec::Vec<F>, DecodeError> {
        self.list(what, F::BYTES_MIN, F::read)
    }
}
