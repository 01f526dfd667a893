//! What is in the world, and how much of it: one configuration is one finite search.

use crate::mutant::Mutant;

/// Milliseconds of real time in one step of time.
pub const TICK_MS: u64 = 1_000;

/// How proposals become part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Proposing, committing and applying are one step.
    Atomic,
    /// A batch of up to so many commands is stamped when it is closed and committed later, or lost with
    /// its leader. A new leader notes lease time in a step of its own.
    Split {
        /// Commands in one batch.
        batch: usize,
    },
}

/// Whether clients queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Try, do not wait.
    Never,
    /// Always queue.
    Always,
    /// Each claim as it likes.
    Either,
}

/// How a waiter hears of its grant, besides by renewing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantAnswer {
    /// A push, which proves nothing about time.
    Push,
    /// The answer of the `Acquire` call that is still open.
    OpenCall,
}

/// The fenced store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Writes under one lease.
    pub writes: u8,
    /// Power cuts of the store. With any, a write is admitted in one step and durable in another.
    pub crashes: u8,
}

/// Milliseconds that each clock shows for one step of real time: one choice of rates per entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The leader's clock, whoever leads.
    pub leader: u64,
    /// Each client's clock.
    pub clients: Vec<u64>,
}

/// One finite world.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names it in reports.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// The change to the protocol, if any.
    pub mutant: Mutant,
    /// How many clients.
    pub clients: usize,
    /// Claims that each client may begin.
    pub claims: u8,
    /// Messages of one client under way.
    pub messages: usize,
    /// Whether they queue.
    pub wait: Wait,
    /// How a waiter hears of its grant.
    pub grants: GrantAnswer,
    /// How the log works.
    pub log: Log,
    /// Changes of leader.
    pub elections: u8,
    /// Whether a leader may be frozen for any time.
    pub freezes: bool,
    /// Clients that may crash, in total.
    pub client_crashes: u8,
    /// Messages and writes that may be delivered twice, in total.
    pub copies: u8,
    /// Whether clients cancel before they were answered.
    pub cancels: bool,
    /// Whether clients release what they hold.
    pub releases: bool,
    /// The fenced store, if there is one.
    pub store: Option<StoreConfig>,
    /// The choices of rates; each is an initial state.
    pub rates: Vec<Rates>,
    /// The ttl of each claim, in ms.
    pub ttl_ms: u64,
    /// How long a claim waits, in ms of lease time.
    pub wait_ms: u64,
    /// How long ended ids are remembered, in ms of lease time.
    pub memory_ms: u64,
    /// Steps of time after which an `Acquire` is gone. Other messages may come at any time.
    pub acquire_life: u8,
    /// Steps of time for which a client repeats the same id.
    pub retry_life: u8,
    /// What a leader's clock adds per turn at most, in ms.
    pub cap_ms: u64,
    /// Whether time waits for pulses that are due, and L2 is checked.
    pub bound: bool,
    /// Whether L1 is checked: from every state, a fair schedule without faults ends every claim.
    pub heals: bool,
}

impl Config {
    /// Two clients that try without waiting, one leader, perfect clocks, nothing that breaks.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            mutant: Mutant::None,
            clients: 2,
            claims: 1,
            messages: 1,
            wait: Wait::Never,
            grants: GrantAnswer::Push,
            log: Log::Atomic,
            elections: 0,
            freezes: false,
            client_crashes: 0,
            copies: 0,
            cancels: false,
            releases: false,
            store: None,
            rates: vec![Rates { leader: TICK_MS, clients: vec![TICK_MS; 3] }],
            ttl_ms: 3 * TICK_MS,
            wait_ms: 4 * TICK_MS,
            memory_ms: 4 * TICK_MS,
            acquire_life: 2,
            retry_life: 1,
            cap_ms: 2 * TICK_MS,
            bound: false,
            heals: false,
        }
    }

    /// The clock rates at the edge of what the validity rule allows for, and a ttl at which one part in
    /// a thousand decides: 3003 ms have passed on the fastest leader's clock after three steps of real
    /// time, and 2997 ms on the slowest client's. Every way to be fast or slow is an initial state.
    #[must_use]
    pub fn with_drift(mut self) -> Self {
        let (fast, slow) = (TICK_MS + 1, TICK_MS - 1);
        let rates = |leader, clients| Rates { leader, clients };
        self.rates = vec![
            rates(fast, vec![slow, slow, slow]),
            rates(fast, vec![slow, fast, slow]),
            rates(slow, vec![slow, fast, fast]),
        ];
        self.ttl_ms = 3 * fast;
        self
    }

    /// Steps of time after which an answer proves nothing any more, on the slowest clock.
    pub(crate) fn proof_life(&self) -> u8 {
        let clocks = self.rates.iter().flat_map(|rates| &rates.clients);
        let slowest = clocks.min().copied().unwrap_or(TICK_MS);
        let longest_ms = match self.grants {
            GrantAnswer::Push => self.ttl_ms,
            // The answer of a call that waited counts from before the wait.
            GrantAnswer::OpenCall => self.ttl_ms + self.wait_ms,
        };
        u8::try_from(longest_ms.div_ceil(slowest)).unwrap_or(u8::MAX)
    }

    /// A lead of the leader's clock over lease time beyond which nothing changes any more, whatever
    /// lives: everything has ended and every id is forgotten.
    pub(crate) fn horizon_ms(&self) -> u64 {
        self.ttl_ms + self.memory_ms.max(self.wait_ms)
    }

    /// Commands in one batch.
    pub(crate) fn batch(&self) -> usize {
        match self.log {
            Log::Atomic => 1,
            Log::Split { batch } => batch,
        }
    }

    pub(crate) fn is_atomic(&self) -> bool {
        self.log == Log::Atomic
    }
}
