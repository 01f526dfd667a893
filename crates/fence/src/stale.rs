//! The ways to be too late.

use leasehold_types::FencingToken;

use crate::{Floor, Mark};

/// Why a token was not admitted. A definite no about this message: it changed nothing.
///
/// It says nothing about an earlier copy of the same message, which may have been applied before the
/// mark moved on. Whoever sent a write more than once and is told this knows only that the lease is
/// lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// A newer holder was here.
    #[error("token {presented} is stale: {mark} is the highest (token, sequence) seen")]
    Token {
        /// The token of the refused message.
        presented: FencingToken,
        /// The mark, unchanged.
        mark: Mark,
    },
    /// The same holder's later write was here.
    #[error("sequence {presented} is stale: {mark} is the highest (token, sequence) seen")]
    Sequence {
        /// The sequence of the refused message.
        presented: u64,
        /// The mark, unchanged.
        mark: Mark,
    },
    /// The storage was restored, and tokens below its floor may have been superseded in what was lost.
    #[error("token {presented} is below the floor {floor}")]
    BelowFloor {
        /// The token of the refused message.
        presented: FencingToken,
        /// The floor.
        floor: Floor,
    },
}
