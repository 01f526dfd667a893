//! One state of the world.
//!
//! All times are relative: to lease time, or to the moment something was sent. Tokens and the lease
//! state itself are absolute, since the real state machine deals them; [`crate::key`] says which
//! states are the same all the same.

use crate::config::{Config, GrantAnswer, Rates};
use crate::ghost::Ghost;
use crate::happening::Happenings;
use crate::lease::Lease;

/// Claims that one client may begin at most.
pub(crate) const CLAIMS_MAX: u8 = 4;

/// The number of a client's claim, which stands for its random request id.
pub(crate) fn number(client: usize, ordinal: u8) -> u8 {
    client as u8 * CLAIMS_MAX + ordinal
}

/// A state.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) lease: Lease,
    pub(crate) leader: Option<Leader>,
    /// The leader before, which does not know it yet: its messages and proposals may still come.
    pub(crate) deposed: Option<Deposed>,
    /// The one uncommitted log entry.
    pub(crate) entry: Option<Entry>,
    pub(crate) clients: Vec<Client>,
    /// Messages under way, in no order.
    pub(crate) wire: Vec<Message>,
    /// `Acquire` calls of waiters that a node keeps open.
    pub(crate) calls: Vec<Call>,
    pub(crate) store: Store,
    pub(crate) left: Budgets,
    pub(crate) rates: Rates,
    pub(crate) ghost: Ghost,
    /// What the step that led here did; not part of the state.
    pub(crate) happened: Happenings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    /// Whether it has applied the first entry of its leadership and noted lease time.
    pub(crate) noted: bool,
    /// How far its lease clock is ahead of lease time.
    pub(crate) ahead_ms: u64,
    /// What passed on its clock since its last turn, while it was frozen.
    pub(crate) owed_ms: u64,
}

/// What a deposed leader still has in its memory. The protocol reads none of it; some mutants do.
#[derive(Clone, Debug)]
pub(crate) struct Deposed {
    pub(crate) ahead_ms: u64,
    pub(crate) owed_ms: u64,
    /// Its replica, as it was then, and how far its clock has gone from there.
    pub(crate) replica: Lease,
    pub(crate) replica_age_ms: u64,
    /// Its proposal that another leader's entry has replaced.
    pub(crate) replaced: Option<Message>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Requests in it; none is a pulse.
    pub(crate) requests: Vec<Message>,
    /// Its stamp's lead over lease time, once it is closed.
    pub(crate) stamp_ms: u64,
    pub(crate) closed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) begun: u8,
    pub(crate) claim: Option<Claim>,
    /// Writes that passed the check, with the process stopped or the network slow: they come whenever.
    pub(crate) writes: Vec<Write>,
}

/// What a client knows of its claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) ordinal: u8,
    pub(crate) waits: bool,
    /// Steps of time since the first attempt.
    pub(crate) since_first: u8,
    /// `Acquire` attempts sent, two for more.
    pub(crate) attempts: u8,
    pub(crate) told: Told,
    /// How much longer it may believe, in ns of its own clock.
    pub(crate) trusted_ns: u64,
    pub(crate) intent: Intent,
    /// Writes begun, and whether the last one is unanswered.
    pub(crate) writes: u8,
    pub(crate) is_writing: bool,
    /// Steps of time since the latest attempt: one mutant counts from there.
    pub(crate) since_latest: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Nothing,
    Waiting,
    Held { token: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intent {
    Keep,
    Cancel,
    Release,
}

/// A message of or to a client, about one of its claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) client: usize,
    pub(crate) ordinal: u8,
    /// Steps of time since the attempt was sent; a reply has the age of its attempt.
    pub(crate) age: u8,
    pub(crate) body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Body {
    Acquire { waits: bool },
    RenewRequest,
    RenewToken { token: u64 },
    Release { token: u64 },
    Cancel,
    Reply(Reply),
}

impl Body {
    pub(crate) fn is_request(self) -> bool {
        !matches!(self, Self::Reply(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    Held {
        token: u64,
        valid_for_ms: u64,
    },
    Waiting,
    /// Somebody else holds it.
    Refused,
    /// The claim of this id has ended.
    Ended,
    NotHolder,
    Released,
    Cancelled,
    /// A push: it was granted.
    Granted {
        token: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) ordinal: u8,
    pub(crate) age: u8,
    /// Lease time that passed since its `Acquire` was applied.
    pub(crate) applied_ms_ago: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) token: u64,
    pub(crate) sequence: u64,
    /// Whether nobody else's write was accepted since this one's value was read.
    pub(crate) fresh: bool,
    /// Whether it was acknowledged once: what comes now is a copy.
    pub(crate) copy: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) mark: leasehold_fence::Mark,
    /// Admitted, not yet durable, not yet answered.
    pub(crate) unsynced: Option<(leasehold_fence::Mark, Write)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budgets {
    pub(crate) elections: u8,
    pub(crate) client_crashes: u8,
    pub(crate) store_crashes: u8,
    pub(crate) copies: u8,
}

impl World {
    pub(crate) fn new(config: &Config, rates: &Rates) -> Self {
        let leader = Leader { noted: true, ahead_ms: 0, owed_ms: 0 };
        Self {
            lease: Lease::new(config),
            leader: Some(leader),
            deposed: None,
            entry: None,
            clients: vec![Client::default(); config.clients],
            wire: Vec::new(),
            calls: Vec::new(),
            store: Store::default(),
            left: Budgets {
                elections: config.elections,
                client_crashes: config.client_crashes,
                store_crashes: config.store.map_or(0, |store| store.crashes),
                copies: config.copies,
            },
            rates: rates.clone(),
            ghost: Ghost::new(config.clients),
            happened: Happenings::default(),
        }
    }

    /// The claim that a message is about, if its client still has it.
    pub(crate) fn claim_mut(&mut self, client: usize, ordinal: u8) -> Option<&mut Claim> {
        self.clients[client].claim.as_mut().filter(|claim| claim.ordinal == ordinal)
    }

    /// Puts a message on the wire. What its client would not look at any more is not sent: whoever
    /// receives it does nothing.
    pub(crate) fn send(&mut self, mut message: Message) {
        if matches!(message.body, Body::Reply(reply) if !matches!(reply, Reply::Held { .. })) {
            message.age = 0;
        }
        let is_read =
            message.body.is_request() || self.claim_mut(message.client, message.ordinal).is_some();
        if is_read && !self.wire.contains(&message) {
            self.wire.push(message);
        }
    }

    /// Whether anybody will ever name a request again: its client, a message, an open call.
    pub(crate) fn is_mentioned(&self, request: u8) -> bool {
        let names = |message: &Message| number(message.client, message.ordinal) == request;
        let client = &self.clients[usize::from(request / CLAIMS_MAX)];
        let entry = self.entry.iter().flat_map(|entry| &entry.requests);
        client.claim.as_ref().is_some_and(|claim| claim.ordinal == request % CLAIMS_MAX)
            || self.wire.iter().chain(entry).any(names)
            || self.calls.iter().any(|call| number(call.client, call.ordinal) == request)
    }

    /// Whether a client may have one more message under way.
    pub(crate) fn has_room(&self, config: &Config, client: usize) -> bool {
        let entry = self.entry.iter().flat_map(|entry| &entry.requests);
        let under_way = self.wire.iter().chain(entry).filter(|message| message.client == client);
        under_way.count() < config.messages
    }

    /// Whether a client acts as holder if it looks now.
    pub(crate) fn believes(&self, client: usize) -> Option<u64> {
        let claim = self.clients[client].claim.as_ref()?;
        let Told::Held { token } = claim.told else { return None };
        (claim.trusted_ns > 0).then_some(token)
    }

    /// Remembers the calls that stay open: those of waiters, where grants are answered that way.
    pub(crate) fn keep_open(&mut self, config: &Config, attempt: &Message) {
        if config.grants == GrantAnswer::OpenCall {
            let Message { client, ordinal, age, .. } = *attempt;
            let call = Call { client, ordinal, age, applied_ms_ago: 0 };
            if !self.calls.contains(&call) {
                self.calls.push(call);
            }
        }
    }
}
