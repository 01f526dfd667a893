//! The cluster's state: the real one, kept as its own snapshot.
//!
//! Every log entry is applied to a [`LeaseState`] restored from bytes, and its result is turned into
//! bytes again: small to keep a million of, and each step checks on the way that a snapshot continues
//! as the state it was taken from.

use std::sync::{Arc, LazyLock};

use leasehold_core::{Acquire, Applied, Command, LeaseState, Renew, Settings};
use leasehold_types::{
    FencingToken, Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, WaitLimit,
};

use crate::config::Config;
use crate::facts::Facts;

static RESOURCE: LazyLock<ResourceName> =
    LazyLock::new(|| ResourceName::new("r").expect("a short name is a name"));
static HOLDER: LazyLock<Holder> = LazyLock::new(|| Holder::new("").expect("may be empty"));

/// The replicated state after some log entry.
#[derive(Clone, Debug)]
pub(crate) struct Lease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    snapshot: Vec<u8>,
    facts: Facts,
}

/// What a log entry did.
pub(crate) struct Entered {
    pub(crate) lease: Lease,
    pub(crate) applied: Applied,
    /// Names of the core's own invariants that do not hold any more.
    pub(crate) broken: Vec<&'static str>,
}

impl Lease {
    pub(crate) fn new(config: &Config) -> Self {
        let settings = Settings {
            claims_max: 100,
            waiters_per_resource_max: 100,
            ttl_min: LeaseTtl::from_ms(1_000).expect("a second is a ttl"),
            ttl_max: LeaseTtl::from_ms(60_000).expect("a minute is a ttl"),
            ended_memory_ms: config.memory_ms,
            ended_memory_max: 1_000,
            stamp_interval_ms: 250,
            ends_per_entry: Settings::default().ends_per_entry,
        };
        Self::of(LeaseState::new(settings).snapshot())
    }

    pub(crate) fn of(snapshot: Vec<u8>) -> Self {
        let facts = Facts::read(&snapshot);
        Self(Arc::new(Inner { snapshot, facts }))
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.snapshot
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.facts.now
    }

    /// Applies one log entry with [`LeaseState::apply`].
    pub(crate) fn apply(&self, at: u64, commands: &[Command]) -> Entered {
        let restored = LeaseState::restore(&self.0.snapshot);
        let mut state = restored.expect("a state without broken invariants is restored");
        let applied = state.apply(LeaseTime(at), commands);
        let broken = state.broken_invariants();
        Entered { lease: Self::of(state.snapshot()), applied, broken }
    }

    /// The same bytes with `range` replaced: for mutants.
    pub(crate) fn rewritten(&self, range: std::ops::Range<usize>, with: &[u8]) -> Self {
        let mut bytes = self.0.snapshot.clone();
        bytes.splice(range, with.iter().copied());
        Self::of(bytes)
    }
}

pub(crate) fn acquire(request: u8, config: &Config, waits: bool) -> Command {
    let wait_ms = if waits { config.wait_ms } else { 0 };
    Command::Acquire(Acquire {
        resource: RESOURCE.clone(),
        holder: HOLDER.clone(),
        request: id(request),
        ttl: LeaseTtl::from_ms(config.ttl_ms).expect("the configuration has a ttl within bounds"),
        wait: WaitLimit::from_ms(wait_ms).expect("the configuration has a wait within bounds"),
    })
}

pub(crate) fn renew_token(token: u64) -> Command {
    Command::Renew(Renew { tokens: vec![self::token(token)], requests: Vec::new() })
}

pub(crate) fn renew_requests(requests: impl Iterator<Item = u8>) -> Command {
    Command::Renew(Renew { tokens: Vec::new(), requests: requests.map(id).collect() })
}

pub(crate) fn release(token: u64) -> Command {
    Command::Release { resource: RESOURCE.clone(), token: self::token(token) }
}

pub(crate) fn cancel(request: u8) -> Command {
    Command::Cancel { request: id(request) }
}

pub(crate) fn token(value: u64) -> FencingToken {
    FencingToken::new(value).expect("tokens of the model come from grants")
}

fn id(request: u8) -> RequestId {
    RequestId::from_bytes([request; 16])
}
