//! A client's claims, driven by whatever answers a node may give: honest, late, to another question,
//! about another claim, absurd. However that goes, a lease is said to be held only with a token that
//! an answer named, and for no longer than an answer to a question of its own proved; a lost one stays
//! lost; each claim is told one fate, and is released only after it was said to be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arbitrary::Arbitrary;
use leasehold_api::Problem;
use leasehold_client::Random;
use leasehold_client::claim::{Change, Settings};
use leasehold_client::claims::{ClaimKey, Claims};
use leasehold_client::message::{Answer, Command};
use leasehold_clock::Reading;
use leasehold_types::{
    Acquire, BadField, ClaimAnswer, EndReason, Fault, FencingToken, HeldBy, Holder, LeaseTtl,
    Refusal, RequestId, ResourceName, Standing, WaitLimit,
};

use crate::input::value;
use crate::session::is_held;

const STEPS_MAX: usize = 96;

#[derive(Arbitrary, Debug)]
enum Step {
    Acquire {
        ttl: u16,
        wait: u16,
    },
    Pass {
        ms: u16,
        slept: u8,
        slewed: i8,
    },
    Send {
        room: u8,
    },
    /// To one of the questions that were sent, counted from the latest.
    Answer {
        which: u8,
        answer: Said,
        retry_after: Option<Duration>,
    },
    /// To a question that nobody asked.
    AnswerNobody {
        number: u64,
    },
    Push {
        which: u8,
    },
    Opened {
        memory: Duration,
    },
    Lost {
        for_a_better: bool,
    },
    GiveUp {
        key: u8,
    },
    Leave {
        key: u8,
    },
}

#[derive(Arbitrary, Debug)]
enum Said {
    /// What the question asks for.
    Fitting(Vec<Item>),
    Released(bool),
    Cancelled(bool),
    Failed(No),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Item {
    Held { token: u8, valid_for: u64, other_request: bool },
    Short { token: u8, valid_for: u16 },
    Waiting { valid_for: u32 },
    No(No),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum No {
    Held,
    WaitOver,
    Ended(u8),
    NotHolder,
    Embargo,
    BadField,
    Leaderless,
    QueueFull,
    Unknown,
}

/// Any story.
pub fn check(bytes: &[u8]) {
    let Some(steps) = value::<Vec<Step>>(bytes) else { return };
    let mut world = World::new();
    for step in steps.iter().take(STEPS_MAX) {
        world.step(step);
        world.listen();
    }
}

/// Different each time, and the same in every run.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn draw(&self) -> [u8; 16] {
        let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        u128::from(next).wrapping_mul(0x1_0000_0001).to_le_bytes()
    }
}

struct Question {
    number: u64,
    sent: Reading,
    command: Command,
}

/// What a listener knows of one claim.
#[derive(Default)]
struct Told {
    granted: Option<FencingToken>,
    failed: bool,
    lost: bool,
    over: bool,
}

struct World {
    claims: Claims,
    now: Reading,
    keys: u64,
    open: Vec<Question>,
    /// Whose request an id is: each claim is for a resource of its own.
    about: BTreeMap<RequestId, ResourceName>,
    /// What answers proved about each claim: from when, and for how long.
    proofs: BTreeMap<ResourceName, Vec<(Reading, Duration)>>,
    tokens: BTreeSet<(ResourceName, FencingToken)>,
    told: BTreeMap<ClaimKey, Told>,
}

impl World {
    fn new() -> Self {
        let second = Duration::from_secs(1);
        let settings = Settings { request_timeout: second * 10, request_memory: second * 60 };
        let now = Reading { monotonic: second, raw: second, boot: second };
        Self {
            claims: Claims::new(settings, Arc::new(Counter::default()), now),
            now,
            keys: 0,
            open: Vec::new(),
            about: BTreeMap::new(),
            proofs: BTreeMap::new(),
            tokens: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Acquire { ttl, wait } => {
                self.keys += 1;
                let ask = wish(self.keys, *ttl, *wait);
                self.claims.acquire(ClaimKey(self.keys), ask, now);
                self.told.insert(ClaimKey(self.keys), Told::default());
            }
            Step::Pass { ms, slept, slewed } => self.pass(*ms, *slept, *slewed),
            Step::Send { room } => self.send(usize::from(*room)),
            Step::Answer { which, answer, retry_after } => {
                if let Some(at) = self.open.len().checked_sub(1 + usize::from(*which % 8)) {
                    self.answer(at, answer, *retry_after);
                }
            }
            Step::AnswerNobody { number } => {
                let nobody = self.open.iter().all(|question| question.number != *number);
                let held = Item::Held { token: 4, valid_for: 9_000_000, other_request: false };
                for request in self.about.keys().filter(|_| nobody) {
                    let claim = self.claim(&held, *request).expect("a lease");
                    self.claims.answered(*number, Answer::Acquired(claim), now);
                }
            }
            Step::Push { which } => {
                let request = RequestId::from_bytes(u128::from(*which).to_le_bytes());
                self.claims.pushed(request, now);
            }
            Step::Opened { memory } => self.claims.stream_opened(*memory, now),
            Step::Lost { for_a_better } => {
                self.claims.stream_lost(*for_a_better, now);
                self.open.clear();
            }
            Step::GiveUp { key } => _ = self.claims.give_up(self.key(*key), now),
            Step::Leave { key } => self.claims.leave(self.key(*key), now),
        }
    }

    fn key(&self, key: u8) -> ClaimKey {
        ClaimKey(u64::from(key) % (self.keys + 1))
    }

    fn pass(&mut self, ms: u16, slept: u8, slewed: i8) {
        let awake = Duration::from_millis(ms.into());
        let slept = Duration::from_millis(u64::from(slept) * 8);
        let raw = awake.as_micros() as i64 + i64::from(slewed) * 10;
        self.now = Reading {
            monotonic: self.now.monotonic + awake,
            raw: self.now.raw + Duration::from_micros(raw.max(0) as u64),
            boot: self.now.boot + awake + slept,
        };
        self.claims.tick(self.now);
        let remembered = self.claims.is_empty() || self.claims.wake_in(true).is_some();
        assert!(remembered, "nothing will ever happen to what there is");
    }

    fn send(&mut self, room: usize) {
        self.claims.tick(self.now);
        self.listen();
        let sent = self.now;
        for (number, command) in self.claims.take_messages(sent, room) {
            match &command {
                Command::Acquire(ask) => {
                    self.about.insert(ask.request, ask.resource.clone());
                }
                Command::Release { resource, token } => {
                    let told = &self.told[&key_of(resource)];
                    assert_eq!(told.granted, Some(*token), "another's lease");
                    assert!(told.lost, "released while it is said to be held");
                }
                Command::Renew(_) | Command::Cancel(_) => {}
            }
            self.open.push(Question { number, sent, command });
        }
    }

    fn answer(&mut self, at: usize, said: &Said, retry_after: Option<Duration>) {
        let Question { number, sent, command } = self.open.remove(at);
        let answer = match (said, command) {
            (Said::Released(was_held), _) => Answer::Released { was_held: *was_held },
            (Said::Cancelled(was_live), _) => Answer::Cancelled { was_live: *was_live },
            (Said::Failed(no), _) => Answer::Failed { problem: problem(*no), retry_after },
            (Said::Fitting(items), Command::Acquire(ask)) => {
                let item = items.first().copied().unwrap_or(Item::No(No::Unknown));
                match self.prove(&item, ask.request, sent) {
                    Ok(claim) => Answer::Acquired(claim),
                    Err(problem) => Answer::Failed { problem, retry_after },
                }
            }
            (Said::Fitting(items), Command::Renew(requests)) => {
                let items = items.iter().copied().cycle().zip(requests);
                Answer::Renewed(
                    items.map(|(item, request)| self.prove(&item, request, sent)).collect(),
                )
            }
            (Said::Fitting(_), _) => Answer::Released { was_held: true },
        };
        self.claims.answered(number, answer, self.now);
    }

    /// Notes what the answer proves, to a question sent then.
    fn prove(
        &mut self,
        item: &Item,
        request: RequestId,
        sent: Reading,
    ) -> Result<ClaimAnswer, Problem> {
        let claim = self.claim(item, request)?;
        let valid_for = Duration::from_millis(claim.valid_for_ms);
        if claim.request == request {
            self.proofs.entry(claim.resource.clone()).or_default().push((sent, valid_for));
            if let (true, Standing::Held { token }) = (is_held(&claim), claim.standing) {
                self.tokens.insert((claim.resource.clone(), token));
            }
        }
        Ok(claim)
    }

    fn claim(&self, item: &Item, request: RequestId) -> Result<ClaimAnswer, Problem> {
        let held = |token: u8| Standing::Held { token: token_of(token) };
        let (standing, valid_for_ms, other) = match item {
            Item::Held { token, valid_for, other_request } => {
                (held(*token), *valid_for, *other_request)
            }
            Item::Short { token, valid_for } => (held(*token), u64::from(*valid_for), false),
            Item::Waiting { valid_for } => {
                (Standing::Waiting { place: 1 }, u64::from(*valid_for), false)
            }
            Item::No(no) => return Err(problem(*no)),
        };
        let resource = self.about.get(&request).cloned().unwrap_or_else(|| name(0));
        let request = if other { RequestId::from_bytes([0xEE; 16]) } else { request };
        let (ttl, holder) = (LeaseTtl::from_ms(10_000), Holder::new("h"));
        let (ttl, holder) = (ttl.expect("a ttl"), holder.expect("a holder"));
        Ok(ClaimAnswer { resource, holder, request, ttl, standing, valid_for_ms })
    }

    fn listen(&mut self) {
        for (key, change) in self.claims.take_changes() {
            let best = self.longest_proof(key);
            let told = self.told.get_mut(&key).expect("a claim that was asked for");
            assert!(!told.over, "nothing comes after the end: {change:?}");
            match change {
                Change::Granted { token, validity, .. } => {
                    assert!(told.granted.is_none() && !told.failed, "one fate");
                    let named = self.tokens.contains(&(name(key.0), token));
                    assert!(named, "no answer named token {token}");
                    assert!(validity.bound().remaining(&self.now) <= best, "longer than proven");
                    assert!(!validity.bound().has_come(&self.now), "granted, and over already");
                    told.granted = Some(token);
                }
                Change::Proven(validity) => {
                    assert!(told.granted.is_some() && !told.lost, "lost is lost");
                    assert!(validity.bound().remaining(&self.now) <= best, "longer than proven");
                }
                Change::Failed(_) => {
                    assert!(told.granted.is_none() && !told.failed, "one fate");
                    told.failed = true;
                }
                Change::Lost(_) => {
                    assert!(told.granted.is_some() && !told.lost, "lost once");
                    told.lost = true;
                }
                Change::Over(_) => told.over = true,
            }
        }
    }

    /// The longest that any answer to a question about this claim proves by now.
    fn longest_proof(&self, key: ClaimKey) -> Duration {
        let left = |(sent, valid_for): &(Reading, Duration)| {
            valid_for.saturating_sub(self.now.holder_elapsed_since(sent))
        };
        self.proofs.get(&name(key.0)).into_iter().flatten().map(left).max().unwrap_or_default()
    }
}

fn name(key: u64) -> ResourceName {
    ResourceName::new(&format!("r{key}")).expect("a name")
}

fn key_of(name: &ResourceName) -> ClaimKey {
    ClaimKey(name.as_str()[1..].parse().expect("made above"))
}

fn token_of(number: u8) -> FencingToken {
    FencingToken::new(u64::from(number % 5) + 1).expect("above 0")
}

fn wish(key: u64, ttl: u16, wait: u16) -> Acquire {
    Acquire {
        resource: name(key),
        holder: Holder::new("h").expect("a holder"),
        request: RequestId::from_bytes(u128::from(key).to_le_bytes()),
        ttl: LeaseTtl::from_ms(u64::from(ttl) + 1).expect("a ttl"),
        wait: WaitLimit::from_ms(wait.into()).expect("a wait"),
    }
}

fn problem(no: No) -> Problem {
    let reasons =
        [EndReason::Released, EndReason::Cancelled, EndReason::Expired, EndReason::WaitOver];
    match no {
        No::Held => Refusal::Held {
            resource: name(0),
            by: HeldBy {
                holder: Holder::new("o").expect("a holder"),
                token: token_of(9),
                held_for_ms: 1,
                ends_in_ms: 2,
                queue_length: 0,
            },
        }
        .into(),
        No::WaitOver => Refusal::WaitOver.into(),
        No::Ended(why) => Refusal::Ended { why: reasons[usize::from(why % 4)] }.into(),
        No::NotHolder => Refusal::NotHolder { token: token_of(1) }.into(),
        No::Embargo => Refusal::Embargo { remaining_ms: 5 }.into(),
        No::BadField => BadField::new("ttl", "0 ms", "more").into(),
        No::Leaderless => Fault::NoLeader { leader_address: None }.into(),
        No::QueueFull => Fault::QueueFull { limit: 1 }.into(),
        No::Unknown => Fault::OutcomeUnknown { why: "lost".into() }.into(),
    }
}
