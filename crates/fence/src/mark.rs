//! The mark, and the one place that compares tokens.

use core::cmp::Ordering;
use core::fmt;

use leasehold_types::FencingToken;

use crate::Stale;

/// The highest (token, sequence) seen for one resource, or [`Mark::NONE`].
///
/// Ordered by token first, then by sequence; nothing seen is the smallest. Invariant F1: whatever is
/// admitted, the mark that follows is never smaller.
///
/// Stored as two integers, 0 and 0 for [`Mark::NONE`]: see [`Mark::to_parts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    token: Option<FencingToken>,
    sequence: u64,
}

/// What to do with a write that is not stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// New: apply it, and in the same transaction keep this mark and the answer.
    Accept(Mark),
    /// The very write that set the mark, again: give the answer kept with the mark, apply nothing.
    Repeat,
}

impl Mark {
    /// Nothing was seen yet. Everything is above it.
    pub const NONE: Self = Self { token: None, sequence: 0 };

    /// The mark that a write with this token and sequence sets.
    pub const fn new(token: FencingToken, sequence: u64) -> Self {
        Self { token: Some(token), sequence }
    }

    /// The highest token seen.
    pub const fn token(self) -> Option<FencingToken> {
        self.token
    }

    /// The highest sequence seen under that token; 0 when only writes without a sequence, or reads,
    /// were seen.
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// The two integers to store. (0, 0) is [`Mark::NONE`].
    pub const fn to_parts(self) -> (u64, u64) {
        match self.token {
            Some(token) => (token.get(), self.sequence),
            None => (0, 0),
        }
    }

    /// The mark that was stored as these two integers; `None` for a sequence without a token, which
    /// no mark has: the record is damaged.
    pub const fn from_parts(token: u64, sequence: u64) -> Option<Self> {
        match FencingToken::new(token) {
            Some(token) => Some(Self::new(token, sequence)),
            None if sequence == 0 => Some(Self::NONE),
            None => None,
        }
    }

    /// Decides about a write that presents `token` and `sequence`.
    ///
    /// Sequence 0 is a writer that never repeats itself: its token must not be below the mark's, it
    /// is never a repeat, and under the mark's own token it leaves the mark as it is.
    ///
    /// # Errors
    /// [`Stale::Token`] below the mark's token, [`Stale::Sequence`] below its sequence. The mark
    /// stays, and nothing may be changed.
    pub fn admit(self, token: FencingToken, sequence: u64) -> Result<Admitted, Stale> {
        match Some(token).cmp(&self.token) {
            Ordering::Less => Err(Stale::Token { presented: token, mark: self }),
            Ordering::Greater => Ok(Admitted::Accept(Self::new(token, sequence))),
            Ordering::Equal => self.admit_under_same_token(sequence),
        }
    }

    fn admit_under_same_token(self, sequence: u64) -> Result<Admitted, Stale> {
        if sequence == 0 {
            return Ok(Admitted::Accept(self));
        }
        match sequence.cmp(&self.sequence) {
            Ordering::Less => Err(Stale::Sequence { presented: sequence, mark: self }),
            Ordering::Equal => Ok(Admitted::Repeat),
            Ordering::Greater => Ok(Admitted::Accept(Self { sequence, ..self })),
        }
    }

    /// Decides about a read that presents `token`, and answers the mark to keep.
    ///
    /// A holder that reads in order to write raises the mark first, durably: otherwise an older
    /// holder can write between the two, and what was read is no longer what is overwritten.
    ///
    /// # Errors
    /// [`Stale::Token`] below the mark's token. The mark stays.
    pub fn raise(self, token: FencingToken) -> Result<Self, Stale> {
        match Some(token).cmp(&self.token) {
            Ordering::Less => Err(Stale::Token { presented: token, mark: self }),
            Ordering::Equal => Ok(self),
            Ordering::Greater => Ok(Self::new(token, 0)),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (token, sequence) = self.to_parts();
        write!(f, "({token}, {sequence})")
    }
}
