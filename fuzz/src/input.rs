//! How the targets take their input apart.

use std::iter;

use arbitrary::{Arbitrary, Unstructured};

/// A value made of bytes; `None` when they are too few.
pub(crate) fn value<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(bytes)).ok()
}

/// Pieces with their length in front, two bytes, little endian; the last one may be cut short.
pub(crate) fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
        let (piece, rest) = rest.split_at(len);
        bytes = rest;
        Some(piece)
    })
}

/// Whether a text is one that names, holders and keys may be, within these lengths.
pub(crate) fn is_text(text: &str, least: usize, most: usize) -> bool {
    let control = |c: char| matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f);
    text.len() >= least && text.len() <= most && !text.chars().any(control)
}
