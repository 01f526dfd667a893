//! Bytes of our own: what lies in logs and snapshots for years is written down here field by field,
//! never derived from how a type happens to look today.
//!
//! Every document starts with two bytes, its kind and its format. Numbers are LEB128, texts and lists
//! carry their length in front. Reading is strict: each value has exactly one encoding, so whatever is
//! accepted encodes to the same bytes again; a length is believed only as far as there are bytes; and
//! nothing may be left over. Input may be hostile. The checksum that tells damage from malice is the
//! caller's, who knows where the bytes lie.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes that no encoder of this crate wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a value.
    #[error("the bytes end within {what}")]
    Truncated {
        /// The value that was being read.
        what: &'static str,
    },
    /// The bytes go on behind the last value.
    #[error("{bytes} bytes are left over")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Another document, or a format that this program does not know.
    #[error("expected {expected}, found document {kind} in format {format}")]
    OtherDocument {
        /// What was expected.
        expected: Document,
        /// The kind found.
        kind: u8,
        /// The format found.
        format: u8,
    },
    /// A value that its field does not allow.
    #[error("{what} is {got}")]
    BadValue {
        /// The value that was being read.
        what: &'static str,
        /// What came.
        got: String,
    },
    /// A snapshot that contradicts itself.
    #[error("the snapshot breaks \"{name}\"")]
    BrokenInvariant {
        /// The invariant's name.
        name: &'static str,
    },
}

/// The kinds of documents. Since format 1: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// A log entry.
    Batch = 1,
    /// Commands on their way to the leader.
    Commands = 2,
    /// Outcomes on their way back.
    Outcomes = 3,
    /// The whole state.
    Snapshot = 4,
}

impl Document {
    /// The format that is written, and the only one that is read.
    pub(crate) const fn format(self) -> u8 {
        match self {
            Self::Batch | Self::Commands | Self::Outcomes => 1,
            Self::Snapshot => 2,
        }
    }
}

impl core::fmt::Display for Document {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = match self {
            Self::Batch => "a batch",
            Self::Commands => "commands",
            Self::Outcomes => "outcomes",
            Self::Snapshot => "a snapshot",
        };
        write!(f, "{name} (document {} in format {})", *self as u8, self.format())
    }
}

/// Writes one document.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(document: Document) -> Self {
        Self(Vec::from([document as u8, document.format()]))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// A list: how many, then each.
    pub(crate) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }
}

/// Reads one document.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(document: Document, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Self { rest: bytes };
        let (kind, format) = (reader.byte("the document's kind")?, reader.byte("its format")?);
        if (kind, format) != (document as u8, document.format()) {
            return Err(DecodeError::OtherDocument { expected: document, kind, format });
        }
        Ok(reader)
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.bytes(what, 1)?[0])
    }

    pub(crate) fn bytes(
        &mut self,
        what: &'static str,
        length: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) =
            self.rest.split_at_checked(length).ok_or(DecodeError::Truncated { what })?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(bad(what, "not the shortest encoding of a 64-bit number"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(bad(what, "longer than a 64-bit number"))
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let length = self.length(what, 1)?;
        let bytes = self.bytes(what, length)?;
        core::str::from_utf8(bytes).map_err(|_| bad(what, "not UTF-8"))
    }

    /// A list of items of at least `item_bytes` each.
    pub(crate) fn list<T>(
        &mut self,
        what: &'static str,
        item_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let length = self.length(what, item_bytes)?;
        (0..length).map(|_| read(self)).collect()
    }

    /// How many items follow: no more than there are bytes for.
    pub(crate) fn length(
        &mut self,
        what: &'static str,
        item_bytes: usize,
    ) -> Result<usize, DecodeError> {
        let length = self.number(what)?;
        let most = self.rest.len() / item_bytes;
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= most)
            .ok_or(DecodeError::Truncated { what })
    }
}

/// A value that its field does not allow.
pub(crate) fn bad(what: &'static str, got: impl core::fmt::Display) -> DecodeError {
    DecodeError::BadValue { what, got: format!("{got}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<u64, DecodeError> {
        let mut reader = Reader { rest: bytes };
        let number = reader.number("n")?;
        reader.finish().map(|()| number)
    }

    #[test]
    fn a_number_has_one_encoding_only() {
        for overlong in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[0x80; 11]] {
            assert!(matches!(read(overlong), Err(DecodeError::BadValue { .. })), "{overlong:?}");
        }
        let mut largest = [0xff; 10];
        largest[9] = 1;
        assert_eq!(read(&largest), Ok(u64::MAX));
    }

    #[test]
    fn a_length_is_believed_only_as_far_as_there_are_bytes() {
        let mut reader = Reader { rest: &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3] };
        assert_eq!(reader.length("list", 1), Err(DecodeError::Truncated { what: "list" }));
        let three_of_two_bytes = &[3, 1, 2, 3, 4, 5];
        let mut reader = Reader { rest: three_of_two_bytes };
        assert_eq!(reader.length("list", 2), Err(DecodeError::Truncated { what: "list" }));
    }

    proptest! {
        #[test]
        fn numbers_survive_a_round_trip(number: u64, shift in 0_u32..64) {
            let mut writer = Writer(Vec::new());
            writer.number(number >> shift);
            prop_assert_eq!(read(&writer.finish()), Ok(number >> shift));
        }

        #[test]
        fn what_is_read_as_a_number_is_written_as_the_same_bytes(bytes: Vec<u8>) {
            if let Ok(number) = read(&bytes) {
                let mut writer = Writer(Vec::new());
                writer.number(number);
                prop_assert_eq!(writer.finish(), bytes);
            }
        }
    }
}
