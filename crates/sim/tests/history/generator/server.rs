//! The lease cluster: one real state machine, stamped with virtual time, committing in batches.

use std::collections::BTreeMap;

use leasehold_core::{
    Acquire, Answer as Applied, ClaimAnswer, Command, Event, EventKind, LeaseState, Outcome, Renew,
    Settings, Standing as Stands,
};
use leasehold_sim::history::record::{
    self, Cancelled, Held, Listed, Record, Refused, Released, Seen, Standing,
};
use leasehold_types::{
    EndReason, FencingToken, Holder, LeaseTime, LeaseTtl, Refusal, RequestId, ResourceName,
    WaitLimit,
};

use super::answers::{Answer, request_name};
use super::{Ask, Happening, MS, World};

pub struct Server {
    state: LeaseState,
    /// What arrived since the last commit: a call's command, or one of the node's own.
    inbox: Vec<(Option<usize>, Command)>,
    reads: Vec<usize>,
    is_due: bool,
    next_pulse: u64,
    /// Calls that wait for their claim, with the lease time at which their `Acquire` was applied.
    waiting: BTreeMap<RequestId, Vec<(usize, LeaseTime)>>,
}

impl Default for Server {
    fn default() -> Self {
        let (inbox, reads) = (Vec::new(), Vec::new());
        let state = LeaseState::new(Settings::default());
        Self { state, inbox, reads, is_due: false, next_pulse: 0, waiting: BTreeMap::new() }
    }
}

impl Server {
    pub fn revision(&self) -> u64 {
        self.state.revision().0
    }
}

fn fencing(value: u64) -> FencingToken {
    FencingToken::new(value).expect("not 0")
}

fn request_id(request: u64) -> RequestId {
    RequestId::from_bytes(u128::from(request).to_be_bytes())
}

fn name(resource: &str) -> ResourceName {
    ResourceName::new(resource).expect("a name")
}

fn command(ask: &Ask) -> Option<Command> {
    Some(match ask {
        Ask::Acquire { request, resource, ttl_ms, wait_ms } => Command::Acquire(Acquire {
            resource: name(resource),
            holder: Holder::new("").expect("a holder"),
            request: request_id(*request),
            ttl: LeaseTtl::from_ms(*ttl_ms).expect("a ttl"),
            wait: WaitLimit::from_ms(*wait_ms).expect("a wait"),
        }),
        Ask::RenewToken { token, .. } => {
            Command::Renew(Renew { tokens: vec![fencing(*token)], requests: Vec::new() })
        }
        Ask::Release { resource, token } => {
            Command::Release { resource: name(resource), token: fencing(*token) }
        }
        Ask::Cancel { request, .. } => Command::Cancel { request: request_id(*request) },
        _ => return None,
    })
}

impl World {
    pub fn arrive(&mut self, call: usize) {
        let ask = self.calls[call].ask.clone();
        match (command(&ask), ask) {
            (Some(command), _) => self.server.inbox.push((Some(call), command)),
            (None, Ask::Get { .. } | Ask::List) => self.server.reads.push(call),
            (None, ask) => {
                let answer = self.store.answer(&ask);
                return self.reply(call, answer);
            }
        }
        self.commit_within(10 * MS);
    }

    fn commit_within(&mut self, most: u64) {
        if !std::mem::replace(&mut self.server.is_due, true) {
            let delay = self.between(1, most);
            self.later(delay, Happening::Commit);
        }
    }

    /// One log entry: stamped when it is closed.
    pub fn commit(&mut self) {
        self.server.is_due = false;
        let inbox = std::mem::take(&mut self.server.inbox);
        let batch: Vec<Command> = inbox.iter().map(|(_, command)| command.clone()).collect();
        let batch = if batch.is_empty() { vec![Command::Pulse] } else { batch };
        let applied = self.server.state.apply(LeaseTime(self.now / MS), &batch);
        for ((call, command), outcome) in inbox.iter().zip(&applied.outcomes) {
            if let Some(call) = call {
                self.outcome(*call, command, outcome);
            }
        }
        for event in &applied.events {
            self.wake_waiting(event);
        }
        self.watch(applied.events.iter().map(event_line).collect());
        for call in std::mem::take(&mut self.server.reads) {
            let answer = self.read(call);
            self.reply(call, answer);
        }
        if let Some(due) = self.server.state.next_deadline() {
            let delay = (due.0 * MS).saturating_sub(self.now) + self.between(0, 250 * MS);
            self.server.next_pulse = self.now + delay;
            self.later(delay, Happening::Pulse);
        }
    }

    /// Time alone: what is due ends. Only the pulse that was asked for last counts.
    pub fn pulse(&mut self) {
        if self.now == self.server.next_pulse {
            self.commit();
        }
    }

    fn outcome(&mut self, call: usize, command: &Command, outcome: &Outcome) {
        let revision = Some(outcome.revision.0);
        let answer = match &outcome.answer {
            Applied::Claim(claim) if matches!(claim.standing, Stands::Waiting { .. }) => {
                let waiting = self.server.waiting.entry(claim.request).or_default();
                waiting.push((call, outcome.at));
                return self.later(300 * MS, Happening::KeepAlive { call });
            }
            Applied::Claim(claim) => Answer::Standing(standing(claim, revision)),
            Applied::Renewed(items) => match &items[0] {
                Ok(claim) => Answer::Standing(standing(claim, revision)),
                Err(refusal) => refused(refusal, revision),
            },
            Applied::Released { was_held } => {
                Answer::Released(Released { was_held: *was_held, revision })
            }
            Applied::Cancelled { ended } => Answer::Cancelled(Cancelled {
                was_live: ended.is_some(),
                released_token: ended.flatten().map(Into::into),
                revision,
            }),
            Applied::Refused(refusal) => refused(refusal, revision),
            Applied::Pulsed => unreachable!("{command:?} is not a pulse"),
        };
        self.reply(call, answer);
    }

    fn wake_waiting(&mut self, event: &Event) {
        if let EventKind::Queued { .. } = event.kind {
            return;
        }
        for (call, applied) in self.server.waiting.remove(&event.request).unwrap_or_default() {
            let answer = match event.kind {
                EventKind::Granted { token, deadline, .. } => Answer::Standing(Standing {
                    token: Some(token.into()),
                    valid_for_ms: Some(deadline.since_ms(applied)),
                    revision: Some(event.revision.0),
                    place: None,
                }),
                EventKind::Ended { why: EndReason::WaitOver, .. } => {
                    refused(&Refusal::WaitOver, None)
                }
                EventKind::Ended { why, .. } => refused(&Refusal::Ended { why }, None),
                EventKind::Queued { .. } => unreachable!("passed over above"),
            };
            self.reply(call, answer);
        }
    }

    /// While a waiting call is open its node keeps the claim alive.
    pub fn keep_alive(&mut self, call: usize) {
        let Ask::Acquire { request, .. } = self.calls[call].ask else { return };
        let request = request_id(request);
        if !self.calls[call].is_over && self.server.waiting.contains_key(&request) {
            let renew = Renew { tokens: Vec::new(), requests: vec![request] };
            self.server.inbox.push((None, Command::Renew(renew)));
            self.commit_within(10 * MS);
            self.later(300 * MS, Happening::KeepAlive { call });
        }
    }

    fn read(&self, call: usize) -> Answer {
        let state = &self.server.state;
        let revision = Some(state.revision().0);
        let token = |claim: &ClaimAnswer| standing(claim, None).token;
        match &self.calls[call].ask {
            Ask::Get { resource } => {
                let token = state.get(resource).and_then(|view| token(&view.lease));
                Answer::Seen(Seen { token, revision })
            }
            _ => {
                let views = state.list("r", None, 100);
                let held = views.iter().filter_map(|view| {
                    let resource = view.lease.resource.as_str().to_owned();
                    Some(Held { resource, token: token(&view.lease)? })
                });
                Answer::Listed(Listed { resources: held.collect(), more: false, revision })
            }
        }
    }
}

fn standing(claim: &ClaimAnswer, revision: Option<u64>) -> Standing {
    let (token, place) = match claim.standing {
        Stands::Held { token } => (Some(token.into()), None),
        Stands::Waiting { place } => (None, Some(place)),
    };
    Standing { token, place, valid_for_ms: Some(claim.valid_for_ms), revision }
}

fn refused(refusal: &Refusal, revision: Option<u64>) -> Answer {
    let held_token = match refusal {
        Refusal::Held { by, .. } => Some(by.token.into()),
        _ => None,
    };
    Answer::Refused(Refused { revision, held_token, ..Refused::because(refusal.reason()) })
}

fn event_line(event: &Event) -> Record {
    let (kind, token) = match event.kind {
        EventKind::Granted { token, .. } => (record::EventKind::Granted, Some(token)),
        EventKind::Queued { .. } => (record::EventKind::Queued, None),
        EventKind::Ended { token, why } => match why {
            EndReason::Released | EndReason::Cancelled => (record::EventKind::Released, token),
            EndReason::Expired | EndReason::WaitOver => (record::EventKind::Expired, token),
        },
    };
    Record::Event(record::Event {
        client: "w1".into(),
        resource: event.resource.as_str().to_owned(),
        request_id: request_name_of(event.request),
        event: kind,
        token: token.map(Into::into),
        revision: event.revision.0,
        received_ns: 0,
    })
}

fn request_name_of(request: RequestId) -> String {
    let number = u128::from_be_bytes(*request.as_bytes());
    request_name(u64::try_from(number).expect("made from a u64"))
}
