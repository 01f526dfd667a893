//! The application's side of each claim: who waits for its answer, and what its guard believes.

use std::collections::BTreeMap;
use std::sync::Arc;

use leasehold_clock::Clock;
use leasehold_types::{Fault, FencingToken, LeaseTtl, ResourceName};
use tokio::sync::{mpsc, oneshot};

use crate::belief::SharedBelief;
use crate::claim::Change;
use crate::claims::ClaimKey;
use crate::guard::HeldLease;
use crate::session::Ending;
use crate::{AcquireError, LeaseGuard, Validity};

/// One seat for each claim, from the wish to its end.
#[derive(Debug)]
pub(crate) struct Seats {
    clock: Arc<dyn Clock>,
    cluster_id: Option<String>,
    seats: BTreeMap<ClaimKey, Seat>,
}

#[derive(Debug)]
struct Seat {
    resource: ResourceName,
    role: Role,
    release: Option<oneshot::Sender<Result<bool, Fault>>>,
}

#[derive(Debug)]
enum Role {
    Waiting {
        reply: oneshot::Sender<Result<LeaseGuard, AcquireError>>,
        endings: mpsc::UnboundedSender<Ending>,
    },
    Holding(Arc<SharedBelief>),
    Done,
}

impl Seats {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, cluster_id: None, seats: BTreeMap::new() }
    }

    /// The first node to welcome this client decides which cluster it belongs to.
    pub(crate) fn same_cluster(&mut self, cluster_id: &str) -> bool {
        self.cluster_id.get_or_insert_with(|| cluster_id.to_owned()) == cluster_id
    }

    pub(crate) fn take(
        &mut self,
        key: ClaimKey,
        resource: ResourceName,
        reply: oneshot::Sender<Result<LeaseGuard, AcquireError>>,
        endings: mpsc::UnboundedSender<Ending>,
    ) {
        let role = Role::Waiting { reply, endings };
        self.seats.insert(key, Seat { resource, role, release: None });
    }

    /// Somebody waits for the release; it is answered at once where there is nothing to release.
    pub(crate) fn wants_to_know(
        &mut self,
        key: ClaimKey,
        reply: Option<oneshot::Sender<Result<bool, Fault>>>,
    ) {
        match (self.seats.get_mut(&key), reply) {
            (Some(seat), Some(reply)) => seat.release = Some(reply),
            (None, Some(reply)) => answer(reply, Ok(false)),
            (_, None) => {}
        }
    }

    /// Tells the application. False when its guard holds the lease to be lost already: then the claim
    /// must be given up, or it would be renewed for nobody.
    #[must_use]
    pub(crate) fn tell(&mut self, key: ClaimKey, change: Change) -> bool {
        let Some(seat) = self.seats.get_mut(&key) else { return true };
        match change {
            Change::Granted { token, ttl, validity } => {
                let cluster_id = self.cluster_id.clone().unwrap_or_default();
                let belief = Arc::new(SharedBelief::new(Arc::clone(&self.clock), validity));
                seat.grant(key, token, ttl, cluster_id, belief);
            }
            Change::Failed(error) => {
                if let Role::Waiting { reply, .. } = std::mem::replace(&mut seat.role, Role::Done) {
                    // Whoever asked may be gone; then there is nobody to tell.
                    let _ = reply.send(Err(error));
                }
            }
            Change::Proven(validity) => return seat.prove(validity),
            Change::Lost(reason) => {
                if let Role::Holding(belief) = &seat.role {
                    belief.lose(reason);
                }
            }
            Change::Over(outcome) => {
                if let Some(reply) = self.seats.remove(&key).and_then(|seat| seat.release) {
                    answer(reply, outcome);
                }
            }
        }
        true
    }
}

impl Seat {
    fn grant(
        &mut self,
        key: ClaimKey,
        token: FencingToken,
        ttl: LeaseTtl,
        cluster_id: String,
        belief: Arc<SharedBelief>,
    ) {
        let role = std::mem::replace(&mut self.role, Role::Holding(Arc::clone(&belief)));
        if let Role::Waiting { reply, endings } = role {
            let resource = self.resource.clone();
            let ttl = ttl.as_duration();
            let lease = HeldLease::new(key, resource, token, ttl, cluster_id, belief);
            // If whoever asked is gone, the guard comes back and releases when it is dropped here.
            let _ = reply.send(Ok(LeaseGuard::new(Arc::new(lease), endings)));
        }
    }

    fn prove(&self, validity: Validity) -> bool {
        match &self.role {
            Role::Holding(belief) => belief.prove(validity),
            Role::Waiting { .. } | Role::Done => true,
        }
    }
}

fn answer(reply: oneshot::Sender<Result<bool, Fault>>, outcome: Result<bool, Fault>) {
    // Whoever released may have stopped waiting.
    let _ = reply.send(outcome);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use leasehold_clock::Reading;

    use super::*;
    use crate::LostReason;

    const TTL: Duration = Duration::from_secs(9);
    const KEY: ClaimKey = ClaimKey(1);

    #[derive(Debug, Default)]
    struct TestClock(Mutex<Reading>);

    impl Clock for TestClock {
        fn read(&self) -> Reading {
            *self.0.lock().expect("not poisoned")
        }
    }

    #[test]
    fn a_claim_whose_guard_saw_the_bound_pass_is_to_be_given_up_though_the_session_proved_more() {
        let clock = Arc::new(TestClock::default());
        let mut seats = Seats::new(clock.clone());
        let (reply, mut answer) = oneshot::channel();
        let (endings, _ended) = mpsc::unbounded_channel();
        seats.take(KEY, ResourceName::new("r").expect("a name"), reply, endings);
        let granted = Change::Granted {
            token: FencingToken::new(1).expect("not zero"),
            ttl: LeaseTtl::from_duration(TTL).expect("within bounds"),
            validity: Validity::proven(clock.read(), TTL, TTL),
        };
        assert!(seats.tell(KEY, granted));
        let guard = answer.try_recv().expect("answered").expect("granted");
        let later = Reading { monotonic: TTL, raw: TTL, boot: TTL };
        *clock.0.lock().expect("not poisoned") = later;
        assert_eq!(guard.check(), Err(LostReason::BoundPassed));
        assert!(!seats.tell(KEY, Change::Proven(Validity::proven(later, TTL, TTL))));
        assert_eq!(guard.check(), Err(LostReason::BoundPassed));
    }
}
