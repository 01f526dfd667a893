//! Ways to fail. A refusal is an answer, a fault is not knowing, and a bad field never left this
//! process: three kinds, never folded into one.

use leasehold_api::Problem;
use leasehold_types::{BadField, Fault, Refusal, StoreRefusal, WatchRefusal};

use crate::LostReason;

/// Why an acquire did not give a lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// A field does not hold what it may; nothing was claimed.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// A definite no. Nothing is claimed, and no earlier attempt of this call can be granted later.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No definite answer within the time allowed. Whatever was claimed is being cancelled in the
    /// background; if no node can be reached it ends by itself within its ttl.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Problem> for AcquireError {
    fn from(problem: Problem) -> Self {
        match RequestError::from(problem) {
            RequestError::BadField(bad) => Self::BadField(bad),
            RequestError::Refused(refusal) => Self::Refused(refusal),
            RequestError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Why a single request to the lease cluster was not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A field does not hold what it may.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// A definite no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No definite answer within the time allowed. It may have happened; asking again is safe.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Problem> for RequestError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::BadField(bad) => Self::BadField(bad),
            Problem::Refusal(refusal) => Self::Refused(refusal),
            Problem::Fault(fault) => Self::Fault(fault),
            Problem::Store(other) => Self::Fault(out_of_place(&other)),
            Problem::Watch(other) => Self::Fault(out_of_place(&other)),
        }
    }
}

/// Why a watch ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// A field does not hold what it may.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// The watch cannot start, or go on, at that revision.
    #[error(transparent)]
    Refused(#[from] WatchRefusal),
    /// The watch could not be started within the time allowed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Problem> for WatchError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::BadField(bad) => Self::BadField(bad),
            Problem::Watch(refusal) => Self::Refused(refusal),
            Problem::Fault(fault) => Self::Fault(fault),
            Problem::Refusal(other) => Self::Fault(out_of_place(&other)),
            Problem::Store(other) => Self::Fault(out_of_place(&other)),
        }
    }
}

/// Why a request to a store was not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A field does not hold what it may; nothing was sent.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// Another holder has been seen on this resource: this lease is over, whatever this process
    /// believes. Not applied, in no attempt: where the answer to one was lost, this is a fault.
    #[error("token {token} is stale: the store has seen token {mark_token}")]
    StaleToken {
        /// The token presented.
        token: u64,
        /// The mark's token.
        mark_token: u64,
        /// The mark's sequence.
        mark_sequence: u64,
    },
    /// Any other definite no of the store.
    #[error(transparent)]
    Refused(StoreRefusal),
    /// The lease is lost by this process's own reckoning, so nothing was sent. Not applied.
    #[error("not sent: the lease is lost: {0}")]
    Lost(LostReason),
    /// No definite answer within the time allowed. It may have been applied, or may still be, until
    /// the next write under this token or a larger one is accepted.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl StoreError {
    /// Whether the store refuses because it has seen more than what it was shown: then an earlier
    /// attempt at the same may have been what it saw.
    pub(crate) const fn is_stale(&self) -> bool {
        use StoreRefusal::{BelowFloor, StaleSequence, StaleToken};
        match self {
            Self::StaleToken { .. } => true,
            Self::Refused(no) => {
                matches!(no, StaleToken { .. } | StaleSequence { .. } | BelowFloor { .. })
            }
            Self::BadField(_) | Self::Lost(_) | Self::Fault(_) => false,
        }
    }
}

impl From<StoreRefusal> for StoreError {
    fn from(refusal: StoreRefusal) -> Self {
        match refusal {
            StoreRefusal::StaleToken { token, mark_token, mark_sequence } => {
                Self::StaleToken { token, mark_token, mark_sequence }
            }
            other => Self::Refused(other),
        }
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::BadField(bad) => Self::BadField(bad),
            Problem::Store(refusal) => refusal.into(),
            Problem::Fault(fault) => Self::Fault(fault),
            Problem::Refusal(other) => Self::Fault(out_of_place(&other)),
            Problem::Watch(other) => Self::Fault(out_of_place(&other)),
        }
    }
}

/// An answer that does not belong to the question: nobody can tell what happened.
pub(crate) fn out_of_place(answer: &impl std::fmt::Display) -> Fault {
    Fault::OutcomeUnknown { why: format!("an answer out of place: {answer}") }
}
