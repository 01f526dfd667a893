//! The lease in the application's hands.

use std::sync::Arc;
use std::time::Duration;

use leasehold_types::{Fault, FencingToken, ResourceName};
use tokio::sync::{mpsc, oneshot, watch};

use crate::belief::SharedBelief;
use crate::session::{ClaimKey, Ending};
use crate::{LeaseState, LostReason, Moment};

/// How long a loss by the clock can go unseen by [`LeaseGuard::lost`] after the machine was
/// suspended: the runtime's timers do not count suspended time, so the clock is looked at this often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A lease that is renewed until this is dropped.
///
/// Ask [`check`](Self::check) before each step that must not happen without the lease, and let the
/// storage compare [`token`](Self::token): between the check and the effect any amount of time can
/// pass, and only the storage can tell (see the crate's documentation).
///
/// Dropping it releases the lease in the background; so does losing it. Nothing blocks.
#[derive(Debug)]
pub struct LeaseGuard {
    lease: Arc<HeldLease>,
    endings: mpsc::UnboundedSender<Ending>,
}

/// What a guard and the stores under it share.
#[derive(Debug)]
pub(crate) struct HeldLease {
    pub(crate) key: ClaimKey,
    pub(crate) resource: ResourceName,
    pub(crate) token: FencingToken,
    pub(crate) ttl: Duration,
    pub(crate) cluster_id: String,
    pub(crate) belief: Arc<SharedBelief>,
    pub(crate) lanes: crate::fenced::Lanes,
}

impl HeldLease {
    pub(crate) fn new(
        key: ClaimKey,
        resource: ResourceName,
        token: FencingToken,
        ttl: Duration,
        cluster_id: String,
        belief: Arc<SharedBelief>,
    ) -> Self {
        let lanes = crate::fenced::Lanes::default();
        Self { key, resource, token, ttl, cluster_id, belief, lanes }
    }

    pub(crate) fn check(&self) -> Result<FencingToken, LostReason> {
        match self.belief.look() {
            LeaseState::Held { .. } | LeaseState::Uncertain { .. } => Ok(self.token),
            LeaseState::Lost { reason } => Err(reason),
        }
    }

    pub(crate) async fn lost(&self) -> LostReason {
        let mut changes = self.belief.changes();
        loop {
            let remaining = match self.belief.look() {
                LeaseState::Lost { reason } => return reason,
                LeaseState::Held { remaining } | LeaseState::Uncertain { remaining } => remaining,
            };
            tokio::select! {
                // The sender lives in `self`, so this cannot fail.
                _ = changes.changed() => {}
                () = tokio::time::sleep(remaining.min(LOOK_EVERY)) => {}
            }
        }
    }
}

impl LeaseGuard {
    pub(crate) fn new(lease: Arc<HeldLease>, endings: mpsc::UnboundedSender<Ending>) -> Self {
        Self { lease, endings }
    }

    pub(crate) fn lease(&self) -> &Arc<HeldLease> {
        &self.lease
    }

    /// What is leased.
    pub fn resource(&self) -> &str {
        self.lease.resource.as_str()
    }

    /// The fencing token: send it with every write to the protected storage.
    pub fn token(&self) -> FencingToken {
        self.lease.token
    }

    /// The time to live in effect, which the cluster may have clamped.
    pub fn ttl(&self) -> Duration {
        self.lease.ttl
    }

    /// The cluster that granted it: stores refuse another's tokens.
    pub fn cluster_id(&self) -> &str {
        &self.lease.cluster_id
    }

    /// The token, if at this very moment the lease is still proven; reads the clock, trusts no timer.
    ///
    /// # Errors
    /// Why the lease is over. Once lost, always lost.
    pub fn check(&self) -> Result<FencingToken, LostReason> {
        self.lease.check()
    }

    /// How the lease stands at this very moment.
    pub fn state(&self) -> LeaseState {
        self.lease.belief.look()
    }

    /// Until when the lease is proven so far; renewals move it on.
    ///
    /// With a reading of this machine's clock it tells the time left, in this process or another:
    /// `guard.bound().remaining(&MachineClock.read())`.
    pub fn bound(&self) -> Moment {
        self.lease.belief.bound()
    }

    /// Every change of [`state`](Self::state) from one variant to another, as it is noticed. The time
    /// left in it is as of the change.
    pub fn changes(&self) -> watch::Receiver<LeaseState> {
        self.lease.belief.changes()
    }

    /// Resolves as soon as the lease is lost: when the cluster says so, or when the proven bound
    /// passes; after a suspension of the machine within 200 ms of waking.
    ///
    /// Cancel safe: call it again at will.
    pub async fn lost(&self) -> LostReason {
        self.lease.lost().await
    }

    /// Releases the lease and waits for the cluster's answer. `true` when it was held until then.
    ///
    /// A lease that was lost by the clock is given back at once, without being asked for: the answer is
    /// then about that earlier release. From the call on this process holds nothing, whatever the answer.
    /// Cancel safe: the release goes on in the background.
    ///
    /// # Errors
    /// The fault, when no definite answer came for a ttl and the request timeout together; the lease
    /// has then ended by itself, or will once a leader runs.
    pub async fn release(self) -> Result<bool, Fault> {
        let (reply, answer) = oneshot::channel();
        self.end(Some(reply));
        answer.await.unwrap_or_else(|_| {
            Err(Fault::OutcomeUnknown { why: "the client's runtime was shut down".into() })
        })
    }

    /// Stops renewing without releasing: the lease lives on for what is left of its ttl. Returns
    /// until when it is proven. For programs that hand the token to somebody else and exit.
    pub fn leave(self) -> Moment {
        let bound = self.bound();
        self.lease.belief.lose(LostReason::Released);
        // Nobody listens once the runtime is gone, and then nobody renews either.
        let _ = self.endings.send(Ending::Leave(self.lease.key));
        bound
    }

    fn end(&self, reply: Option<oneshot::Sender<Result<bool, Fault>>>) {
        self.lease.belief.lose(LostReason::Released);
        // As in `leave`.
        let _ = self.endings.send(Ending::Release(self.lease.key, reply));
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.end(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use leasehold_clock::{Clock, Reading};

    use super::*;
    use crate::Validity;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[derive(Debug, Default)]
    struct TestClock(Mutex<Reading>);

    impl Clock for TestClock {
        fn read(&self) -> Reading {
            *self.0.lock().expect("not poisoned")
        }
    }

    #[tokio::test]
    async fn a_loss_is_noticed_after_a_suspension_even_if_nobody_else_looks() {
        let clock = Arc::new(TestClock::default());
        let validity = Validity::proven(clock.read(), HOUR, HOUR);
        let belief = Arc::new(SharedBelief::new(clock.clone(), validity));
        let resource = ResourceName::new("r").expect("a name");
        let token = FencingToken::new(1).expect("not zero");
        let lease = HeldLease::new(ClaimKey(1), resource, token, HOUR, "c".into(), belief);
        let waiting = lease.lost();
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            reason = &mut waiting => panic!("{reason}"),
            () = tokio::task::yield_now() => {}
        }
        clock.0.lock().expect("not poisoned").boot += HOUR;
        let noticed = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        assert_eq!(noticed, Ok(LostReason::BoundPassed));
    }
}
