//! The state machine against the naive model of its own tests: the same outcomes and events, every
//! invariant after every batch, and a state that went through a snapshot goes on as the one that did not.

use arbitrary::{Arbitrary, Unstructured};
use leasehold_core::{Acquire, Batch, Command, LeaseState, Renew, Settings};
use leasehold_types::{
    FencingToken, Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, WaitLimit,
};

use crate::input::{pieces, value};

#[allow(dead_code, reason = "shared with the tests of the state machine, which use more of it")]
#[path = "../../crates/core/tests/support/history.rs"]
mod history;
#[allow(dead_code, reason = "shared with the tests of the state machine, which use more of it")]
#[path = "../../crates/core/tests/support/model.rs"]
mod model;

const BATCHES_MAX: usize = 48;
const COMMANDS_MAX: usize = 24;

/// The first byte says whether the others are log entries, as they were recorded, or a made-up story.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, body)) => run(pieces(body).filter_map(|piece| Batch::decode(piece).ok())),
        Some((_, body)) => {
            if let Some(Story(steps)) = value(body) {
                run_story(steps);
            }
        }
        None => {}
    }
}

/// Small enough that every bound is met.
fn settings() -> Settings {
    Settings {
        claims_max: 12,
        waiters_per_resource_max: 4,
        ttl_min: LeaseTtl::from_ms(1_000).expect("a ttl"),
        ttl_max: LeaseTtl::from_ms(20_000).expect("a ttl"),
        ended_memory_ms: 5_000,
        ended_memory_max: 8,
        stamp_interval_ms: 250,
        ends_per_entry: 2,
    }
}

fn run(batches: impl Iterator<Item = Batch>) {
    let mut world = World::new();
    batches.take(BATCHES_MAX).for_each(|batch| world.apply(batch.at, &batch.commands));
}

/// One run: the state, one that goes through a snapshot after every batch, the model, the watcher.
struct World {
    state: LeaseState,
    restored: LeaseState,
    model: model::Model,
    history: history::History,
}

impl World {
    fn new() -> Self {
        let state = LeaseState::new(settings());
        let model = model::Model::of(&state, 0);
        Self { restored: state.clone(), state, model, history: history::History::default() }
    }

    fn apply(&mut self, at: LeaseTime, commands: &[Command]) {
        let commands = &commands[..commands.len().min(COMMANDS_MAX)];
        let applied = self.state.apply(at, commands);
        assert_eq!(applied, self.model.apply(at, commands), "as the model");
        assert_eq!(applied, self.restored.apply(at, commands), "as if restored");
        self.history.watch(&applied, &self.state);
        assert_eq!(self.state.broken_invariants(), Vec::<&str>::new());
        assert_eq!(self.state.next_deadline(), self.model.next_deadline());
        let snapshot = self.state.snapshot();
        assert_eq!(self.restored.snapshot(), snapshot);
        self.restored = LeaseState::restore(&snapshot).expect("as written");
    }
}

/// A story that the state machine is told, in small numbers.
#[derive(Debug)]
struct Story(Vec<Step>);

impl<'a> Arbitrary<'a> for Story {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        bytes.arbitrary_iter()?.take(BATCHES_MAX).collect::<arbitrary::Result<_>>().map(Self)
    }
}

#[derive(Arbitrary, Debug)]
struct Step {
    stamp: Stamp,
    commands: Vec<Deed>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Stamp {
    After(u8),
    LongAfter(u16),
    AtNextDeadline,
    JustBeforeNextDeadline,
    Before(u16),
}

#[derive(Arbitrary, Debug)]
enum Deed {
    Acquire { who: u8, resource: u8, ttl: u8, wait: u8 },
    Renew { tokens: Vec<u8>, who: Vec<u8> },
    Release { token: u8, resource: u8 },
    Cancel { who: u8 },
    Pulse,
}

fn run_story(steps: Vec<Step>) {
    let mut world = World::new();
    for Step { stamp, commands } in steps {
        let (now, due) = (world.state.now(), world.state.next_deadline().unwrap_or_default());
        let at = match stamp {
            Stamp::After(ms) => now.plus_ms(ms.into()),
            Stamp::LongAfter(ms) => now.plus_ms(ms.into()),
            Stamp::AtNextDeadline => due,
            Stamp::JustBeforeNextDeadline => LeaseTime(due.0.saturating_sub(1)),
            Stamp::Before(ms) => LeaseTime(now.0.saturating_sub(ms.into())),
        };
        let commands: Vec<Command> = commands.iter().take(COMMANDS_MAX).map(command).collect();
        world.apply(at, &commands);
    }
}

fn command(deed: &Deed) -> Command {
    match deed {
        Deed::Acquire { who, resource, ttl, wait } => Command::Acquire(Acquire {
            resource: name(*resource),
            holder: Holder::new(&format!("h{}", who % 3)).expect("a holder"),
            request: request(*who),
            ttl: LeaseTtl::from_ms(1 + u64::from(*ttl) * 100).expect("a ttl"),
            wait: WaitLimit::from_ms(u64::from(*wait) * 64).expect("a wait"),
        }),
        Deed::Renew { tokens, who } => Command::Renew(Renew {
            tokens: tokens.iter().take(8).map(|number| token(*number)).collect(),
            requests: who.iter().take(8).map(|who| request(*who)).collect(),
        }),
        Deed::Release { token: number, resource } => {
            Command::Release { resource: name(*resource), token: token(*number) }
        }
        Deed::Cancel { who } => Command::Cancel { request: request(*who) },
        Deed::Pulse => Command::Pulse,
    }
}

fn name(number: u8) -> ResourceName {
    ResourceName::new(["a", "a/b", "b", "ÿ"][usize::from(number % 4)]).expect("a name")
}

fn request(who: u8) -> RequestId {
    RequestId::from_bytes([who % 24; 16])
}

fn token(number: u8) -> FencingToken {
    FencingToken::new(u64::from(number % 32) + 1).expect("above 0")
}
