//! A lease cluster of one resource in a hundred lines: slow, naive, and honest.

#![allow(unreachable_pub, reason = "shared by test crates")]

use std::collections::BTreeMap;

use leasehold_api::Problem;
use leasehold_client::message::{Answer, Command};
use leasehold_types::{
    Acquire, ClaimAnswer, EndReason, FencingToken, HeldBy, Refusal, RequestId, Standing,
};

#[derive(Clone, Debug)]
struct Live {
    ask: Acquire,
    token: Option<FencingToken>,
    deadline: u64,
    wait_until: u64,
}

/// The cluster. Claims in order of age; the first that has a token holds.
#[derive(Debug, Default)]
pub struct Model {
    now: u64,
    last_token: u64,
    claims: Vec<Live>,
    ended: BTreeMap<RequestId, EndReason>,
    /// Every id that was ever granted.
    pub granted: Vec<RequestId>,
}

impl Model {
    /// Lease time moves on; claims end.
    pub fn move_to(&mut self, now: u64) {
        self.now = self.now.max(now);
        let over = |claim: &Live| {
            if claim.deadline <= self.now {
                Some(EndReason::Expired)
            } else if claim.token.is_none() && claim.wait_until <= self.now {
                Some(EndReason::WaitOver)
            } else {
                None
            }
        };
        for claim in &self.claims {
            if let Some(why) = over(claim) {
                self.ended.insert(claim.ask.request, why);
            }
        }
        self.claims.retain(|claim| !self.ended.contains_key(&claim.ask.request));
        self.hand_over();
    }

    /// The token of the live lease.
    pub fn holder(&self) -> Option<FencingToken> {
        self.claims.iter().find_map(|claim| claim.token)
    }

    pub fn is_free(&self) -> bool {
        self.claims.is_empty()
    }

    pub fn apply(&mut self, command: &Command) -> Answer {
        match command {
            Command::Acquire(ask) => match self.acquire(ask) {
                Ok(claim) => Answer::Acquired(claim),
                Err(refusal) => Answer::Failed { problem: refusal.into(), retry_after: None },
            },
            Command::Renew(requests) => Answer::Renewed(
                requests.iter().map(|id| self.renew(*id).map_err(Problem::from)).collect(),
            ),
            Command::Release { token, .. } => {
                let id = self.claims.iter().find(|claim| claim.token == Some(*token));
                let id = id.map(|claim| claim.ask.request);
                Answer::Released { was_held: id.is_some_and(|id| self.end(id)) }
            }
            Command::Cancel(id) => Answer::Cancelled { was_live: self.end(*id) },
        }
    }

    fn acquire(&mut self, ask: &Acquire) -> Result<ClaimAnswer, Refusal> {
        if let Some(why) = self.ended.get(&ask.request) {
            return Err(Refusal::Ended { why: *why });
        }
        if !self.claims.iter().any(|claim| claim.ask.request == ask.request) {
            if let (Some(token), true) = (self.holder(), ask.wait.is_none()) {
                let by = HeldBy {
                    holder: ask.holder.clone(),
                    token,
                    held_for_ms: 0,
                    ends_in_ms: 0,
                    queue_length: 0,
                };
                return Err(Refusal::Held { resource: ask.resource.clone(), by });
            }
            self.claims.push(Live {
                ask: ask.clone(),
                token: None,
                deadline: self.now + ask.ttl.as_ms(),
                wait_until: self.now + ask.wait.as_ms(),
            });
            self.hand_over();
        }
        Ok(self.answer(ask.request).expect("it is there"))
    }

    fn renew(&mut self, id: RequestId) -> Result<ClaimAnswer, Refusal> {
        let now = self.now;
        match self.claims.iter_mut().find(|claim| claim.ask.request == id) {
            Some(claim) => claim.deadline = claim.deadline.max(now + claim.ask.ttl.as_ms()),
            None => {
                let why = self.ended.get(&id).copied().unwrap_or(EndReason::Expired);
                return Err(Refusal::Ended { why });
            }
        }
        Ok(self.answer(id).expect("it is there"))
    }

    fn end(&mut self, id: RequestId) -> bool {
        let before = self.claims.len();
        self.claims.retain(|claim| claim.ask.request != id);
        self.ended.entry(id).or_insert(EndReason::Cancelled);
        self.hand_over();
        self.claims.len() < before
    }

    fn hand_over(&mut self) {
        if self.holder().is_none()
            && let Some(next) = self.claims.first_mut()
        {
            self.last_token += 1;
            next.token = FencingToken::new(self.last_token);
            self.granted.push(next.ask.request);
        }
    }

    fn answer(&self, id: RequestId) -> Option<ClaimAnswer> {
        let place = self.claims.iter().position(|claim| claim.ask.request == id)?;
        let claim = &self.claims[place];
        Some(ClaimAnswer {
            resource: claim.ask.resource.clone(),
            holder: claim.ask.holder.clone(),
            request: id,
            ttl: claim.ask.ttl,
            standing: match claim.token {
                Some(token) => Standing::Held { token },
                None => Standing::Waiting { place: u64::try_from(place).expect("small") },
            },
            valid_for_ms: claim.deadline - self.now,
        })
    }
}
