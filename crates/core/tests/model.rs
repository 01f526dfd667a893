//! The state machine against a naive model, on random stories.

mod support;

use std::cell::RefCell;

use leasehold_core::{
    Acquire, Answer, Applied, Batch, Command, LeaseState, Renew, Settings, decode_commands,
    decode_outcomes, encode_commands, encode_outcomes,
};
use leasehold_types::{
    FencingToken, Holder, LeaseTime, LeaseTtl, Refusal, RequestId, ResourceName, WaitLimit,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use support::history::History;
use support::model::{Model, token_of};

/// What proptest makes: it knows nothing of the state, so that it can be shrunk. [`Story::resolve`]
/// turns it into a command.
#[derive(Clone, Debug)]
enum Action {
    Acquire { resource: Index, ttl: u16, wait: u16 },
    AcquireAgain { which: Pick, twist: u8 },
    Renew { tokens: Vec<Pick>, requests: Vec<Pick> },
    Release { which: Pick, elsewhere: bool },
    Cancel { which: Pick },
    Pulse,
}

/// A claim that is live, or one that was or never will be.
#[derive(Clone, Debug)]
enum Pick {
    Live(Index),
    Any(Index),
}

/// How the stamp of a batch lies to lease time.
#[derive(Clone, Debug)]
enum Stamp {
    After(u16),
    AtNextDeadline,
    JustBeforeNextDeadline,
    Before(u16),
}

fn action() -> impl Strategy<Value = Action> {
    let pick = || {
        prop_oneof![
            4 => any::<Index>().prop_map(Pick::Live),
            1 => any::<Index>().prop_map(Pick::Any),
        ]
    };
    let wait = prop_oneof![1 => Just(0), 3 => 1..20_000_u16];
    prop_oneof![
        10 => (any::<Index>(), 1..25_000_u16, wait)
            .prop_map(|(resource, ttl, wait)| Action::Acquire { resource, ttl, wait }),
        3 => (pick(), any::<u8>()).prop_map(|(which, twist)| Action::AcquireAgain { which, twist }),
        5 => (prop::collection::vec(pick(), 0..3), prop::collection::vec(pick(), 0..3))
            .prop_map(|(tokens, requests)| Action::Renew { tokens, requests }),
        4 => (pick(), prop::bool::weighted(0.1))
            .prop_map(|(which, elsewhere)| Action::Release { which, elsewhere }),
        2 => pick().prop_map(|which| Action::Cancel { which }),
        1 => Just(Action::Pulse),
    ]
}

fn stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![
        6 => (0..600_u16).prop_map(Stamp::After),
        1 => (600..30_000_u16).prop_map(Stamp::After),
        1 => Just(Stamp::AtNextDeadline),
        1 => Just(Stamp::JustBeforeNextDeadline),
        1 => (1..5_000_u16).prop_map(Stamp::Before),
    ]
}

fn story() -> impl Strategy<Value = Vec<(Stamp, Vec<Action>)>> {
    prop::collection::vec((stamp(), prop::collection::vec(action(), 0..8)), 1..120)
}

/// Small enough that every bound is met.
fn settings(ends_per_entry: u64) -> Settings {
    Settings {
        claims_max: 24,
        waiters_per_resource_max: 5,
        ttl_min: LeaseTtl::from_ms(1_000).expect("a ttl"),
        ttl_max: LeaseTtl::from_ms(20_000).expect("a ttl"),
        ended_memory_ms: 5_000,
        ended_memory_max: 24,
        stamp_interval_ms: 250,
        ends_per_entry,
    }
}

const RESOURCES: [&str; 6] = ["a", "a/b", "a/c", "b", "b/a", "ÿ"];

/// One run: the state, a copy that is sent through a snapshot after every batch, and the model.
struct Story {
    straight: LeaseState,
    restored: LeaseState,
    model: Model,
    history: History,
    start: LeaseState,
    log: Vec<Vec<u8>>,
    requests: Vec<Acquire>,
    commands: u64,
    effective: u64,
    /// Batches after which something was due still.
    left: u64,
    exhausted: bool,
}

impl Story {
    fn new(ends_per_entry: u64) -> Self {
        Self::starting_at(LeaseState::new(settings(ends_per_entry)), 0)
    }

    /// As a backup whose counters were moved on.
    fn above(token: u64) -> Self {
        let above = FencingToken::new(token).expect("a token");
        let reopened = LeaseState::new(settings(2)).reopen_after_restore(above).expect("above");
        Self::starting_at(reopened, 20_000)
    }

    fn starting_at(straight: LeaseState, embargo_ms: u64) -> Self {
        Self {
            restored: straight.clone(),
            start: straight.clone(),
            log: Vec::new(),
            model: Model::of(&straight, embargo_ms),
            straight,
            history: History::default(),
            requests: Vec::new(),
            commands: 0,
            effective: 0,
            left: 0,
            exhausted: false,
        }
    }

    fn run(&mut self, story: &[(Stamp, Vec<Action>)]) -> Result<(), TestCaseError> {
        for (stamp, actions) in story {
            let at = self.resolve_stamp(stamp);
            let commands = actions.iter().map(|action| self.resolve(action)).collect();
            self.apply(Batch { at, commands })?;
        }
        self.replay()
    }

    /// Another node reads the same log.
    fn replay(&self) -> Result<(), TestCaseError> {
        let mut replayed = self.start.clone();
        for entry in &self.log {
            let batch = Batch::decode(entry).expect("it was written as a batch");
            replayed.apply(batch.at, &batch.commands);
        }
        prop_assert_eq!(replayed.snapshot(), self.straight.snapshot(), "I5");
        Ok(())
    }

    fn apply(&mut self, batch: Batch) -> Result<(), TestCaseError> {
        let (frozen, before) = (self.straight.freeze(), self.straight.snapshot());
        let due = self.straight.next_deadline();
        let commands = decode_commands(&encode_commands(&batch.commands));
        prop_assert_eq!(commands.as_ref(), Ok(&batch.commands));
        self.log.push(batch.encode());

        let applied = self.straight.apply(batch.at, &batch.commands);
        prop_assert_eq!(&applied, &self.model.apply(batch.at, &batch.commands));
        prop_assert_eq!(&applied, &self.restored.apply(batch.at, &batch.commands));

        prop_assert_eq!(self.straight.broken_invariants(), Vec::<&str>::new());
        prop_assert_eq!(self.straight.next_deadline(), self.model.next_deadline());
        prop_assert_eq!(self.straight.next_token().get(), self.model.next_token);
        prop_assert_eq!(self.straight.revision().0, self.model.revision);
        prop_assert_eq!(self.straight.claims_len(), self.model.claims.len());
        prop_assert_eq!(self.straight.ended_len(), self.model.ended.len());
        self.history.watch(&applied, &self.straight);

        let snapshot = self.straight.snapshot();
        prop_assert_eq!(&frozen.encode(), &before, "a frozen state sees no later change");
        prop_assert_eq!(&self.restored.snapshot(), &snapshot, "I5");
        self.restored = LeaseState::restore(&snapshot).expect("a snapshot can be restored");
        prop_assert_eq!(&self.restored.snapshot(), &snapshot);
        prop_assert_eq!(
            decode_outcomes(&encode_outcomes(&applied.outcomes)),
            Ok(applied.outcomes.clone())
        );

        let exhausted = Answer::Refused(Refusal::Exhausted);
        self.left += u64::from(self.straight.ends_are_left());
        self.exhausted |= applied.outcomes.iter().any(|outcome| outcome.answer == exhausted);
        self.commands += batch.commands.len() as u64;
        self.effective += effective(&batch, &applied, due <= Some(self.straight.now()));
        Ok(())
    }

    fn resolve_stamp(&self, stamp: &Stamp) -> LeaseTime {
        let now = self.straight.now();
        let next = self.straight.next_deadline().unwrap_or(now);
        match stamp {
            Stamp::After(ms) => now.plus_ms(u64::from(*ms)),
            Stamp::AtNextDeadline => next,
            Stamp::JustBeforeNextDeadline => LeaseTime(next.0.saturating_sub(1)),
            Stamp::Before(ms) => LeaseTime(now.0.saturating_sub(u64::from(*ms))),
        }
    }

    fn resolve(&mut self, action: &Action) -> Command {
        match action {
            Action::Acquire { resource, ttl, wait } => {
                let number = self.requests.len() as u32;
                let wish = Acquire {
                    resource: ResourceName::new(RESOURCES[resource.index(RESOURCES.len())])
                        .expect("a name"),
                    holder: Holder::new(&format!("h{}", number % 3)).expect("a holder"),
                    request: request(number),
                    ttl: LeaseTtl::from_ms(u64::from(*ttl)).expect("a ttl"),
                    wait: WaitLimit::from_ms(u64::from(*wait)).expect("a wait"),
                };
                self.requests.push(wish.clone());
                Command::Acquire(wish)
            }
            Action::AcquireAgain { which, twist } => self.acquire_again(which, *twist),
            Action::Renew { tokens, requests } => Command::Renew(Renew {
                tokens: tokens.iter().map(|pick| self.token(pick).1).collect(),
                requests: requests.iter().map(|pick| self.request(pick)).collect(),
            }),
            Action::Release { which, elsewhere } => {
                let (resource, token) = self.token(which);
                let resource = if *elsewhere { "elsewhere" } else { &resource };
                Command::Release { resource: ResourceName::new(resource).expect("a name"), token }
            }
            Action::Cancel { which } => Command::Cancel { request: self.request(which) },
            Action::Pulse => Command::Pulse,
        }
    }

    /// A retry, as it was or with something changed.
    fn acquire_again(&self, which: &Pick, twist: u8) -> Command {
        let request = self.request(which);
        let asked = self.requests.iter().find(|wish| wish.request == request).cloned();
        let mut wish = asked.unwrap_or_else(|| Acquire {
            resource: ResourceName::new("a").expect("a name"),
            holder: Holder::new("stranger").expect("a holder"),
            request,
            ttl: LeaseTtl::MIN,
            wait: WaitLimit::NONE,
        });
        match twist % 10 {
            0 => wish.resource = ResourceName::new("b/a").expect("a name"),
            1 => wish.holder = Holder::new("somebody else").expect("a holder"),
            2 => wish.ttl = LeaseTtl::from_ms(wish.ttl.as_ms() + 1).expect("a ttl"),
            3 => wish.wait = WaitLimit::NONE,
            4 | 5 => wish.wait = WaitLimit::from_ms(wish.wait.as_ms() * 2).expect("a wait"),
            _ => {}
        }
        Command::Acquire(wish)
    }

    fn request(&self, pick: &Pick) -> RequestId {
        let live = &self.model.claims;
        match pick {
            Pick::Live(index) if !live.is_empty() => index.get(live).request,
            // Beyond the last, so that some are strangers.
            Pick::Live(index) | Pick::Any(index) => {
                let last = self.requests.len() as u32 + 3;
                let recent = last.min(40);
                request(last - 1 - index.index(recent as usize) as u32)
            }
        }
    }

    fn token(&self, pick: &Pick) -> (String, FencingToken) {
        let held: Vec<_> = self
            .model
            .claims
            .iter()
            .filter_map(|claim| token_of(claim).map(|token| (claim.resource.to_string(), token)))
            .collect();
        match pick {
            Pick::Live(index) if !held.is_empty() => index.get(&held).clone(),
            Pick::Live(index) | Pick::Any(index) => {
                let next = self.model.next_token.saturating_add(2);
                let token = next.saturating_sub(index.index(8) as u64).max(1);
                ("a".to_owned(), FencingToken::new(token).expect("not 0"))
            }
        }
    }
}

fn request(number: u32) -> RequestId {
    let mut bytes = [0; 16];
    // Spread, so that byte order is not the order of arrival.
    bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_le_bytes());
    RequestId::from_bytes(bytes)
}

/// How many commands changed something that somebody can see.
fn effective(batch: &Batch, applied: &Applied, was_due: bool) -> u64 {
    let changed = batch.commands.iter().zip(&applied.outcomes).filter(|(command, outcome)| {
        match &outcome.answer {
            Answer::Claim(claim) => applied.events.iter().any(|event| {
                event.request == claim.request && matches!(command, Command::Acquire(_))
            }),
            Answer::Renewed(items) => items.iter().any(Result::is_ok),
            Answer::Released { was_held } => *was_held,
            Answer::Cancelled { ended } => ended.is_some(),
            Answer::Pulsed => was_due,
            Answer::Refused(_) => false,
        }
    });
    changed.count() as u64
}

#[derive(Default)]
struct Totals {
    stories: u64,
    commands: u64,
    effective: u64,
    left: u64,
    grants: u64,
    exhausted: u64,
}

/// Runs that many random stories, each from `start(its number)`.
fn run_stories(cases: u32, start: impl Fn(u64) -> Story) -> Totals {
    let totals = RefCell::new(Totals::default());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&story(), |actions| {
        let mut totals = totals.borrow_mut();
        let mut story = start(totals.stories);
        let first = story.model.next_token;
        story.run(&actions)?;
        totals.stories += 1;
        totals.commands += story.commands;
        totals.effective += story.effective;
        totals.left += story.left;
        totals.grants += story.model.next_token - first;
        totals.exhausted += u64::from(story.exhausted);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    totals.into_inner()
}

#[test]
fn the_state_machine_does_what_the_naive_model_does() {
    let totals = run_stories(1_100, |number| Story::new([1, 2, 5, 1_024][number as usize % 4]));
    let Totals { commands, effective, exhausted, left, .. } = totals;
    println!("{commands} commands, {effective} of them effective");
    assert!(commands >= 200_000, "only {commands} commands");
    assert!(effective * 10 >= commands * 3, "only {effective} of {commands} commands did anything");
    assert!(left >= 1_000, "only {left} batches left ends to the next");
    assert_eq!(exhausted, 0);
}

#[test]
fn counters_pass_the_marks_where_other_systems_wrap() {
    let starts = [u32::MAX.into(), (1 << 53) - 1, (1 << 63) - 1];
    let totals = run_stories(60, |number| Story::above(starts[number as usize % 3] - 5));
    assert!(totals.grants >= 10 * totals.stories, "only {} grants", totals.grants);
    assert_eq!(totals.exhausted, 0);
}

#[test]
fn counters_near_the_end_fail_closed() {
    let totals = run_stories(60, |number| Story::above(u64::MAX - 150 - 5 * number));
    assert!(totals.grants > 0 && totals.exhausted >= 10, "{} exhausted", totals.exhausted);
}
