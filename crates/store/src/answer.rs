//! The answer kept beside each mark, so that a repeated write is answered as the first time.
//!
//! A refusal that depends on the data (a version that did not match, a value that would grow too
//! long) is remembered like an acceptance: were the repeat judged anew, the same message could be
//! refused first and applied later, behind the back of a holder who was told no.
//!
//! The bytes are explicit and their first is never renumbered; numbers are little-endian.

use leasehold_types::StoreRefusal;

/// What the write that set the mark was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// Nothing to remember: the mark was set by a read, or by a write without a sequence.
    Nothing,
    /// Accepted.
    Written {
        /// The store's revision after the write.
        revision: u64,
    },
    /// Refused after the mark was raised.
    Refused(Remark),
}

/// The refusals that raise the mark all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// See [`StoreRefusal::VersionMismatch`].
    VersionMismatch { mutation: u64, key: String, expected_version: u64, actual_version: u64 },
    /// See [`StoreRefusal::ValueTooLarge`].
    ValueTooLarge { key: String, bytes: u64, limit: u64 },
}

impl From<Remark> for StoreRefusal {
    fn from(remark: Remark) -> Self {
        match remark {
            Remark::VersionMismatch { mutation, key, expected_version, actual_version } => {
                Self::VersionMismatch { mutation, key, expected_version, actual_version }
            }
            Remark::ValueTooLarge { key, bytes, limit } => {
                Self::ValueTooLarge { key, bytes, limit }
            }
        }
    }
}

const NOTHING: u8 = 0;
const WRITTEN: u8 = 1;
const VERSION_MISMATCH: u8 = 2;
const VALUE_TOO_LARGE: u8 = 3;

impl Remembered {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing => vec![NOTHING],
            Self::Written { revision } => encode(WRITTEN, &[*revision], ""),
            Self::Refused(Remark::VersionMismatch {
                mutation,
                key,
                expected_version,
                actual_version,
            }) => encode(VERSION_MISMATCH, &[*mutation, *expected_version, *actual_version], key),
            Self::Refused(Remark::ValueTooLarge { key, bytes, limit }) => {
                encode(VALUE_TOO_LARGE, &[*bytes, *limit], key)
            }
        }
    }

    /// `None` for bytes that [`Self::to_bytes`] does not make.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        match kind {
            NOTHING => rest.is_empty().then_some(Self::Nothing),
            WRITTEN => {
                let ([revision], rest) = numbers(rest)?;
                rest.is_empty().then_some(Self::Written { revision })
            }
            VERSION_MISMATCH => {
                let ([mutation, expected_version, actual_version], rest) = numbers(rest)?;
                let key = text(rest)?;
                let remark =
                    Remark::VersionMismatch { mutation, key, expected_version, actual_version };
                Some(Self::Refused(remark))
            }
            VALUE_TOO_LARGE => {
                let ([bytes, limit], rest) = numbers(rest)?;
                Some(Self::Refused(Remark::ValueTooLarge { key: text(rest)?, bytes, limit }))
            }
            _ => None,
        }
    }
}

fn encode(kind: u8, numbers: &[u64], text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 8 * numbers.len() + text.len());
    bytes.push(kind);
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn numbers<const N: usize>(mut bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        *number = u64::from_le_bytes(*head);
        bytes = rest;
    }
    Some((numbers, bytes))
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    fn golden() -> Vec<(Remembered, Vec<u8>)> {
        let mismatch = Remark::VersionMismatch {
            mutation: 2, key: "k".into(), expected_version: 7, actual_version: 0x0102,
        };
        let large = Remark::ValueTooLarge { key: "key".into(), bytes: 9, limit: 8 };
        vec![
            (Remembered::Nothing, vec![0]),
            (Remembered::Written { revision: 258 }, vec![1, 2, 1, 0, 0, 0, 0, 0, 0]),
            (Remembered::Refused(mismatch), vec![
                2, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, b'k',
            ]),
            (Remembered::Refused(large), vec![
                3, 9, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, b'k', b'e', b'y',
            ]),
        ]
    }

    #[test]
    fn the_bytes_of_format_1_stay_what_they_are() {
        for (answer, bytes) in golden() {
            assert_eq!(answer.to_bytes(), bytes, "{answer:?}");
            assert_eq!(Remembered::from_bytes(&bytes), Some(answer));
        }
    }

    #[test]
    fn bytes_that_no_answer_makes_are_refused() {
        assert_eq!(Remembered::from_bytes(&[]), None);
        for kind in VALUE_TOO_LARGE + 1..=u8::MAX {
            assert_eq!(Remembered::from_bytes(&[kind]), None, "{kind}");
        }
        for (answer, bytes) in golden() {
            let cut = &bytes[..bytes.len() - 1];
            assert_ne!(Remembered::from_bytes(cut), Some(answer), "cut short");
        }
        assert_eq!(Remembered::from_bytes(&[NOTHING, 0]), None, "too long");
        let mut not_utf8 = encode(VALUE_TOO_LARGE, &[1, 2], "");
        not_utf8.push(0xff);
        assert_eq!(Remembered::from_bytes(&not_utf8), None);
    }
}
