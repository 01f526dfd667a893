//! What stands in for the marks that a restored copy does not have.

use core::fmt;

use leasehold_types::FencingToken;

use crate::Stale;

/// The smallest token that is accepted at all; [`Floor::NONE`] lets every token through.
///
/// A copy of a storage lacks the marks set after it was taken, so a token that was superseded then
/// would pass. Set the floor above every token issued before the restore, and ask it before the mark.
/// A mark whose token is below the floor can be dropped: whatever the floor lets through is above it.
///
/// Like a mark it only rises, and it is made durable before anything is answered under it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Floor(u64);

impl Floor {
    /// No floor.
    pub const NONE: Self = Self(0);

    /// A floor at `smallest_accepted`; 0 is no floor.
    pub const fn new(smallest_accepted: u64) -> Self {
        Self(smallest_accepted)
    }

    /// The number to store.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Lets a token through to the mark, or refuses it.
    ///
    /// # Errors
    /// [`Stale::BelowFloor`].
    pub const fn admit(self, token: FencingToken) -> Result<(), Stale> {
        if token.get() < self.0 {
            return Err(Stale::BelowFloor { presented: token, floor: self });
        }
        Ok(())
    }

    /// The higher of the two.
    #[must_use]
    pub const fn raised_to(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
