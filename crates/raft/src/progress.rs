//! How far the state machine has come, for everybody who waits for it or shows it.

use leasehold_core::LeaseState;
use leasehold_types::{FencingToken, LeaseTime, Revision};

use crate::lease_clock::Note;
use crate::type_config::LogId;

/// What the state machine's owner tells the rest of the node after every entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last entry applied.
    pub(crate) applied: Option<LogId>,
    /// What was noted at the start of the newest leadership seen.
    pub(crate) note: Option<Note>,
    /// Figures of the state. `None` until the cluster is founded.
    pub(crate) figures: Option<Figures>,
}

/// What the leader's loop and the status need to know of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) revision: Revision,
    pub(crate) at: LeaseTime,
    pub(crate) next_deadline: Option<LeaseTime>,
    /// Whether more was due than one entry ends.
    pub(crate) ends_are_left: bool,
    /// Whether lease time matters to anybody.
    pub(crate) time_matters: bool,
    pub(crate) claims: u64,
    pub(crate) last_token: Option<FencingToken>,
    pub(crate) stamp_interval_ms: u64,
}

impl Figures {
    pub(crate) fn of(state: &LeaseState) -> Self {
        Self {
            revision: state.revision(),
            at: state.now(),
            next_deadline: state.next_deadline(),
            ends_are_left: state.ends_are_left(),
            time_matters: state.has_live_claims_or_memory(),
            claims: state.claims_len() as u64,
            last_token: FencingToken::new(state.next_token().get() - 1),
            stamp_interval_ms: state.settings().stamp_interval_ms,
        }
    }
}
