//! What is asked of the cluster and what it says, in checked words: the wire without its bytes.

use leasehold_api::Problem;
use leasehold_types::{Acquire, ClaimAnswer, FencingToken, RequestId, ResourceName};
use std::time::Duration;

/// What one attempt asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To claim, or to repeat a claim.
    Acquire(Acquire),
    /// To keep claims alive, by their ids.
    Renew(Vec<RequestId>),
    /// To end a lease.
    Release {
        /// What it is on.
        resource: ResourceName,
        /// Its token.
        token: FencingToken,
    },
    /// To end a claim, however it stands.
    Cancel(RequestId),
}

/// The answer to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Command::Acquire`].
    Acquired(ClaimAnswer),
    /// To [`Command::Renew`], item by item.
    Renewed(Vec<Result<ClaimAnswer, Problem>>),
    /// To [`Command::Release`]: whether it was held until then.
    Released {
        /// False when the lease had ended before.
        was_held: bool,
    },
    /// To [`Command::Cancel`]: whether it was live until then.
    Cancelled {
        /// Whether this ended a live claim.
        was_live: bool,
    },
    /// To any attempt that failed.
    Failed {
        /// How.
        problem: Problem,
        /// When to try again, where waiting helps.
        retry_after: Option<Duration>,
    },
}
