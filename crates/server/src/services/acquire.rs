//! The unary Acquire: answered with a lease or not at all.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{Problem, lease_from_answer};
use leasehold_core::Command;
use leasehold_raft::AsyncRuntime;
use leasehold_types::{
    Acquire, ClaimAnswer, EndReason, Event, EventKind, Fault, LeaseTime, Refusal, Revision,
    Standing,
};
use tokio::sync::OwnedSemaphorePermit;

use super::Services;
use super::answers::{self, Acquired};
use crate::hub::Follower;
use crate::waiting::Verdict;

/// A grant is all a waiting call needs to hear of, and everything after it.
const EVENTS_QUEUE: usize = 4;

impl<RT: AsyncRuntime> Services<RT> {
    pub(super) async fn acquire_once(
        &self,
        request: pb::AcquireRequest,
    ) -> Result<pb::AcquireResponse, Problem> {
        let acquire = Acquire::try_from(request)?;
        self.refuse_when_stopping()?;
        let place = match acquire.wait.is_none() {
            true => None,
            false => Some(self.waiting_room.take_place()?),
        };
        let outcome = self.node.propose(Command::Acquire(acquire))?.await?;
        let acquired = answers::acquired(outcome)?;
        match acquired.claim.standing {
            Standing::Held { .. } => self.granted(acquired.claim, acquired.revision),
            Standing::Waiting { .. } => self.wait_for_grant(acquired, place).await,
        }
    }

    /// `place` is absent where a call that does not wait found its claim waiting, because an earlier
    /// call with the same request id asked to wait: then it waits along.
    async fn wait_for_grant(
        &self,
        acquired: Acquired,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<pb::AcquireResponse, Problem> {
        let _place = match place {
            Some(place) => place,
            None => self.waiting_room.take_place().map_err(|full| unknown(&full))?,
        };
        let Acquired { claim, at, revision } = acquired;
        let mut verdict = self.waiting_room.keep_alive(claim.clone()).await;
        let (follower, mut following) = Follower::new(EVENTS_QUEUE);
        self.hub
            .follow(vec![(claim.request, revision)], &follower)
            .await
            .map_err(|_| unknown(&Fault::ShuttingDown))?;
        loop {
            tokio::select! {
                Some(event) = following.events.recv() => {
                    if let Some(answer) = self.on_event(&claim, at, event) {
                        return answer;
                    }
                }
                verdict = &mut verdict => {
                    let verdict = verdict.unwrap_or(Verdict::OutOfReach(Fault::ShuttingDown));
                    return self.on_verdict(at, verdict);
                }
                () = self.stopping.begun() => return Err(unknown(&Fault::ShuttingDown)),
            }
        }
    }

    fn on_event(
        &self,
        claim: &ClaimAnswer,
        acquired_at: LeaseTime,
        event: Event,
    ) -> Option<Result<pb::AcquireResponse, Problem>> {
        match event.kind {
            EventKind::Queued { .. } => None,
            EventKind::Granted { token, ttl, deadline } => {
                let held = ClaimAnswer {
                    standing: Standing::Held { token },
                    ttl,
                    valid_for_ms: deadline.since_ms(acquired_at),
                    ..claim.clone()
                };
                Some(self.granted(held, event.revision))
            }
            EventKind::Ended { why, .. } => Some(Err(ended(why).into())),
        }
    }

    fn on_verdict(
        &self,
        acquired_at: LeaseTime,
        verdict: Verdict,
    ) -> Result<pb::AcquireResponse, Problem> {
        match verdict {
            Verdict::Held { claim, deadline, revision } => {
                let valid_for_ms = deadline.since_ms(acquired_at);
                self.granted(ClaimAnswer { valid_for_ms, ..claim }, revision)
            }
            Verdict::Gone(Refusal::Ended { why }) => Err(ended(why).into()),
            Verdict::Gone(refusal) => Err(refusal.into()),
            Verdict::OutOfReach(fault) => Err(unknown(&fault)),
        }
    }

    fn granted(
        &self,
        claim: ClaimAnswer,
        revision: Revision,
    ) -> Result<pb::AcquireResponse, Problem> {
        let lease = lease_from_answer(&claim).ok_or_else(|| not_held(&claim))?;
        let cluster_id = self.cluster_id.clone();
        Ok(pb::AcquireResponse { lease: Some(lease), revision: revision.0, cluster_id })
    }
}

/// A call that waited until it was over is told that; every other end by its reason.
fn ended(why: EndReason) -> Refusal {
    match why {
        EndReason::WaitOver => Refusal::WaitOver,
        EndReason::Released | EndReason::Cancelled | EndReason::Expired => Refusal::Ended { why },
    }
}

/// The claim is in the queue and may still be granted, so no fault may say "surely not applied".
fn unknown(fault: &Fault) -> Problem {
    let why = format!("the claim waits, and this node cannot watch it: {fault}");
    Fault::OutcomeUnknown { why }.into()
}

/// Never OK without a lease, whatever went wrong.
fn not_held(claim: &ClaimAnswer) -> Problem {
    let why = format!("the claim was granted and is {:?}", claim.standing);
    Fault::OutcomeUnknown { why }.into()
}
