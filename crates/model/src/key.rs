//! When two states are the same.
//!
//! A state's key is a string of bytes made of everything that can make a difference later, and of
//! nothing else. Two states with one key have the same futures, step by step, with the same verdicts,
//! because every rule of the world and of the real `apply`
//!
//! * compares lease times with lease times only, and adds durations to them: so they are written
//!   relative to lease time now;
//! * compares tokens with tokens only, and a new token is above all: so they are written as ranks;
//! * sees only the order of claims, not their revisions ([`crate::facts`] says what of a snapshot is
//!   left out, and why);
//! * treats the messages under way as a set;
//! * treats clients with equal clocks alike: so the smallest of the keys under all permutations of such
//!   clients is taken.
//!
//! A leader's lead over lease time is cut off where everything that lives has ended and every id is
//! forgotten. What a deposed leader remembers, and the judge's notes that say again what the state says
//! (which tokens were issued: all below the next one), are left out: nothing reads them. That the notes
//! do say the same is itself checked at each step. Some mutants do read more: their keys have it all, with
//! tokens as they are.
//!
//! Flaws are always part of the key: a wrong step to a known state is not a known state.

use std::hash::{Hash, Hasher};

use crate::config::Config;
use crate::facts::PhaseFact;
use crate::world::{Body, CLAIMS_MAX, Claim, Message, Reply, Told, World, Write};

/// A state together with what decides whether it is new.
#[derive(Clone, Debug)]
pub struct Keyed {
    world: World,
    key: Box<[u8]>,
}

impl Keyed {
    pub(crate) fn new(config: &Config, world: World) -> Self {
        let key = key(config, &world);
        Self { world, key }
    }

    /// The key's bytes.
    #[cfg(test)]
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl std::ops::Deref for Keyed {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Hash for Keyed {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.key);
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

fn key(config: &Config, world: &World) -> Box<[u8]> {
    let tokens = if config.mutant.reads_more() { None } else { Some(tokens(world)) };
    let orders = permutations(config, world);
    let keys = orders.iter().map(|order| {
        let mut writer = KeyWriter { bytes: Vec::with_capacity(160), order, tokens: &tokens };
        writer.world(config, world);
        writer.bytes
    });
    keys.min().expect("there is at least the identity").into_boxed_slice()
}

/// Every order of the clients in which each has the clock of the one whose place it takes.
fn permutations(config: &Config, world: &World) -> &'static [&'static [usize]] {
    let clocks = &world.rates.clients[..config.clients];
    let alike = clocks.iter().all(|clock| *clock == clocks[0]);
    match (config.clients, alike) {
        (2, true) => &[&[0, 1], &[1, 0]],
        (3, true) => &[&[0, 1, 2], &[0, 2, 1], &[1, 0, 2], &[1, 2, 0], &[2, 0, 1], &[2, 1, 0]],
        _ => &[&[0, 1, 2]],
    }
}

/// Every token that anything in the state compares, in order.
fn tokens(world: &World) -> Vec<u64> {
    let mut tokens = Vec::with_capacity(8);
    tokens.extend(world.lease.facts().lease().and_then(|claim| claim.token()));
    let entry = world.entry.iter().flat_map(|entry| &entry.requests);
    tokens.extend(world.wire.iter().chain(entry).filter_map(|message| body_token(message.body)));
    for client in &world.clients {
        tokens.extend(client.claim.iter().filter_map(|claim| told_token(claim.told)));
        tokens.extend(client.writes.iter().map(|write| write.token));
    }
    tokens.extend(world.store.mark.token().map(|token| token.get()));
    tokens.extend(world.store.unsynced.iter().map(|(_, write)| write.token));
    tokens.push(world.ghost.accepted);
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

fn body_token(body: Body) -> Option<u64> {
    match body {
        Body::RenewToken { token } | Body::Release { token } => Some(token),
        Body::Reply(Reply::Held { token, .. } | Reply::Granted { token }) => Some(token),
        _ => None,
    }
}

fn told_token(told: Told) -> Option<u64> {
    match told {
        Told::Held { token } => Some(token),
        Told::Nothing | Told::Waiting => None,
    }
}

struct KeyWriter<'a> {
    bytes: Vec<u8>,
    /// `order[client]` is the client's place.
    order: &'a [usize],
    tokens: &'a Option<Vec<u64>>,
}

impl KeyWriter<'_> {
    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes()[..6]);
    }

    fn ms(&mut self, ms: u64) {
        let ms = u16::try_from(ms).expect("a time of the model is below a minute");
        self.bytes.extend_from_slice(&ms.to_le_bytes());
    }

    fn token(&mut self, token: u64) {
        let written = match self.tokens {
            Some(tokens) => tokens.binary_search(&token).unwrap_or(usize::MAX) as u64,
            None => token,
        };
        self.byte(written as u8);
    }

    fn request(&mut self, request: u8) {
        let client = self.order[usize::from(request / CLAIMS_MAX)] as u8;
        self.byte(client * CLAIMS_MAX + request % CLAIMS_MAX);
    }

    /// Each of several, without their order.
    fn set<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.byte(items.len() as u8);
        let start = self.bytes.len();
        let mut parts: Vec<Vec<u8>> = Vec::with_capacity(items.len());
        for item in items {
            write(self, item);
            parts.push(self.bytes.split_off(start));
        }
        parts.sort_unstable();
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
    }

    fn world(&mut self, config: &Config, world: &World) {
        self.lease(config, world);
        self.log(config, world);
        self.clients(config, world);
        self.set(&world.wire, |writer, message| writer.message(message));
        self.set(&world.calls, |writer, call| {
            writer.byte((writer.order[call.client] as u8) * CLAIMS_MAX + call.ordinal);
            writer.byte(call.age);
            writer.ms(call.applied_ms_ago);
        });
        self.store(world);
        let left = world.left;
        self.bytes.extend([left.elections, left.client_crashes, left.store_crashes, left.copies]);
        self.ms(world.rates.leader);
        self.ghost(config, world);
    }

    fn lease(&mut self, config: &Config, world: &World) {
        let facts = world.lease.facts();
        self.byte(facts.claims.len() as u8);
        for claim in &facts.claims {
            self.request(claim.request);
            self.ms(claim.deadline - facts.now);
            match claim.phase {
                PhaseFact::Waiting { until } => {
                    self.byte(0);
                    self.ms(until - facts.now);
                }
                PhaseFact::Held { token } => {
                    self.byte(1);
                    self.token(token);
                }
            }
        }
        // Who asks that an id is forgotten again, if nobody names it? L2 does: pulses go on till then.
        let matters =
            |request| config.bound || config.mutant.reads_more() || world.is_mentioned(request);
        for ended in facts.ended.iter().filter(|ended| matters(ended.request)) {
            self.byte(1);
            self.request(ended.request);
            self.byte(ended.why);
            self.ms(facts.now - ended.at);
        }
        self.byte(0);
    }

    fn log(&mut self, config: &Config, world: &World) {
        self.flag(world.leader.is_some());
        if let Some(leader) = &world.leader {
            self.flag(leader.noted);
            self.ms(leader.ahead_ms);
            self.ms(leader.owed_ms);
        }
        self.flag(world.entry.is_some());
        if let Some(entry) = &world.entry {
            self.flag(entry.closed);
            self.ms(entry.stamp_ms);
            self.byte(entry.requests.len() as u8);
            entry.requests.iter().for_each(|request| self.message(request));
        }
        if !config.mutant.reads_more() {
            return;
        }
        self.flag(world.deposed.is_some());
        if let Some(deposed) = &world.deposed {
            self.ms(deposed.ahead_ms);
            self.ms(deposed.owed_ms);
            self.ms(deposed.replica_age_ms);
            self.bytes.extend_from_slice(deposed.replica.bytes());
            deposed.replaced.iter().for_each(|request| self.message(request));
        }
    }

    fn clients(&mut self, config: &Config, world: &World) {
        for place in 0..config.clients {
            let index = (0..config.clients).find(|index| self.order[*index] == place);
            let client = &world.clients[index.expect("an order is a permutation")];
            self.byte(client.begun);
            self.ms(world.rates.clients[place]);
            self.flag(client.claim.is_some());
            client.claim.iter().for_each(|claim| self.claim(config, claim));
            self.set(&client.writes, Self::write);
        }
    }

    fn claim(&mut self, config: &Config, claim: &Claim) {
        self.byte(claim.ordinal);
        self.flag(claim.waits);
        self.byte(claim.since_first);
        self.byte(claim.attempts);
        match claim.told {
            Told::Nothing => self.byte(0),
            Told::Waiting => self.byte(1),
            Told::Held { token } => {
                self.byte(2);
                self.token(token);
            }
        }
        self.number(claim.trusted_ns);
        self.byte(claim.intent as u8);
        self.byte(claim.writes);
        self.flag(claim.is_writing);
        if config.mutant.reads_more() {
            self.byte(claim.since_latest);
        }
    }

    fn write(&mut self, write: &Write) {
        self.token(write.token);
        self.byte(write.sequence as u8);
        self.flag(write.fresh);
        self.flag(write.copy);
    }

    fn message(&mut self, message: &Message) {
        self.byte((self.order[message.client] as u8) * CLAIMS_MAX + message.ordinal);
        self.byte(message.age);
        match message.body {
            Body::Acquire { waits } => self.byte(u8::from(waits)),
            Body::RenewRequest => self.byte(2),
            Body::RenewToken { token } => {
                self.byte(3);
                self.token(token);
            }
            Body::Release { token } => {
                self.byte(4);
                self.token(token);
            }
            Body::Cancel => self.byte(5),
            Body::Reply(reply) => self.reply(reply),
        }
    }

    fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Held { token, valid_for_ms } => {
                self.byte(6);
                self.token(token);
                self.ms(valid_for_ms);
            }
            Reply::Waiting => self.byte(7),
            Reply::Refused => self.byte(8),
            Reply::Ended => self.byte(9),
            Reply::NotHolder => self.byte(10),
            Reply::Released => self.byte(11),
            Reply::Cancelled => self.byte(12),
            Reply::Granted { token } => {
                self.byte(13);
                self.token(token);
            }
        }
    }

    fn store(&mut self, world: &World) {
        self.mark(world.store.mark);
        self.flag(world.store.unsynced.is_some());
        if let Some((mark, write)) = &world.store.unsynced {
            self.mark(*mark);
            self.write(write);
        }
        self.token(world.ghost.accepted);
    }

    fn mark(&mut self, mark: leasehold_fence::Mark) {
        let (token, sequence) = mark.to_parts();
        self.flag(token != 0);
        if token != 0 {
            self.token(token);
            self.byte(sequence as u8);
        }
    }

    fn ghost(&mut self, config: &Config, world: &World) {
        let ghost = &world.ghost;
        self.bytes.extend_from_slice(&ghost.flaws().to_le_bytes());
        for place in 0..config.clients {
            let client = (0..config.clients).find(|index| self.order[*index] == place);
            let client = client.expect("an order is a permutation");
            for ordinal in 0..config.claims {
                let request = crate::world::number(client, ordinal);
                let fate = &ghost.fates[usize::from(request)];
                let lives = world.lease.facts().claim(request).is_some();
                if !lives && !config.mutant.reads_more() && !world.is_mentioned(request) {
                    continue;
                }
                self.byte(ordinal);
                self.flag(fate.token != 0);
                self.flag(fate.said_no);
                self.byte(fate.idle);
                self.byte(fate.changes);
                if config.mutant.reads_more() {
                    self.byte(fate.token as u8);
                    self.byte(fate.asked_after as u8);
                }
            }
        }
        self.byte(u8::MAX);
        if config.mutant.reads_more() {
            self.number(ghost.issued);
            self.number(ghost.presented);
            self.number(ghost.answered);
            self.number(world.lease.facts().next_token);
        }
    }
}
