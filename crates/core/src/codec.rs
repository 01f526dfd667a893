//! Bytes.

use alloc::borrow::Cow;
use alloc::string::String;

/// Bytes that no encoder of this crate wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("the bytes end within {what}")]
    Truncated {
        /// The value that was being read.
        what: &'static str,
    },
    /// The bytes go on after the last value.
    #[error("{bytes} bytes are left over")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The bytes are another document, or of a format this program does not know.
    #[error("expected {expected}, found document {kind} of format {format}")]
    OtherDocument {
        /// What was expected.
        expected: &'static str,
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
        got: Cow<'static, str>,
    },
    /// A snapshot that contradicts itself.
    #[error("the snapshot breaks: {names}")]
    BrokenInvariants {
        /// The invariants, by name.
        names: String,
    },
}
