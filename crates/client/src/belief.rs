//! What the client believes about one lease, where the session writes it and the guard reads it.
//!
//! The session proves and loses; the guard looks. Whoever looks first after the bound makes the loss
//! final, so nobody sees `Lost` and later `Held`, and no timer has to fire for anybody to be right.

use std::sync::Arc;

use leasehold_clock::{Clock, Reading};
use tokio::sync::watch;

use crate::{LeaseState, LostReason, Moment, Validity};

#[derive(Clone, Copy, Debug)]
enum Belief {
    Proven(Validity),
    Lost { reason: LostReason, bound: Moment },
}

impl Belief {
    fn state(&self, now: &Reading) -> LeaseState {
        match self {
            Self::Proven(validity) => validity.state(now),
            Self::Lost { reason, .. } => LeaseState::Lost { reason: *reason },
        }
    }
}

/// The belief about one lease, shared by its guard, its stores and the session.
#[derive(Debug)]
pub(crate) struct SharedBelief {
    clock: Arc<dyn Clock>,
    belief: watch::Sender<Belief>,
    changes: watch::Sender<LeaseState>,
}

impl SharedBelief {
    pub(crate) fn new(clock: Arc<dyn Clock>, validity: Validity) -> Self {
        let state = validity.state(&clock.read());
        Self {
            clock,
            belief: watch::Sender::new(Belief::Proven(validity)),
            changes: watch::Sender::new(state),
        }
    }

    /// How the lease stands at this very moment.
    pub(crate) fn look(&self) -> LeaseState {
        let now = self.clock.read();
        let state = self.belief.borrow().state(&now);
        match state {
            LeaseState::Lost { reason } => self.lose(reason),
            LeaseState::Held { .. } | LeaseState::Uncertain { .. } => self.announce(state),
        }
        state
    }

    /// Takes what the session has proven, or come to doubt. A lost lease stays lost.
    pub(crate) fn prove(&self, validity: Validity) {
        self.belief.send_if_modified(|belief| {
            let open = matches!(belief, Belief::Proven(known) if *known != validity);
            if open {
                *belief = Belief::Proven(validity);
            }
            open
        });
        self.look();
    }

    /// The lease is over. The first reason stays.
    pub(crate) fn lose(&self, reason: LostReason) {
        self.belief.send_if_modified(|belief| {
            let Belief::Proven(validity) = belief else { return false };
            *belief = Belief::Lost { reason, bound: validity.bound() };
            true
        });
        let state = self.belief.borrow().state(&self.clock.read());
        self.announce(state);
    }

    /// Until when the lease is, or was, proven.
    pub(crate) fn bound(&self) -> Moment {
        match &*self.belief.borrow() {
            Belief::Proven(validity) => validity.bound(),
            Belief::Lost { bound, .. } => *bound,
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<LeaseState> {
        self.changes.subscribe()
    }

    fn announce(&self, state: LeaseState) {
        self.changes.send_if_modified(|known| {
            let over = matches!(known, LeaseState::Lost { .. });
            let differs = !over && known.differs_in_kind(&state);
            if differs {
                *known = state;
            }
            differs
        });
    }
}
