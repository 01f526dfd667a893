//! Clients that count under a lease, while a seed decides what breaks when.

use std::time::Duration;

use leasehold_client::{AcquireError, Client, LeaseGuard, Mutation, StoreClient, StoreError};
use leasehold_sim::history::record::{
    Acquire, Belief, Done, Entry, Found, Increment, Mutation as Recorded, Outcome, Read, Record,
    Refused, Release, Released, Standing, Token, Total, Write, Written,
};
use leasehold_sim::history::{Counts, History, check};

use crate::chaos::chaos;
use crate::hosts::NODES;
use crate::lab::{Ended, Lab, World};
use crate::seeds;

const CLIENTS: [&str; 3] = ["client1", "client2", "client3"];
const COUNTERS: [&str; 2] = ["counter/a", "counter/b"];
const TTL: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(8);
/// How long things break.
const TROUBLE: Duration = Duration::from_secs(30);
/// Within this every client counts once more when everything is whole again.
const RECOVERY: Duration = Duration::from_secs(40);

/// One client, and what it writes down.
struct Counting {
    lab: Lab,
    name: &'static str,
    client: Client,
    store: StoreClient,
    done: u64,
}

/// What became of one increment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
    Unknown,
}

impl Counting {
    fn new(lab: &Lab, name: &'static str) -> Self {
        let (client, store) = (lab.client(name, &NODES), lab.store());
        Self { lab: lab.clone(), name, client, store, done: 0 }
    }

    /// Acquires, reads, writes one more, releases.
    async fn once(&mut self, counter: &str) -> Counted {
        self.done += 1;
        let id = format!("{}-{}", self.name, self.done);
        let Some(lease) = self.acquire(counter, &id).await else { return Counted::No };
        let token = Token::from(lease.token());
        let from_ns = self.lab.now_ns();
        let counted = self.increment(&lease, &id).await;
        let outcome = match counted {
            Counted::Yes => Some(Outcome::Ok(Done {})),
            Counted::Unknown => Some(Outcome::Unknown),
            Counted::No => None,
        };
        if let Some(outcome) = outcome {
            self.lab.record(Record::Increment(Increment {
                client: self.name.into(),
                counter: counter.into(),
                id,
                invoked_ns: from_ns,
                answered_ns: Some(self.lab.now_ns()),
                outcome,
            }));
        }
        // What the library has lost it gives back by itself, at any time since it was held.
        let mut given_back_ns = from_ns;
        if lease.check().is_ok() {
            let until_ns = self.lab.now_ns();
            given_back_ns = until_ns;
            let (client, resource) = (self.name.into(), counter.into());
            self.lab.record(Record::Belief(Belief { client, resource, token, from_ns, until_ns }));
        }
        self.release(lease, given_back_ns).await;
        counted
    }

    async fn acquire(&self, counter: &str, id: &str) -> Option<LeaseGuard> {
        let invoked_ns = self.lab.now_ns();
        let answer = self.client.acquire(counter).ttl(TTL).wait(WAIT).await;
        let (lease, outcome) = match answer {
            Ok(lease) => {
                let token = Some(Token::from(lease.token()));
                (Some(lease), Outcome::Ok(Standing { token, ..Standing::default() }))
            }
            Err(AcquireError::Refused(refusal)) => {
                (None, Outcome::Refused(Refused::because(refusal.reason())))
            }
            Err(AcquireError::Fault(_)) => (None, Outcome::Unknown),
            Err(AcquireError::BadField(bad)) => panic!("{bad}"),
        };
        self.lab.record(Record::Acquire(Acquire {
            client: self.name.into(),
            request_id: id.into(),
            resource: counter.into(),
            wait_ms: u64::try_from(WAIT.as_millis()).expect("short"),
            retried: true,
            invoked_ns,
            answered_ns: Some(self.lab.now_ns()),
            outcome,
        }));
        lease
    }

    async fn increment(&self, lease: &LeaseGuard, id: &str) -> Counted {
        let (token, counter) = (Token::from(lease.token()), lease.resource());
        let fenced = self.store.fenced(lease);
        let mut now = Vec::new();
        for key in ["count", "names"] {
            let invoked_ns = self.lab.now_ns();
            let answer = fenced.get(key).await;
            let Some(outcome) = outcome(&answer, |entry| Found {
                entry: entry.as_ref().map(|entry| Entry {
                    value: text(&entry.value),
                    version: entry.version,
                    token: Token::new(entry.token).expect("written under one"),
                }),
            }) else {
                return Counted::No;
            };
            self.lab.record(Record::Read(Read {
                client: self.name.into(),
                store: String::new(),
                resource: counter.into(),
                key: key.into(),
                token: Some(token),
                invoked_ns,
                answered_ns: Some(self.lab.now_ns()),
                outcome,
            }));
            let Ok(entry) = answer else { return Counted::No };
            now.push(entry.map(|entry| text(&entry.value)).unwrap_or_default());
        }
        let count = now[0].parse::<u64>().unwrap_or(0) + 1;
        let (put, append) = (count.to_string(), format!("{id};"));
        let mutations =
            vec![Mutation::put("count", put.clone()), Mutation::append("names", append.clone())];
        // Some are slow between reading and writing, and some of those do not look again.
        let careless = self.lab.one_in(2);
        if self.lab.one_in(2) {
            self.lab.pause(TTL * 2).await;
        }
        let invoked_ns = self.lab.now_ns();
        let answer = match careless {
            true => self.store.write_with(counter, lease.token(), 1, mutations).await,
            false => fenced.write(mutations).await,
        };
        let Some(outcome) = outcome(&answer, |written| Written { revision: written.revision })
        else {
            return Counted::No;
        };
        let counted = match &outcome {
            Outcome::Ok(_) => Counted::Yes,
            Outcome::Refused(_) => Counted::No,
            Outcome::Unknown => Counted::Unknown,
        };
        self.lab.record(Record::Write(Write {
            client: self.name.into(),
            store: String::new(),
            resource: counter.into(),
            token,
            sequence: 1,
            mutations: vec![
                Recorded::Put { key: "count".into(), value: put },
                Recorded::Append { key: "names".into(), value: append },
            ],
            invoked_ns,
            answered_ns: Some(self.lab.now_ns()),
            outcome,
        }));
        counted
    }

    async fn release(&self, lease: LeaseGuard, invoked_ns: u64) {
        let (resource, token) = (lease.resource().to_owned(), Token::from(lease.token()));
        let outcome = match lease.release().await {
            Ok(was_held) => Outcome::Ok(Released { was_held, revision: None }),
            Err(_) => Outcome::Unknown,
        };
        let (client, answered_ns) = (self.name.into(), Some(self.lab.now_ns()));
        let release = Release { client, resource, token, invoked_ns, answered_ns, outcome };
        self.lab.record(Record::Release(release));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a history says of a call to the store; `None` of one that was not sent.
fn outcome<T, U>(answer: &Result<T, StoreError>, ok: impl FnOnce(&T) -> U) -> Option<Outcome<U>> {
    match answer {
        Ok(answer) => Some(Outcome::Ok(ok(answer))),
        Err(StoreError::StaleToken { mark_token, mark_sequence, .. }) => {
            Some(Outcome::Refused(Refused {
                mark_token: Token::new(*mark_token),
                mark_sequence: Some(*mark_sequence),
                ..Refused::because("STALE_TOKEN")
            }))
        }
        Err(StoreError::Refused(refusal)) => {
            Some(Outcome::Refused(Refused::because(refusal.reason())))
        }
        Err(StoreError::Fault(_)) => Some(Outcome::Unknown),
        Err(StoreError::Lost(_)) => None,
        Err(StoreError::BadField(bad)) => panic!("{bad}"),
    }
}

/// Everything from one seed.
pub(crate) fn swarm(seed: u64) -> Ended {
    let mut world = World::new(seed);
    world.story("chaos", async move |lab| {
        chaos(&lab, &CLIENTS, TROUBLE).await;
        lab.say("whole again");
    });
    for name in CLIENTS {
        world.story(name, async move |lab| {
            let mut counting = Counting::new(&lab, name);
            while !lab.has_heard("whole again") {
                counting.once(lab.pick(&COUNTERS)).await;
                lab.pause(Duration::from_millis(50)).await;
            }
            let until = lab.now() + RECOVERY;
            while counting.once(lab.pick(&COUNTERS)).await != Counted::Yes {
                assert!(lab.now() < until, "{name} cannot count though all is whole again");
            }
            lab.say(name);
        });
    }
    world.story("reader", async move |lab| {
        for name in CLIENTS {
            lab.hear(name).await;
        }
        let store = lab.store();
        for counter in COUNTERS {
            let read = async |key: &str| {
                let entry = store.get(counter, key, None).await.expect("the store answers").entry;
                entry.map(|entry| text(&entry.value)).unwrap_or_default()
            };
            let value = read("count").await.parse().unwrap_or(0);
            let names = read("names").await;
            let ids = names.split_terminator(';').map(str::to_owned).collect();
            lab.record(Record::Total(Total { counter: counter.into(), value, ids: Some(ids) }));
        }
    });
    world.run()
}

/// The history of a world, checked.
fn counts(seed: u64, ended: &Ended) -> Counts {
    let report = check(&History::from_records(ended.records.clone()));
    if !report.is_clean() {
        ended.diary.iter().for_each(|(at, line)| eprintln!("{at:?} {line}"));
        panic!("seed {seed}:\n{report}");
    }
    report.counts
}

#[test]
fn no_increment_is_lost_and_no_two_hold_whatever_breaks() {
    let (mut grants, mut hits, mut crashes, mut unknowns) = (0, 0, 0, 0);
    for seed in seeds(3) {
        let ended = swarm(seed);
        let counts = counts(seed, &ended);
        println!(
            "seed {seed}: {:?} simulated, {} grants, {} writes, {} unknown, {} faults hit, {} crashes",
            ended.took, counts.grants, counts.writes, counts.unknowns, ended.hits, ended.crashes
        );
        assert!(counts.writes >= 3, "seed {seed}: every client counted at the end");
        grants += counts.grants;
        unknowns += counts.unknowns;
        (hits, crashes) = (hits + ended.hits, crashes + ended.crashes);
    }
    assert!(grants > 20 && hits > 20 && crashes > 0, "{grants} {hits} {crashes}");
    println!("in all {grants} grants, {unknowns} unknown, {hits} faults hit, {crashes} crashes");
}
