//! What a holder does: write and read under its token, renew, fall asleep, wake up too late, release.

use leasehold_sim::history::record::{Belief, Done, Increment, Mutation, Outcome, Record, Refused};

use super::answers::{Answer, token};
use super::client::{Asking, Doing};
use super::store::{COUNTER, Write};
use super::{Ask, Happening, MS, World};

#[derive(Clone)]
pub struct Holding {
    request: u64,
    resource: String,
    token: u64,
    ttl_ms: u64,
    from_ns: u64,
    until_ns: u64,
    sequence: u64,
    steps: usize,
    /// A write that was not answered, to be sent again.
    again: Option<Write>,
    /// An increment under way: its name, when it began, and how often it was sent.
    increment: Option<(String, u64, usize)>,
}

/// How much of a `valid_for` a client may count on, said once more and in another way than the
/// checker says it.
fn bound(invoked_ns: u64, valid_for_ms: u64) -> u64 {
    (invoked_ns + valid_for_ms * MS / 1_000 * 998).saturating_sub(2 * MS)
}

impl Holding {
    pub fn new(asking: &Asking, token: u64, now: u64, invoked_ns: u64, valid_for_ms: u64) -> Self {
        let until_ns = bound(invoked_ns, valid_for_ms);
        let (resource, ttl_ms) = (asking.resource.clone(), asking.ttl_ms);
        let (from_ns, sequence, steps) = (now, 0, 6);
        let (again, increment) = (None, None);
        let request = asking.request;
        Self {
            request,
            resource,
            token,
            ttl_ms,
            from_ns,
            until_ns,
            sequence,
            steps,
            again,
            increment,
        }
    }
}

impl World {
    pub fn act(&mut self, client: usize, mut holding: Holding) {
        if let Some(write) = holding.again.take() {
            return self.write(client, holding, write);
        }
        if self.now >= holding.until_ns {
            return self.act_too_late(client, holding);
        }
        if holding.steps == 0 {
            return self.let_go(client, holding);
        }
        holding.steps -= 1;
        let (resource, token) = (holding.resource.clone(), holding.token);
        match self.random.u64(0..100) {
            0..20 => self.renew(client, holding),
            20..45 => self.increment(client, holding),
            45..65 => self.write_something(client, holding),
            65..80 => {
                let key = *self.random.choice(&["a", "b", COUNTER]).expect("three");
                let token = self.chance(50).then_some(token);
                self.clients[client].doing = Doing::Holding(holding);
                self.call(client, Ask::Read { resource, key, token });
            }
            80..88 => {
                let nap = self.between(0, 2 * holding.ttl_ms * MS);
                self.clients[client].doing = Doing::Holding(holding);
                self.later(nap, Happening::Turn { client });
            }
            88..93 => {
                self.clients[client].doing = Doing::Holding(holding);
                self.call(client, Ask::Get { resource });
            }
            _ => self.let_go(client, holding),
        }
    }

    /// A holder that was asleep between its check and its write: the store is what protects.
    fn act_too_late(&mut self, client: usize, mut holding: Holding) {
        if holding.steps > 0 && self.chance(60) {
            holding.steps = 0;
            return self.write_something(client, holding);
        }
        self.let_go(client, holding);
    }

    fn renew(&mut self, client: usize, holding: Holding) {
        let ask = Ask::RenewToken { resource: holding.resource.clone(), token: holding.token };
        self.clients[client].doing = Doing::Holding(holding);
        self.call(client, ask);
    }

    fn increment(&mut self, client: usize, mut holding: Holding) {
        let id = format!("i{}", self.fresh());
        holding.increment = Some((id.clone(), self.now, 0));
        holding.sequence += 1;
        let mutation = Mutation::Append { key: COUNTER.into(), value: format!("{id};") };
        let write = self.numbered(&holding, mutation);
        self.write(client, holding, write);
    }

    fn write_something(&mut self, client: usize, mut holding: Holding) {
        let key = if self.chance(50) { "a" } else { "b" }.to_owned();
        let value = format!("v{}", self.fresh());
        let mutation = match self.random.u64(0..10) {
            0..2 => Mutation::Delete { key },
            2..4 => Mutation::Append { key, value },
            _ => Mutation::Put { key, value },
        };
        holding.sequence += 1;
        let write = self.numbered(&holding, mutation);
        self.write(client, holding, write);
    }

    fn numbered(&self, holding: &Holding, mutation: Mutation) -> Write {
        let Holding { resource, token, sequence, .. } = holding.clone();
        Write { resource, token, sequence, mutation }
    }

    fn write(&mut self, client: usize, mut holding: Holding, write: Write) {
        if let Some((_, _, times)) = &mut holding.increment {
            *times += 1;
        }
        self.clients[client].doing = Doing::Holding(holding);
        self.call(client, Ask::Write(write));
    }

    /// Stops believing, says so, and then releases or simply goes.
    fn let_go(&mut self, client: usize, holding: Holding) {
        self.disbelieve(client, &holding);
        if self.chance(20) {
            return self.go_on(client, Doing::Idle, 500);
        }
        let Holding { request, resource, token, .. } = holding;
        let by_request = self.chance(20);
        let cancel = Ask::Cancel { resource: resource.clone(), request };
        let ask = if by_request { cancel } else { Ask::Release { resource, token } };
        self.end(client, ask, 0);
    }

    fn disbelieve(&mut self, client: usize, holding: &Holding) {
        let until_ns = holding.until_ns.min(self.now);
        if until_ns <= holding.from_ns {
            return;
        }
        self.records.push(Record::Belief(Belief {
            client: format!("c{client}"),
            resource: holding.resource.clone(),
            token: token(holding.token),
            from_ns: holding.from_ns,
            until_ns,
        }));
    }

    pub fn holding_answered(
        &mut self,
        client: usize,
        mut holding: Holding,
        ask: &Ask,
        invoked_ns: u64,
        answer: &Answer,
    ) {
        if let Ask::Write(write) = ask {
            return self.write_answered(client, holding, write, answer);
        }
        match answer {
            // Whoever has lost a lease does not come back to it.
            Answer::Standing(standing) if self.now < holding.until_ns => {
                let proven = bound(invoked_ns, standing.valid_for_ms.unwrap_or(0));
                holding.until_ns = holding.until_ns.max(proven);
            }
            Answer::Refused(_) => return self.let_go(client, holding),
            _ => {}
        }
        self.go_on(client, Doing::Holding(holding), 50);
    }

    fn write_answered(
        &mut self,
        client: usize,
        mut holding: Holding,
        write: &Write,
        answer: &Answer,
    ) {
        let again = matches!(answer, Answer::None) && self.chance(80);
        if again {
            holding.again = Some(write.clone());
            return self.go_on(client, Doing::Holding(holding), 30);
        }
        if let Some((id, invoked_ns, times)) = holding.increment.take() {
            let outcome = match answer {
                Answer::Written(_) => Outcome::Ok(Done {}),
                Answer::Refused(no) if times == 1 => Outcome::Refused(Refused::because(&no.reason)),
                _ => Outcome::Unknown,
            };
            let (client, counter) = (format!("c{client}"), holding.resource.clone());
            let answered_ns = Some(self.now);
            let increment = Increment { client, counter, id, invoked_ns, answered_ns, outcome };
            self.records.push(Record::Increment(increment));
        }
        match answer {
            Answer::Refused(_) => self.let_go(client, holding),
            _ => self.go_on(client, Doing::Holding(holding), 50),
        }
    }
}
