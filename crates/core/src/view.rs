//! What can be read without asking the log.

use crate::ClaimAnswer;

/// One resource with live claims, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceView {
    /// The claim that holds it; `valid_for_ms` is what is left of it now.
    pub lease: ClaimAnswer,
    /// Milliseconds of lease time since the grant.
    pub held_for_ms: u64,
    /// Claims waiting for it.
    pub queue_length: u64,
}
