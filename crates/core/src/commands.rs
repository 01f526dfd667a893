//! What each command does, one short function per command.

use alloc::vec::Vec;

use leasehold_types::{EndReason, FencingToken, HeldBy, Refusal, RequestId, ResourceName};

use crate::claim::{Claim, Phase};
use crate::claims::Removed;
use crate::slab::Slot;
use crate::{Acquire, Answer, ClaimAnswer, Event, EventKind, LeaseState, Renew, Standing};

impl LeaseState {
    /// Claims a resource. What is known of the request id comes before any bound, so that a retry is
    /// answered even where a new claim would be refused.
    pub(crate) fn acquire(
        &mut self,
        wish: &Acquire,
        events: &mut Vec<Event>,
    ) -> Result<Answer, Refusal> {
        if let Some(slot) = self.claims.with_request(&wish.request) {
            return self.acquire_again(slot, wish);
        }
        if let Some(why) = self.memory.why(&wish.request) {
            return Err(Refusal::Ended { why });
        }
        self.refuse_under_embargo()?;
        let slot = match self.held_by(&wish.resource) {
            None => self.grant_at_once(wish, events)?,
            Some(by) if wish.wait.is_none() => {
                return Err(Refusal::Held { resource: wish.resource.clone(), by });
            }
            Some(by) => self.join_queue(wish, by.queue_length, events)?,
        };
        Ok(Answer::Claim(self.answer(slot)))
    }

    /// A repeated `Acquire` answers the claim as it stands. It moves no deadline: the answer's
    /// `valid_for` is a bound from *this* attempt on, and any attempt may be a late copy. All it can do
    /// is to lengthen the wait, counted from when the claim joined the queue.
    fn acquire_again(&mut self, slot: Slot, wish: &Acquire) -> Result<Answer, Refusal> {
        let claim = self.claims.get(slot);
        let differs = [
            ("resource", claim.resource != wish.resource),
            ("holder", claim.holder != wish.holder),
            ("ttl", claim.ttl_asked != wish.ttl),
        ];
        if let Some((field, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(Refusal::RequestReused { field: field.into() });
        }
        self.claims.lengthen_wait(slot, wish.wait.as_ms());
        Ok(Answer::Claim(self.answer(slot)))
    }

    fn grant_at_once(&mut self, wish: &Acquire, events: &mut Vec<Event>) -> Result<Slot, Refusal> {
        self.refuse_beyond_claims_max()?;
        let token = self.issue_token();
        let slot = self.add_claim(wish, Phase::Held { token, since: self.counters.now });
        self.note_grant(slot, token, events);
        Ok(slot)
    }

    fn join_queue(
        &mut self,
        wish: &Acquire,
        queue_length: u64,
        events: &mut Vec<Event>,
    ) -> Result<Slot, Refusal> {
        self.refuse_beyond_claims_max()?;
        let limit = self.settings.waiters_per_resource_max;
        if queue_length >= limit {
            return Err(Refusal::TooManyWaiters { resource: wish.resource.clone(), limit });
        }
        let since = self.counters.now;
        let until = since.plus_ms(wish.wait.as_ms());
        let slot = self.add_claim(wish, Phase::Waiting { since, until });
        let claim = self.claims.get(slot);
        // No revision beside the command's own: joining is what the command itself did.
        let kind = EventKind::Queued { place: queue_length + 1, ttl: claim.ttl };
        events.push(self.event(claim.age, claim, kind));
        Ok(slot)
    }

    fn add_claim(&mut self, wish: &Acquire, phase: Phase) -> Slot {
        let ttl = self.settings.clamp_ttl(wish.ttl);
        self.claims.insert(Claim {
            resource: wish.resource.clone(),
            holder: wish.holder.clone(),
            request: wish.request,
            age: self.counters.revision,
            ttl_asked: wish.ttl,
            ttl,
            deadline: self.counters.now.plus_ms(ttl.as_ms()),
            phase,
        })
    }

    fn refuse_under_embargo(&self) -> Result<(), Refusal> {
        match self.counters.embargo.since_ms(self.counters.now) {
            0 => Ok(()),
            remaining_ms => Err(Refusal::Embargo { remaining_ms }),
        }
    }

    fn refuse_beyond_claims_max(&self) -> Result<(), Refusal> {
        let limit = self.settings.claims_max;
        if (self.claims.len() as u64) < limit {
            return Ok(());
        }
        Err(Refusal::TooManyClaims { limit })
    }

    /// Moves the deadlines of live claims to a ttl from now, and answers each as it stands: that
    /// repairs every lost answer and push.
    pub(crate) fn renew(&mut self, renew: &Renew) -> Answer {
        let Renew { tokens, requests } = renew;
        let mut answers = Vec::with_capacity(tokens.len() + requests.len());
        for &token in tokens {
            let slot = self.claims.with_token(token).ok_or(Refusal::NotHolder { token });
            answers.push(slot.map(|slot| self.renew_claim(slot)));
        }
        for request in requests {
            let slot = self.claims.with_request(request).ok_or_else(|| self.ended(request));
            answers.push(slot.map(|slot| self.renew_claim(slot)));
        }
        Answer::Renewed(answers)
    }

    fn renew_claim(&mut self, slot: Slot) -> ClaimAnswer {
        let deadline = self.counters.now.plus_ms(self.claims.get(slot).ttl.as_ms());
        self.claims.renew(slot, deadline);
        self.answer(slot)
    }

    /// Why a claim that is renewed is not there. A client renews by request id only what was once
    /// accepted, and it knows what it ended itself: an id that is no longer remembered has expired.
    fn ended(&self, request: &RequestId) -> Refusal {
        Refusal::Ended { why: self.memory.why(request).unwrap_or(EndReason::Expired) }
    }

    /// Ends the lease with that very token, never a newer one.
    pub(crate) fn release(
        &mut self,
        resource: &ResourceName,
        token: FencingToken,
        events: &mut Vec<Event>,
    ) -> Result<Answer, Refusal> {
        let Some(slot) = self.claims.with_token(token) else {
            let was_issued = token < self.counters.next_token;
            let answer = Answer::Released { was_held: false };
            return was_issued.then_some(answer).ok_or(Refusal::TokenNotFound { token });
        };
        let actual = &self.claims.get(slot).resource;
        if actual != resource {
            let (asked, actual) = (resource.clone(), actual.clone());
            return Err(Refusal::WrongResource { token, asked, actual });
        }
        self.end_and_hand_over(slot, EndReason::Released, events);
        Ok(Answer::Released { was_held: true })
    }

    /// Ends a claim by its request id. An id that nobody knows yet is remembered, so that the
    /// `Acquire` which this `Cancel` overtook is refused.
    pub(crate) fn cancel(&mut self, request: &RequestId, events: &mut Vec<Event>) -> Answer {
        let Some(slot) = self.claims.with_request(request) else {
            self.remember(*request, EndReason::Cancelled);
            return Answer::Cancelled { ended: None };
        };
        let claim = self.end_and_hand_over(slot, EndReason::Cancelled, events);
        Answer::Cancelled { ended: Some(claim.token()) }
    }

    pub(crate) fn end_and_hand_over(
        &mut self,
        slot: Slot,
        why: EndReason,
        events: &mut Vec<Event>,
    ) -> Claim {
        let Removed { claim, frees_for_waiters } = self.end(slot, why, events);
        if frees_for_waiters {
            self.hand_over(&claim.resource, events);
        }
        claim
    }

    /// A live claim as it stands now.
    pub(crate) fn answer(&self, slot: Slot) -> ClaimAnswer {
        let claim = self.claims.get(slot);
        let standing = match claim.phase {
            Phase::Waiting { .. } => Standing::Waiting { place: self.claims.place(claim) },
            Phase::Held { token, .. } => Standing::Held { token },
        };
        ClaimAnswer {
            resource: claim.resource.clone(),
            holder: claim.holder.clone(),
            request: claim.request,
            ttl: claim.ttl,
            standing,
            valid_for_ms: claim.deadline.since_ms(self.counters.now),
        }
    }

    fn held_by(&self, resource: &ResourceName) -> Option<HeldBy> {
        let view = self.get(resource.as_str())?;
        let Standing::Held { token } = view.lease.standing else { return None };
        Some(HeldBy {
            holder: view.lease.holder,
            token,
            held_for_ms: view.held_for_ms,
            ends_in_ms: view.lease.valid_for_ms,
            queue_length: view.queue_length,
        })
    }
}
