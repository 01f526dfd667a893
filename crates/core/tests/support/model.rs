//! The same rules once more, as dumb as possible: one list, linear scans, no index. Written from the
//! rules, not from the crate, so that a mistake must be made twice to go unseen.

use std::collections::BTreeSet;

use leasehold_core::{
    Acquire, Answer, Applied, ClaimAnswer, Command, Event, EventKind, LeaseState, Outcome, Renew,
    Settings, Standing,
};
use leasehold_types::{
    EndReason, FencingToken, HeldBy, Holder, LeaseTime, LeaseTtl, Refusal, RequestId, ResourceName,
    Revision,
};

#[derive(Clone, Debug)]
pub(crate) struct Model {
    settings: Settings,
    pub(crate) now: u64,
    pub(crate) revision: u64,
    pub(crate) next_token: u64,
    embargo: u64,
    /// In order of arrival.
    pub(crate) claims: Vec<ModelClaim>,
    /// In order of end.
    pub(crate) ended: Vec<(RequestId, EndReason, u64)>,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelClaim {
    pub(crate) resource: ResourceName,
    pub(crate) holder: Holder,
    pub(crate) request: RequestId,
    pub(crate) ttl_asked: LeaseTtl,
    ttl: u64,
    deadline: u64,
    joined: u64,
    wait: u64,
    /// Token and lease time of the grant.
    pub(crate) lease: Option<(u64, u64)>,
}

impl Model {
    /// Starts where an empty state stands.
    pub(crate) fn of(state: &LeaseState, embargo_ms: u64) -> Self {
        assert_eq!(state.claims_len(), 0);
        Self {
            settings: state.settings().clone(),
            now: state.now().0,
            revision: state.revision().0,
            next_token: state.next_token().get(),
            embargo: state.now().0 + embargo_ms,
            claims: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<LeaseTime> {
        self.claims.iter().map(due).min().map(LeaseTime)
    }

    pub(crate) fn apply(&mut self, at: LeaseTime, batch: &[Command]) -> Applied {
        let (mut outcomes, mut events) = (vec![None; batch.len()], Vec::new());
        let most = (self.claims.len() + batch.len()) as u128;
        let beyond = |counter: u64, more: u128| u128::from(counter) + more > u128::from(u64::MAX);
        if beyond(at.0, u128::from(2 * LeaseTtl::MAX.as_ms()))
            || beyond(self.next_token, most)
            || beyond(self.revision, 2 * most + batch.len() as u128)
        {
            let refused = self.outcome(Answer::Refused(Refusal::Exhausted));
            return Applied { outcomes: vec![refused; batch.len()], events };
        }
        self.now = self.now.max(at.0);
        let (now, memory_ms) = (self.now, self.settings.ended_memory_ms);
        self.ended.retain(|(_, _, at)| at + memory_ms > now);
        for (outcome, command) in outcomes.iter_mut().zip(batch) {
            if let Command::Renew(renew) = command {
                self.revision += 1;
                let answer = self.renew(renew);
                *outcome = Some(self.outcome(answer));
            }
        }
        self.end_due(&mut events);
        for (outcome, command) in outcomes.iter_mut().zip(batch) {
            if outcome.is_none() {
                self.end_what_it_meets(command, &mut events);
                self.revision += 1;
                let answer = self.execute(command, &mut events);
                self.hand_over_whatever_is_free(&mut events);
                *outcome = Some(self.outcome(answer));
            }
        }
        Applied { outcomes: outcomes.into_iter().flatten().collect(), events }
    }

    fn outcome(&self, answer: Answer) -> Outcome {
        Outcome { revision: Revision(self.revision), at: LeaseTime(self.now), answer }
    }

    fn renew(&mut self, renew: &Renew) -> Answer {
        let mut items = Vec::new();
        for token in &renew.tokens {
            let index = self.claims.iter().position(|claim| token_of(claim) == Some(*token));
            items.push(match index {
                Some(index) => Ok(self.renew_claim(index)),
                None => Err(Refusal::NotHolder { token: *token }),
            });
        }
        for request in &renew.requests {
            let index = self.claims.iter().position(|claim| claim.request == *request);
            items.push(match (index, self.why_ended(request)) {
                (Some(index), _) => Ok(self.renew_claim(index)),
                (None, Some(why)) => Err(Refusal::Ended { why }),
                (None, None) => Err(Refusal::Ended { why: EndReason::Expired }),
            });
        }
        Answer::Renewed(items)
    }

    fn renew_claim(&mut self, index: usize) -> ClaimAnswer {
        let claim = &mut self.claims[index];
        claim.deadline = claim.deadline.max(self.now + claim.ttl);
        self.answer(index)
    }

    fn end_due(&mut self, events: &mut Vec<Event>) {
        for _ in 0..self.settings.ends_per_entry {
            let first = self.claims.iter().map(due).min();
            let Some(first) = first.filter(|due| *due <= self.now) else { break };
            let index = self.claims.iter().position(|claim| due(claim) == first);
            self.end_as_due(index.expect("it is the smallest"), events);
        }
        let freed: Vec<ResourceName> = events.iter().map(|event| event.resource.clone()).collect();
        let mut seen = BTreeSet::new();
        for (event, resource) in events.clone().iter().zip(freed) {
            if matches!(event.kind, EventKind::Ended { token: Some(_), .. }) {
                assert!(seen.insert(resource.clone()), "a resource is freed once");
                self.hand_over(&resource, events);
            }
        }
    }

    fn end_as_due(&mut self, index: usize, events: &mut Vec<Event>) {
        let claim = &self.claims[index];
        let waited = claim.lease.is_none() && claim.joined + claim.wait <= claim.deadline;
        let why = if waited { EndReason::WaitOver } else { EndReason::Expired };
        self.end(claim.request, why, events);
    }

    /// No answer depends on what was left to a later entry.
    fn end_what_it_meets(&mut self, command: &Command, events: &mut Vec<Event>) {
        let now = self.now;
        let mut end = |model: &mut Self, meets: &dyn Fn(&ModelClaim) -> bool| {
            if let Some(index) =
                model.claims.iter().position(|claim| meets(claim) && due(claim) <= now)
            {
                model.end_as_due(index, events);
                model.hand_over_whatever_is_free(events);
            }
        };
        match command {
            Command::Acquire(wish) => {
                end(self, &|claim| claim.request == wish.request);
                end(self, &|claim| claim.lease.is_some() && claim.resource == wish.resource);
            }
            Command::Cancel { request } => end(self, &|claim| claim.request == *request),
            Command::Release { token, .. } => end(self, &|claim| token_of(claim) == Some(*token)),
            Command::Renew(_) | Command::Pulse => {}
        }
    }

    fn end(&mut self, request: RequestId, why: EndReason, events: &mut Vec<Event>) {
        let index = self.claims.iter().position(|claim| claim.request == request);
        let claim = self.claims.remove(index.expect("it is live"));
        self.remember(claim.request, why);
        self.event(&claim, EventKind::Ended { token: token_of(&claim), why }, events);
    }

    fn remember(&mut self, request: RequestId, why: EndReason) {
        self.ended.push((request, why, self.now));
        if self.ended.len() as u64 > self.settings.ended_memory_max {
            self.ended.remove(0);
        }
    }

    fn hand_over_whatever_is_free(&mut self, events: &mut Vec<Event>) {
        let resources: BTreeSet<_> =
            self.claims.iter().map(|claim| claim.resource.clone()).collect();
        for resource in resources {
            if self.holder_of(&resource).is_none() {
                self.hand_over(&resource, events);
            }
        }
    }

    fn hand_over(&mut self, resource: &ResourceName, events: &mut Vec<Event>) {
        let first =
            |model: &Self| model.claims.iter().position(|claim| claim.resource == *resource);
        while let Some(index) = first(self)
            && due(&self.claims[index]) <= self.now
        {
            self.end_as_due(index, events);
        }
        if let Some(index) = first(self) {
            self.grant(index, events);
        }
    }

    fn grant(&mut self, index: usize, events: &mut Vec<Event>) {
        self.claims[index].lease = Some((self.next_token, self.now));
        self.next_token += 1;
        let claim = self.claims[index].clone();
        let kind = EventKind::Granted {
            token: token_of(&claim).expect("just granted"),
            ttl: LeaseTtl::from_ms(claim.ttl).expect("a ttl"),
            deadline: LeaseTime(claim.deadline),
        };
        self.event(&claim, kind, events);
    }

    fn event(&mut self, claim: &ModelClaim, kind: EventKind, events: &mut Vec<Event>) {
        if !matches!(kind, EventKind::Queued { .. }) {
            self.revision += 1;
        }
        events.push(Event {
            revision: Revision(self.revision),
            at: LeaseTime(self.now),
            resource: claim.resource.clone(),
            holder: claim.holder.clone(),
            request: claim.request,
            kind,
        });
    }

    fn execute(&mut self, command: &Command, events: &mut Vec<Event>) -> Answer {
        match command {
            Command::Acquire(wish) => match self.acquire(wish, events) {
                Ok(index) => Answer::Claim(self.answer(index)),
                Err(refusal) => Answer::Refused(refusal),
            },
            Command::Release { resource, token } => self.release(resource, *token, events),
            Command::Cancel { request } => self.cancel(request, events),
            Command::Pulse => Answer::Pulsed,
            Command::Renew(_) => unreachable!("renewed before"),
        }
    }

    fn acquire(&mut self, wish: &Acquire, events: &mut Vec<Event>) -> Result<usize, Refusal> {
        let known = self.claims.iter().position(|claim| claim.request == wish.request);
        if let Some(index) = known {
            let claim = &mut self.claims[index];
            for (field, same) in [
                ("resource", claim.resource == wish.resource),
                ("holder", claim.holder == wish.holder),
                ("ttl", claim.ttl_asked == wish.ttl),
            ] {
                if !same {
                    return Err(Refusal::RequestReused { field: field.into() });
                }
            }
            claim.wait = claim.wait.max(wish.wait.as_ms());
            return Ok(index);
        }
        if let Some(why) = self.why_ended(&wish.request) {
            return Err(Refusal::Ended { why });
        }
        if self.now < self.embargo {
            return Err(Refusal::Embargo { remaining_ms: self.embargo - self.now });
        }
        let holder = self.holder_of(&wish.resource);
        let queue = self.queue_of(&wish.resource).len() as u64;
        if let (Some(holder), true) = (holder, wish.wait.is_none()) {
            let holder = &self.claims[holder];
            let by = HeldBy {
                holder: holder.holder.clone(),
                token: token_of(holder).expect("held"),
                held_for_ms: self.now - holder.lease.expect("held").1,
                ends_in_ms: holder.deadline - self.now,
                queue_length: queue,
            };
            return Err(Refusal::Held { resource: wish.resource.clone(), by });
        }
        let limit = self.settings.claims_max;
        if self.claims.len() as u64 >= limit {
            return Err(Refusal::TooManyClaims { limit });
        }
        let limit = self.settings.waiters_per_resource_max;
        if holder.is_some() && queue >= limit {
            return Err(Refusal::TooManyWaiters { resource: wish.resource.clone(), limit });
        }
        let (least, most) = (self.settings.ttl_min.as_ms(), self.settings.ttl_max.as_ms());
        let ttl = wish.ttl.as_ms().max(least).min(most);
        self.claims.push(ModelClaim {
            resource: wish.resource.clone(),
            holder: wish.holder.clone(),
            request: wish.request,
            ttl_asked: wish.ttl,
            ttl,
            deadline: self.now + ttl,
            joined: self.now,
            wait: wish.wait.as_ms(),
            lease: None,
        });
        let index = self.claims.len() - 1;
        match holder {
            None => self.grant(index, events),
            Some(_) => {
                let ttl = LeaseTtl::from_ms(ttl).expect("a ttl");
                let claim = self.claims[index].clone();
                self.event(&claim, EventKind::Queued { place: queue + 1, ttl }, events);
            }
        }
        Ok(index)
    }

    fn release(
        &mut self,
        resource: &ResourceName,
        token: FencingToken,
        events: &mut Vec<Event>,
    ) -> Answer {
        if token.get() >= self.next_token {
            return Answer::Refused(Refusal::TokenNotFound { token });
        }
        let held = self.claims.iter().find(|claim| token_of(claim) == Some(token)).cloned();
        match held {
            None => Answer::Released { was_held: false },
            Some(claim) if claim.resource != *resource => {
                let (asked, actual) = (resource.clone(), claim.resource);
                Answer::Refused(Refusal::WrongResource { token, asked, actual })
            }
            Some(claim) => {
                self.end(claim.request, EndReason::Released, events);
                Answer::Released { was_held: true }
            }
        }
    }

    fn cancel(&mut self, request: &RequestId, events: &mut Vec<Event>) -> Answer {
        match self.claims.iter().find(|claim| claim.request == *request).cloned() {
            Some(claim) => {
                self.end(claim.request, EndReason::Cancelled, events);
                Answer::Cancelled { ended: Some(token_of(&claim)) }
            }
            None => {
                if self.why_ended(request).is_none() {
                    self.remember(*request, EndReason::Cancelled);
                }
                Answer::Cancelled { ended: None }
            }
        }
    }

    fn answer(&self, index: usize) -> ClaimAnswer {
        let claim = &self.claims[index];
        let queue = self.queue_of(&claim.resource);
        let place = queue.iter().position(|request| *request == claim.request);
        ClaimAnswer {
            resource: claim.resource.clone(),
            holder: claim.holder.clone(),
            request: claim.request,
            ttl: LeaseTtl::from_ms(claim.ttl).expect("a ttl"),
            standing: match (token_of(claim), place) {
                (Some(token), _) => Standing::Held { token },
                (None, place) => Standing::Waiting { place: place.expect("it waits") as u64 + 1 },
            },
            valid_for_ms: claim.deadline - self.now,
        }
    }

    fn why_ended(&self, request: &RequestId) -> Option<EndReason> {
        self.ended.iter().find(|(ended, _, _)| ended == request).map(|(_, why, _)| *why)
    }

    fn holder_of(&self, resource: &ResourceName) -> Option<usize> {
        self.claims.iter().position(|claim| claim.resource == *resource && claim.lease.is_some())
    }

    fn queue_of(&self, resource: &ResourceName) -> Vec<RequestId> {
        let queued =
            self.claims.iter().filter(|claim| claim.resource == *resource && claim.lease.is_none());
        queued.map(|claim| claim.request).collect()
    }
}

fn due(claim: &ModelClaim) -> u64 {
    match claim.lease {
        Some(_) => claim.deadline,
        None => claim.deadline.min(claim.joined + claim.wait),
    }
}

pub(crate) fn token_of(claim: &ModelClaim) -> Option<FencingToken> {
    claim.lease.and_then(|(token, _)| FencingToken::new(token))
}
