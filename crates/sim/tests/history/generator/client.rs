//! An honest client: asks for resources, retries what was not answered, cancels what it gives up.

use leasehold_sim::history::record::Token;

use super::answers::Answer;
use super::holding::Holding;
use super::{Ask, Happening, MS, World};

pub struct Client {
    pub rounds: usize,
    pub doing: Doing,
}

pub enum Doing {
    Idle,
    Asking(Asking),
    Holding(Holding),
    /// Says the last word about a claim until it is answered, a few times.
    Ending {
        ask: Ask,
        tries: usize,
    },
}

#[derive(Clone)]
pub struct Asking {
    pub request: u64,
    pub resource: String,
    pub ttl_ms: u64,
    pub wait_ms: u64,
    pub tries: usize,
}

impl Client {
    pub fn new(rounds: usize) -> Self {
        Self { rounds, doing: Doing::Idle }
    }
}

impl World {
    pub fn turn_of(&mut self, client: usize) {
        match std::mem::replace(&mut self.clients[client].doing, Doing::Idle) {
            Doing::Idle => self.begin(client),
            Doing::Asking(asking) => self.ask(client, asking),
            Doing::Holding(holding) => self.act(client, holding),
            Doing::Ending { ask, tries } => self.end(client, ask, tries),
        }
    }

    /// Its turn again, soon.
    pub fn go_on(&mut self, client: usize, doing: Doing, most_ms: u64) {
        self.clients[client].doing = doing;
        let delay = self.between(0, most_ms * MS);
        self.later(delay, Happening::Turn { client });
    }

    fn begin(&mut self, client: usize) {
        if self.clients[client].rounds == 0 {
            return;
        }
        let resource = self.resource();
        if self.chance(20) {
            let ask = if self.chance(70) { Ask::Get { resource } } else { Ask::List };
            return self.call(client, ask);
        }
        self.clients[client].rounds -= 1;
        let request = self.fresh();
        let ttl_ms = self.between(1_000, 2_000);
        let wait_ms = if self.chance(60) { self.between(200, 4_000) } else { 0 };
        self.ask(client, Asking { request, resource, ttl_ms, wait_ms, tries: 0 });
    }

    fn ask(&mut self, client: usize, asking: Asking) {
        let Asking { request, resource, ttl_ms, wait_ms, .. } = asking.clone();
        self.clients[client].doing = Doing::Asking(asking);
        self.call(client, Ask::Acquire { request, resource, ttl_ms, wait_ms });
    }

    pub fn end(&mut self, client: usize, ask: Ask, tries: usize) {
        self.clients[client].doing = Doing::Ending { ask: ask.clone(), tries };
        self.call(client, ask);
    }

    /// The client has its answer, or gave up waiting for it.
    pub fn answered(&mut self, call: usize, answer: &Answer) {
        let client = self.calls[call].client;
        let invoked_ns = self.calls[call].invoked_ns;
        let is_unanswered = matches!(answer, Answer::None);
        match std::mem::replace(&mut self.clients[client].doing, Doing::Idle) {
            Doing::Idle => self.go_on(client, Doing::Idle, 500),
            Doing::Asking(asking) => self.claim_answered(client, asking, invoked_ns, answer),
            Doing::Holding(holding) => {
                let ask = self.calls[call].ask.clone();
                self.holding_answered(client, holding, &ask, invoked_ns, answer);
            }
            Doing::Ending { ask, tries } if is_unanswered && tries < 3 => {
                self.go_on(client, Doing::Ending { ask, tries: tries + 1 }, 20);
            }
            Doing::Ending { .. } => self.go_on(client, Doing::Idle, 500),
        }
    }

    fn claim_answered(
        &mut self,
        client: usize,
        mut asking: Asking,
        invoked_ns: u64,
        answer: &Answer,
    ) {
        let Asking { request, ref resource, .. } = asking;
        let cancel = Ask::Cancel { resource: resource.clone(), request };
        match answer {
            Answer::Standing(standing) => {
                let token =
                    standing.token.map(Token::get).expect("a unary call waits to be granted");
                let valid_for_ms = standing.valid_for_ms.unwrap_or(0);
                let holding = Holding::new(&asking, token, self.now, invoked_ns, valid_for_ms);
                self.go_on(client, Doing::Holding(holding), 10);
            }
            Answer::None if asking.tries < 3 && self.chance(60) => {
                asking.tries += 1;
                self.go_on(client, Doing::Asking(asking), 100);
            }
            Answer::None => self.go_on(client, Doing::Ending { ask: cancel, tries: 0 }, 10),
            // An earlier message may still be under way, and may be granted: no is not no yet.
            _ if asking.tries > 0 => {
                self.go_on(client, Doing::Ending { ask: cancel, tries: 0 }, 10);
            }
            _ => self.go_on(client, Doing::Idle, 500),
        }
    }
}
