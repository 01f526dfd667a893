//! The state machine: what a log entry does.

use alloc::vec::Vec;

use leasehold_types::{
    EndReason, FencingToken, LeaseTime, LeaseTtl, Refusal, RequestId, ResourceName, Revision,
};

use crate::claim::Claim;
use crate::claims::{Claims, Removed};
use crate::memory::{EndedId, Memory};
use crate::slab::Slot;
use crate::{Answer, Applied, Command, Event, EventKind, Outcome, Renew, Settings};

/// Lease time beyond which nothing is applied: every sum with a ttl, a wait or a memory still fits.
pub(crate) const NOW_MAX: LeaseTime = LeaseTime(u64::MAX - 2 * LeaseTtl::MAX.as_ms());

/// Every live claim of a cluster, the memory of those that ended, and the counters.
///
/// [`LeaseState::apply`] is the only way to change it, and everything that consults is in here or in
/// the batch: two nodes that applied the same log entries have the same snapshot, byte for byte.
#[derive(Clone, Debug)]
pub struct LeaseState {
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) claims: Claims,
    pub(crate) memory: Memory,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) now: LeaseTime,
    /// Where more was due than one entry ends: due time and age of the last that ended. The others follow
    /// in order.
    pub(crate) ends_left: Option<(LeaseTime, Revision)>,
    pub(crate) revision: Revision,
    /// The token of the next grant. Stops at `u64::MAX`, so that every token issued is below it.
    pub(crate) next_token: FencingToken,
    /// Nothing is granted before this.
    pub(crate) embargo: LeaseTime,
}

impl LeaseState {
    /// An empty cluster.
    ///
    /// # Panics
    /// When the settings do not pass [`Settings::check`]: they are checked where they are read.
    pub fn new(settings: Settings) -> Self {
        settings.check().expect("settings are checked where they are read");
        let counters = Counters {
            now: LeaseTime(0),
            ends_left: None,
            revision: Revision(0),
            next_token: FencingToken::new(1).expect("1 is a token"),
            embargo: LeaseTime(0),
        };
        Self { settings, counters, claims: Claims::default(), memory: Memory::default() }
    }

    /// Applies one log entry, in this order:
    ///
    /// 1. Lease time moves on to `at`, never back.
    /// 2. The batch's renewals. A claim that nobody has ended was granted to nobody else, so saving it
    ///    late is safe, and a slow batch never ends a claim whose renewal sits in it.
    /// 3. The claims that are due end, in order of (due, age), and only then is each freed resource
    ///    handed to its first remaining waiter: a waiter that is due itself ends, and gets nothing. Where
    ///    more are due than [`Settings::ends_per_entry`], the rest is left to the next entry.
    /// 4. The other commands, in order, each handing over at once what it frees. Whatever of the rest a
    ///    command comes upon ends before it, as if all had ended.
    ///
    /// Outcomes are by position. An outcome's revision is that just after its command, so a renewal's
    /// may be smaller than that of a command before it.
    ///
    /// Where a counter could reach its end, nothing at all is applied and every command is refused
    /// with [`Refusal::Exhausted`].
    pub fn apply(&mut self, at: LeaseTime, batch: &[Command]) -> Applied {
        if self.is_exhausted_by(at, batch.len()) {
            let refused = || self.outcome(Err(Refusal::Exhausted));
            return Applied {
                outcomes: batch.iter().map(|_| refused()).collect(),
                events: Vec::new(),
            };
        }
        self.counters.now = self.counters.now.max(at);
        self.forget_ended();
        let renewals = batch.iter().filter_map(|command| match command {
            Command::Renew(renew) => Some(renew),
            _ => None,
        });
        let renewed: Vec<Outcome> = renewals.map(|renew| self.apply_renewal(renew)).collect();
        let mut renewed = renewed.into_iter();
        let mut events = Vec::new();
        self.end_due(&mut events);
        let others = |command: &Command| match command {
            Command::Renew(_) => renewed.next().expect("one outcome for each renewal"),
            other => self.execute(other, &mut events),
        };
        let outcomes = batch.iter().map(others).collect();
        Applied { outcomes, events }
    }

    /// Whether applying that many commands at `at` could bring a counter to its end. Each claim, live
    /// or new, is granted at most once and ends at most once.
    fn is_exhausted_by(&self, at: LeaseTime, commands: usize) -> bool {
        let (commands, claims) = (commands as u64, (self.claims.len() + commands) as u64);
        let Counters { revision, next_token, .. } = self.counters;
        at > NOW_MAX
            || next_token.get().checked_add(claims).is_none()
            || revision.0.checked_add(commands + 2 * claims).is_none()
    }

    fn forget_ended(&mut self) {
        if let Some(until) = self.counters.now.0.checked_sub(self.settings.ended_memory_ms) {
            self.memory.forget_until(LeaseTime(until));
        }
    }

    fn end_due(&mut self, events: &mut Vec<Event>) {
        let (mut freed, mut ends, mut last) = (Vec::new(), 0, None);
        self.counters.ends_left = None;
        while let Some((due, slot)) = self.claims.first_due()
            && due <= self.counters.now
        {
            if ends == self.settings.ends_per_entry {
                self.counters.ends_left = last;
                break;
            }
            let Removed { claim, frees_for_waiters } = self.end_as_due(slot, events);
            (ends, last) = (ends + 1, Some((due, claim.age)));
            if frees_for_waiters {
                freed.push(claim.resource);
            }
        }
        for resource in &freed {
            self.hand_over(resource, events);
        }
    }

    /// Ends what `command` looks at where that is due and was left to a later entry.
    fn end_what_it_meets(&mut self, command: &Command, events: &mut Vec<Event>) {
        if self.counters.ends_left.is_none() {
            return;
        }
        let named = match command {
            Command::Acquire(wish) => self.claims.with_request(&wish.request),
            Command::Cancel { request } => self.claims.with_request(request),
            Command::Release { token, .. } => self.claims.with_token(*token),
            Command::Renew(_) | Command::Pulse => None,
        };
        self.end_if_due(named, events);
        if let Command::Acquire(wish) = command {
            let resource = self.claims.resource(wish.resource.as_str());
            self.end_if_due(resource.and_then(|resource| resource.lease), events);
        }
    }

    fn end_if_due(&mut self, slot: Option<Slot>, events: &mut Vec<Event>) {
        let Some(slot) = slot else { return };
        let claim = self.claims.get(slot);
        if claim.due() <= self.counters.now {
            let why = claim.reason_when_due();
            self.end_and_hand_over(slot, why, events);
        }
    }

    fn apply_renewal(&mut self, renew: &Renew) -> Outcome {
        self.next_revision();
        let answer = self.renew(renew);
        self.outcome(Ok(answer))
    }

    fn execute(&mut self, command: &Command, events: &mut Vec<Event>) -> Outcome {
        self.end_what_it_meets(command, events);
        self.next_revision();
        let answer = match command {
            Command::Acquire(wish) => self.acquire(wish, events),
            Command::Release { resource, token } => self.release(resource, *token, events),
            Command::Cancel { request } => Ok(self.cancel(request, events)),
            Command::Pulse => Ok(Answer::Pulsed),
            Command::Renew(_) => unreachable!("renewals are applied before"),
        };
        self.outcome(answer)
    }

    fn outcome(&self, answer: Result<Answer, Refusal>) -> Outcome {
        let answer = answer.unwrap_or_else(Answer::Refused);
        Outcome { revision: self.counters.revision, at: self.counters.now, answer }
    }

    fn end_as_due(&mut self, slot: Slot, events: &mut Vec<Event>) -> Removed {
        let why = self.claims.get(slot).reason_when_due();
        self.end(slot, why, events)
    }

    /// Ends a claim and remembers its request id.
    pub(crate) fn end(&mut self, slot: Slot, why: EndReason, events: &mut Vec<Event>) -> Removed {
        let removed = self.claims.remove(slot);
        let claim = &removed.claim;
        self.remember(claim.request, why);
        let revision = self.next_revision();
        events.push(self.event(revision, claim, EventKind::Ended { token: claim.token(), why }));
        removed
    }

    pub(crate) fn remember(&mut self, request: RequestId, why: EndReason) {
        let ended = EndedId { request, why, at: self.counters.now };
        self.memory.remember(ended, self.settings.ended_memory_max);
    }

    /// Grants a free resource to its first waiter that is not due itself, if there is one.
    pub(crate) fn hand_over(&mut self, resource: &ResourceName, events: &mut Vec<Event>) {
        while let Some(slot) = self.claims.next_in_line(resource) {
            let claim = self.claims.get(slot);
            if claim.due() > self.counters.now {
                let token = self.issue_token();
                self.claims.grant(slot, token, self.counters.now);
                return self.note_grant(slot, token, events);
            }
            self.end_as_due(slot, events);
        }
    }

    pub(crate) fn note_grant(&mut self, slot: Slot, token: FencingToken, events: &mut Vec<Event>) {
        let revision = self.next_revision();
        let claim = self.claims.get(slot);
        let kind = EventKind::Granted { token, ttl: claim.ttl, deadline: claim.deadline };
        events.push(self.event(revision, claim, kind));
    }

    pub(crate) fn event(&self, revision: Revision, claim: &Claim, kind: EventKind) -> Event {
        Event {
            revision,
            at: self.counters.now,
            resource: claim.resource.clone(),
            holder: claim.holder.clone(),
            request: claim.request,
            kind,
        }
    }

    pub(crate) fn issue_token(&mut self) -> FencingToken {
        let token = self.counters.next_token;
        let next = token.get().checked_add(1).and_then(FencingToken::new);
        self.counters.next_token = next.expect("a batch that could exhaust tokens is refused");
        token
    }

    fn next_revision(&mut self) -> Revision {
        let next = self.counters.revision.0.checked_add(1);
        let next = next.expect("a batch that could exhaust revisions is refused");
        self.counters.revision = Revision(next);
        self.counters.revision
    }
}
