//! What the client believes about one lease, where the session writes it and the guard reads it.
//!
//! The session proves and loses; the guard looks. Whoever looks first after the bound makes the loss
//! final, so nobody sees `Lost` and later `Held`, and no timer has to fire for anybody to be right.
//! One small lock, held for a copy and a comparison, keeps what is believed and what was announced in
//! step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leasehold_clock::{Clock, Reading};
use tokio::sync::watch;

use crate::{LeaseState, LostReason, Moment, Validity};

/// The belief about one lease, shared by its guard, its stores and the session.
#[derive(Debug)]
pub(crate) struct SharedBelief {
    clock: Arc<dyn Clock>,
    belief: Mutex<Belief>,
    changes: watch::Sender<LeaseState>,
}

#[derive(Debug)]
struct Belief {
    validity: Validity,
    lost: Option<LostReason>,
    announced: LeaseState,
}

impl Belief {
    fn state(&self, now: &Reading) -> LeaseState {
        match self.lost {
            Some(reason) => LeaseState::Lost { reason },
            None => self.validity.state(now),
        }
    }
}

impl SharedBelief {
    pub(crate) fn new(clock: Arc<dyn Clock>, validity: Validity) -> Self {
        let announced = validity.state(&clock.read());
        let belief = Mutex::new(Belief { validity, lost: None, announced });
        Self { clock, belief, changes: watch::Sender::new(announced) }
    }

    /// How the lease stands at this very moment.
    pub(crate) fn look(&self) -> LeaseState {
        self.settle(self.belief())
    }

    /// Takes what the session has proven, or come to doubt. A lost lease stays lost, and then this says
    /// false: somebody looked when the older bound had passed, just before the session knew better.
    pub(crate) fn prove(&self, validity: Validity) -> bool {
        let mut belief = self.belief();
        // Who looks late must not see a bound renewed that had passed.
        if belief.state(&self.clock.read()).may_act() {
            belief.validity = validity;
        }
        self.settle(belief).may_act()
    }

    /// The lease is over. The first reason stays.
    pub(crate) fn lose(&self, reason: LostReason) {
        let mut belief = self.belief();
        belief.lost.get_or_insert(reason);
        self.settle(belief);
    }

    /// Until when the lease is, or was, proven.
    pub(crate) fn bound(&self) -> Moment {
        self.belief().validity.bound()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<LeaseState> {
        self.changes.subscribe()
    }

    fn settle(&self, mut belief: MutexGuard<'_, Belief>) -> LeaseState {
        let state = belief.state(&self.clock.read());
        if let LeaseState::Lost { reason } = state {
            belief.lost = Some(reason);
        }
        if belief.announced.differs_in_kind(&state) {
            belief.announced = state;
            self.changes.send_replace(state);
        }
        state
    }

    fn belief(&self) -> MutexGuard<'_, Belief> {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TTL: Duration = Duration::from_secs(9);

    #[derive(Debug, Default)]
    struct TestClock(Mutex<Reading>);

    impl TestClock {
        fn advance(&self, by: Duration) {
            let mut now = self.0.lock().expect("not poisoned");
            *now =
                Reading { monotonic: now.monotonic + by, raw: now.raw + by, boot: now.boot + by };
        }
    }

    impl Clock for TestClock {
        fn read(&self) -> Reading {
            *self.0.lock().expect("not poisoned")
        }
    }

    fn believing() -> (Arc<TestClock>, SharedBelief) {
        let clock = Arc::new(TestClock::default());
        let validity = Validity::proven(clock.read(), TTL, TTL);
        (Arc::clone(&clock), SharedBelief::new(clock, validity))
    }

    #[test]
    fn whoever_looks_after_the_bound_makes_the_loss_final() {
        let (clock, belief) = believing();
        clock.advance(TTL);
        assert_eq!(belief.look(), LeaseState::Lost { reason: LostReason::BoundPassed });
        assert!(!belief.prove(Validity::proven(clock.read(), TTL, TTL)));
        assert!(!belief.look().may_act());
    }

    #[test]
    fn a_proof_that_comes_after_the_bound_is_too_late_even_if_nobody_looked() {
        let (clock, belief) = believing();
        clock.advance(TTL);
        assert!(!belief.prove(Validity::proven(clock.read(), TTL, TTL)));
        assert!(!belief.look().may_act());
    }

    #[test]
    fn the_first_reason_stays() {
        let (clock, belief) = believing();
        belief.lose(LostReason::Released);
        clock.advance(TTL);
        belief.lose(LostReason::NotHolder);
        assert_eq!(belief.look(), LeaseState::Lost { reason: LostReason::Released });
    }

    #[test]
    fn each_change_of_kind_is_announced_once() {
        let (clock, belief) = believing();
        let mut changes = belief.changes();
        belief.look();
        assert!(!changes.has_changed().expect("open"));
        clock.advance(TTL / 2);
        belief.look();
        belief.look();
        assert!(matches!(*changes.borrow_and_update(), LeaseState::Uncertain { .. }));
        assert!(belief.prove(Validity::proven(clock.read(), TTL, TTL)));
        assert!(matches!(*changes.borrow_and_update(), LeaseState::Held { .. }));
        belief.look();
        assert!(!changes.has_changed().expect("open"));
    }
}
