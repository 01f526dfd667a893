//! What the answers to a claim's attempts mean.

use std::time::Duration;

use leasehold_api::Problem;
use leasehold_clock::Reading;
use leasehold_types::{ClaimAnswer, EndReason, Refusal, Standing};

use super::{Claim, Phase, Turn};
use crate::{AcquireError, Change, LostReason, Validity};

impl Claim {
    /// The Acquire that was sent at `sent` was answered with the claim as it stands.
    pub fn acquired(
        &mut self,
        attempt: u64,
        sent: Reading,
        answer: &ClaimAnswer,
        turn: &mut Turn<'_>,
    ) {
        self.arrived(attempt);
        self.unsettled = self.unsettled.saturating_sub(1);
        self.stands(sent, answer, turn);
    }

    /// The Acquire was not answered with a claim.
    pub fn not_acquired(
        &mut self,
        attempt: u64,
        problem: &Problem,
        retry_after: Option<Duration>,
        turn: &mut Turn<'_>,
    ) {
        let awaited = self.arrived(attempt);
        if problem.surely_not_applied() {
            self.unsettled = self.unsettled.saturating_sub(1);
        }
        match problem {
            // Final for this id however the claim stood here.
            Problem::Refusal(Refusal::Ended { why }) => self.id_ended(*why, turn),
            // From before a repetition of the same Acquire was granted or queued.
            Problem::Refusal(_) if !matches!(self.phase, Phase::Asking) => {}
            Problem::Refusal(refusal) => self.refuse(refusal.clone(), turn),
            Problem::BadField(bad) if matches!(self.phase, Phase::Asking) => {
                self.fail(AcquireError::BadField(bad.clone()), turn);
                self.over(Ok(false), turn);
            }
            Problem::BadField(_) | Problem::Store(_) | Problem::Watch(_) | Problem::Fault(_) => {
                if awaited {
                    self.plan_retry(retry_after, turn);
                }
            }
        }
    }

    /// The renewal that was sent at `sent` was answered with the claim as it stands.
    pub fn renewed(
        &mut self,
        attempt: u64,
        sent: Reading,
        answer: &ClaimAnswer,
        turn: &mut Turn<'_>,
    ) {
        self.arrived(attempt);
        self.stands(sent, answer, turn);
    }

    /// The renewal was not answered with a claim.
    pub fn not_renewed(
        &mut self,
        attempt: u64,
        problem: &Problem,
        retry_after: Option<Duration>,
        turn: &mut Turn<'_>,
    ) {
        let awaited = self.arrived(attempt);
        match problem {
            Problem::Refusal(Refusal::Ended { why }) => self.id_ended(*why, turn),
            Problem::Refusal(Refusal::NotHolder { .. }) => self.not_known(turn),
            _ => {
                self.doubt(turn);
                if awaited {
                    self.plan_retry(retry_after, turn);
                }
            }
        }
    }

    /// The Release or Cancel was answered.
    pub fn end_answered(
        &mut self,
        attempt: u64,
        answer: Result<bool, &Problem>,
        retry_after: Option<Duration>,
        turn: &mut Turn<'_>,
    ) {
        let awaited = self.arrived(attempt);
        if !self.is_ending() {
            return;
        }
        match answer {
            Ok(ended_now) => self.ended(ended_now, turn),
            // Never issued, another resource's, ended before: nothing of ours is left there.
            Err(Problem::Refusal(_) | Problem::BadField(_)) => self.ended(false, turn),
            Err(Problem::Store(_) | Problem::Watch(_) | Problem::Fault(_)) => {
                if awaited {
                    self.plan_retry(retry_after, turn);
                }
            }
        }
    }

    fn arrived(&mut self, attempt: u64) -> bool {
        let awaited = self.in_flight == Some(attempt);
        if awaited {
            self.in_flight = None;
        }
        awaited
    }

    fn stands(&mut self, sent: Reading, answer: &ClaimAnswer, turn: &mut Turn<'_>) {
        if answer.request != self.ask.request {
            return;
        }
        // A loss by the clock comes first: whoever looked before this answer came saw it.
        self.lose_past_bound(turn);
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return;
        }
        self.prove(sent, answer, turn);
        match (&self.phase, answer.standing) {
            (Phase::Asking, Standing::Waiting { .. }) => self.phase = Phase::Accepted,
            (Phase::Asking | Phase::Accepted, Standing::Held { token }) => self.hold(token, turn),
            (Phase::Held { token }, Standing::Held { token: other }) if *token != other => {
                self.not_known(turn);
            }
            // Still waiting; or an older answer, from before the grant.
            _ => {}
        }
        self.plan_renewal(turn);
    }

    fn prove(&mut self, sent: Reading, answer: &ClaimAnswer, turn: &mut Turn<'_>) {
        self.ttl = answer.ttl;
        let valid_for = Duration::from_millis(answer.valid_for_ms);
        let fresh = Validity::proven(sent, valid_for, self.ttl.as_duration());
        let improved = match &mut self.validity {
            Some(known) => known.improve(fresh, &turn.now),
            none => {
                *none = Some(fresh);
                true
            }
        };
        if let (Phase::Held { .. }, true, Some(validity)) = (&self.phase, improved, self.validity) {
            turn.changes.push(Change::Proven(validity));
        }
    }

    /// The claim of this id has ended, and no attempt under this id can be granted any more.
    fn id_ended(&mut self, why: EndReason, turn: &mut Turn<'_>) {
        self.unsettled = 0;
        match (&self.phase, why) {
            (Phase::Ending(_), _) => self.ended(false, turn),
            (Phase::Over, _) => {}
            (Phase::Held { .. }, _) => self.lost(LostReason::Ended(why), turn),
            // It ended while nobody here could know of it: the wish goes on.
            (Phase::Asking | Phase::Accepted, EndReason::Expired) => self.ask_again(turn),
            (Phase::Asking | Phase::Accepted, EndReason::WaitOver) => {
                self.refuse(Refusal::WaitOver, turn);
            }
            (Phase::Asking | Phase::Accepted, EndReason::Released | EndReason::Cancelled) => {
                self.refuse(Refusal::Ended { why }, turn);
            }
        }
    }

    fn not_known(&mut self, turn: &mut Turn<'_>) {
        match &self.phase {
            Phase::Held { .. } => self.lost(LostReason::NotHolder, turn),
            Phase::Accepted => self.ask_again(turn),
            Phase::Asking | Phase::Ending(_) | Phase::Over => {}
        }
    }

    fn lost(&mut self, reason: LostReason, turn: &mut Turn<'_>) {
        turn.changes.push(Change::Lost(reason));
        self.over(Ok(false), turn);
    }
}
