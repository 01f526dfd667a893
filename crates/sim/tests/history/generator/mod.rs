//! Good histories: honest clients, the real lease state machine and the real fence, on virtual time,
//! behind a network that delays and loses. Everything follows from one seed.

mod answers;
mod client;
mod holding;
mod server;
mod store;

use std::collections::BTreeMap;

use leasehold_sim::history::record::{Record, Span, Watched};

use client::Client;
use server::Server;
use store::Store;

pub const MS: u64 = 1_000_000;

/// How large a history.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub clients: usize,
    pub resources: usize,
    /// Claims that each client makes.
    pub rounds: usize,
}

impl Shape {
    /// Small enough for a full search.
    pub const SMALL: Self = Self { clients: 3, resources: 1, rounds: 2 };
    /// Large enough for everything to happen.
    pub const LARGE: Self = Self { clients: 6, resources: 2, rounds: 8 };
}

/// A history in which every promise is kept.
pub fn good(seed: u64, shape: Shape) -> Vec<Record> {
    let mut world = World::new(seed, shape);
    for client in 0..shape.clients {
        let start = world.between(0, 400 * MS);
        world.later(start, Happening::Turn { client });
    }
    while let Some(((now, _), happening)) = world.agenda.pop_first() {
        world.now = now;
        world.happen(happening);
    }
    world.close()
}

/// Something that happens at a moment.
pub enum Happening {
    Turn { client: usize },
    Arrival { call: usize },
    Commit,
    Pulse,
    Reply { call: usize, answer: answers::Answer },
    Timeout { call: usize },
    KeepAlive { call: usize },
}

/// What a client asks.
#[derive(Clone, Debug)]
pub enum Ask {
    Acquire { request: u64, resource: String, ttl_ms: u64, wait_ms: u64 },
    RenewToken { resource: String, token: u64 },
    Release { resource: String, token: u64 },
    Cancel { resource: String, request: u64 },
    Get { resource: String },
    List,
    Write(store::Write),
    Read { resource: String, key: &'static str, token: Option<u64> },
}

/// A call from its invocation on; over once the client has an answer or gave up.
pub struct Call {
    pub client: usize,
    pub ask: Ask,
    pub invoked_ns: u64,
    pub is_over: bool,
}

pub struct World {
    pub now: u64,
    turn: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    pub random: fastrand::Rng,
    pub shape: Shape,
    pub calls: Vec<Call>,
    pub clients: Vec<Client>,
    pub server: Server,
    pub store: Store,
    pub records: Vec<Record>,
    names: u64,
    /// From this revision on a second watch runs.
    second_watch: u64,
}

impl World {
    fn new(seed: u64, shape: Shape) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let second_watch = random.u64(1..40);
        Self {
            now: 0,
            turn: 0,
            agenda: BTreeMap::new(),
            random,
            shape,
            calls: Vec::new(),
            clients: (0..shape.clients).map(|_| Client::new(shape.rounds)).collect(),
            server: Server::default(),
            store: Store::default(),
            records: Vec::new(),
            names: 0,
            second_watch,
        }
    }

    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        self.random.u64(least..=most)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.random.u64(0..100) < percent
    }

    /// A number, never used before.
    pub fn fresh(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    pub fn resource(&mut self) -> String {
        let resource = self.random.usize(0..self.shape.resources);
        format!("r{resource}")
    }

    pub fn later(&mut self, delay_ns: u64, happening: Happening) {
        self.turn += 1;
        self.agenda.insert((self.now + delay_ns, self.turn), happening);
    }

    /// How long a message takes; `None` when it is lost.
    pub fn latency(&mut self) -> Option<u64> {
        match self.random.u64(0..100) {
            0..4 => None,
            4..84 => Some(self.between(MS / 5, 20 * MS)),
            84..95 => Some(self.between(20 * MS, 300 * MS)),
            _ => Some(self.between(300 * MS, 2_500 * MS)),
        }
    }

    /// Sends a call and waits for it.
    pub fn call(&mut self, client: usize, ask: Ask) {
        let patience = match &ask {
            Ask::Acquire { wait_ms, .. } if *wait_ms > 0 => wait_ms * MS + 800 * MS,
            _ => 500 * MS,
        };
        let call = self.calls.len();
        self.calls.push(Call { client, ask, invoked_ns: self.now, is_over: false });
        if let Some(delay) = self.latency() {
            self.later(delay, Happening::Arrival { call });
        }
        self.later(patience, Happening::Timeout { call });
    }

    pub fn reply(&mut self, call: usize, answer: answers::Answer) {
        if let Some(delay) = self.latency() {
            self.later(delay, Happening::Reply { call, answer });
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Turn { client } => self.turn_of(client),
            Happening::Arrival { call } => self.arrive(call),
            Happening::Commit => self.commit(),
            Happening::Pulse => self.pulse(),
            Happening::KeepAlive { call } => self.keep_alive(call),
            Happening::Reply { call, answer } => self.finish(call, answer),
            Happening::Timeout { call } => self.finish(call, answers::Answer::None),
        }
    }

    fn finish(&mut self, call: usize, answer: answers::Answer) {
        if std::mem::replace(&mut self.calls[call].is_over, true) {
            return;
        }
        self.records.push(answers::line(&self.calls[call], self.now, &answer));
        self.answered(call, &answer);
    }

    /// A watch that misses nothing, and one that starts late.
    pub fn watch(&mut self, events: Vec<Record>) {
        for event in events {
            let Record::Event(mut event) = event else { continue };
            event.received_ns = self.now + self.between(MS, 30 * MS);
            if event.revision > self.second_watch {
                let mut again = event.clone();
                again.client = "w2".into();
                again.received_ns += self.between(0, 900 * MS);
                self.records.push(Record::Event(again));
            }
            self.records.push(Record::Event(event));
        }
    }

    fn close(mut self) -> Vec<Record> {
        let through_revision = self.server.revision();
        let watched = |client: &str, after_revision| {
            let (client, prefix) = (client.to_owned(), "r".to_owned());
            Record::Watched(Watched { client, prefix, after_revision, through_revision })
        };
        self.records.push(watched("w1", 0));
        if self.second_watch < through_revision {
            self.records.push(watched("w2", self.second_watch));
        }
        self.records.extend(self.store.totals());
        self.records
    }
}

/// When a line can have taken effect; events and the like never.
pub fn span(record: &Record) -> Span {
    record.span().unwrap_or(Span { invoked_ns: u64::MAX, answered_ns: u64::MAX })
}
