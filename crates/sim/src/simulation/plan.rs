//! From one seed to one world: what it is made of and what will go wrong in it.
//!
//! Swarm testing (Groce et al., ISSTA 2012): each seed switches each class of faults on or off, so that
//! none hides behind another.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use leasehold_core::Settings;
use leasehold_raft::{Limits, SnapshotPolicy, Timing};
use leasehold_types::LeaseTtl;

use super::network::Weather;
use super::random;

/// A class of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum FaultClass {
    /// A node is killed and started again; what it wrote stays.
    Kill,
    /// A node loses power: unsynced writes survive, vanish or tear.
    PowerCut,
    /// The power goes during a chosen write or sync.
    PowerCutInWrite,
    /// A node is asked to stop.
    OrderlyStop,
    /// A node's process is stopped and goes on, its clock never stops.
    Pause,
    /// A machine is suspended: `MONOTONIC` stops, `BOOTTIME` does not.
    Suspend,
    /// A virtual machine is frozen: its clocks stop with it.
    Freeze,
    /// All nodes lose power at once.
    Blackout,
    /// Leadership is handed over.
    Transfer,
    /// A snapshot is taken out of turn, and the node may die while it is.
    Snapshot,
    /// One node is cut off.
    Isolate,
    /// A leader sends and hears nothing, or the other way round.
    OneWay,
    /// Two nodes reach each other only through a third.
    Bridge,
    /// A path comes and goes.
    Flap,
    /// Clients are cut off from nodes.
    CutClients,
    /// Messages, requests or replies, are lost.
    Loss,
    /// What a node says is lost for a while: its answers to peers, and connections of clients break
    /// behind what they have asked.
    LostReplies,
    /// Messages arrive late and out of order.
    Delay,
    /// Messages arrive twice.
    Repeat,
    /// Clocks run fast and slow, within what is allowed.
    ClockRates,
    /// Time services slew `MONOTONIC`.
    ClockSlew,
    /// Clocks run far beyond what is allowed: only C1 may suffer.
    ClockRatesBeyond,
    /// A sync fails.
    FailedSync,
    /// A write fails.
    FailedWrite,
    /// A disk is full for a while.
    FullDisk,
    /// Syncs are slow.
    SlowDisk,
    /// A bit flips in a file of one node.
    BitFlip,
    /// One node comes back with an empty disk.
    WipedDisk,
    /// One node comes back with yesterday's disk.
    OldDisk,
    /// The store loses power.
    StorePowerCut,
    /// Clients are killed.
    ClientKill,
    /// Clients are stopped, between check and write too.
    ClientPause,
}

impl FaultClass {
    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        <Self as clap::ValueEnum>::value_variants().iter().copied()
    }

    /// Whether it is there all the time, in paths, clocks or disks, and does not strike.
    pub(crate) fn is_weather(self) -> bool {
        matches!(
            self,
            Self::Loss
                | Self::Delay
                | Self::Repeat
                | Self::ClockRates
                | Self::ClockRatesBeyond
                | Self::SlowDisk
        )
    }
}

/// A known bug, to see whether it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Plant {
    /// A node's sync returns without having synced.
    SyncLies,
    /// A leader's clock runs half as fast again.
    LeaderClockRunsFast,
    /// A holder does not count the time its machine was suspended.
    HolderForgetsSuspension,
    /// Every answer says that a whole ttl is left.
    AnswersPromiseAWholeTtl,
    /// An application acts without asking whether it may.
    ApplicationNeverChecks,
    /// A client's request ids repeat.
    RequestIdsRepeat,
    /// A node ends the claims of a connection that broke.
    NodeCancelsWhenAConnectionBreaks,
    /// A wiped node comes back under its old identity, and its peers cannot tell.
    WipedNodeKeepsItsIdentity,
    /// The store keeps its marks in memory only.
    StoreForgetsMarks,
    /// The store does not look at tokens.
    StoreTakesAnyToken,
    /// The store does not look at sequences.
    StoreTakesAnySequence,
    /// The store answers before it has synced.
    StoreAnswersBeforeSync,
    /// The store's reads do not raise the mark.
    StoreReadsRaiseNothing,
    /// The store says yes where it refuses.
    StoreSaysYesToStale,
    /// The store keeps another token beside a value than the one it was written under.
    StoreKeepsAnotherToken,
    /// A node reads its own state without asking a majority.
    ReadsAskNobody,
    /// A node answers that a claim waits before anything is decided.
    NodeAnswersBeforeCommit,
    /// Answers name another token than the one granted.
    AnswersNameAnotherToken,
    /// A holder counts its time from after it sent.
    HolderCountsFromLater,
    /// A node that was started again answers no candidate.
    RestartedNodeGivesNoVotes,
    /// A leader's clock runs half as fast as it should.
    LeaderClockRunsSlow,
    /// A node follows whoever asks for its vote, although it hears a leader.
    VotesDeposeALeader,
    /// A leader counts nothing of the beginning of its leadership.
    NewLeaderCountsLate,
    /// A node renews the claims of a connection that broke.
    NodeRenewsForTheDead,
    /// Ids that ended are remembered for an hour, whatever was agreed.
    EndedIdsStay,
}

impl Plant {
    /// How the oracle begins that the bug is planted for, where it is one of those that need a mended
    /// cluster. That another notices it first says nothing about that one.
    pub fn aims_at(self) -> Option<&'static str> {
        match self {
            Self::RestartedNodeGivesNoVotes => Some("L1"),
            Self::LeaderClockRunsSlow => Some("L2"),
            Self::VotesDeposeALeader => Some("L3"),
            Self::NewLeaderCountsLate => Some("L4"),
            Self::NodeRenewsForTheDead | Self::EndedIdsStay => Some("L5"),
            _ => None,
        }
    }
}

/// What else is tried of a mended cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// A holder dies (L2).
    DeadHolder,
    /// A holder dies, and leadership changes all the time (L4).
    DeadHolderAndElections,
    /// One node is the only one that reaches all (L3).
    Hub,
}

/// What one run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) classes: BTreeSet<FaultClass>,
    pub(crate) plant: Option<Plant>,
    pub(crate) nodes: u64,
    pub(crate) clients: u64,
    pub(crate) jobs: u64,
    pub(crate) resources: u64,
    /// Whether names are as long as they may be, so that a group of records can tear.
    pub(crate) long_names: bool,
    pub(crate) ttl_ms: (u64, u64),
    pub(crate) timing: Timing,
    pub(crate) settings: Settings,
    pub(crate) snapshots: SnapshotPolicy,
    pub(crate) limits: Limits,
    /// Every state whose revision is a multiple of this is looked at.
    pub(crate) look_every: u64,
    /// How the mended cluster is tried.
    pub(crate) trial: Trial,
    pub(crate) sync: Duration,
    pub(crate) weather: Weather,
    /// Mean time between faults.
    pub(crate) calm: Duration,
    /// How long things go wrong before all is mended.
    pub(crate) faults_last: Duration,
}

impl Plan {
    /// Everything that the seed decides. `without` switches classes off and changes nothing else.
    pub(crate) fn new(seed: u64, plant: Option<Plant>, without: &BTreeSet<FaultClass>) -> Self {
        let mut swarm = random::stream(seed, "swarm");
        let mut classes: BTreeSet<FaultClass> =
            FaultClass::all().filter(|_| swarm.bool()).collect();
        // Rare on purpose: nothing that is said about time holds any more.
        if swarm.u8(0..4) > 0 {
            classes.remove(&FaultClass::ClockRatesBeyond);
        }
        classes.retain(|class| !without.contains(class));
        let mut chance = random::stream(seed, "world");
        let ttl_least = chance.u64(1_000..2_000);
        let sync = match classes.contains(&FaultClass::SlowDisk) {
            true => Duration::from_millis(chance.u64(5..25)),
            false => Duration::from_micros(chance.u64(50..500)),
        };
        let segment_step_bytes = chance.u64(4..=16) << 10;
        Self {
            seed,
            plant,
            nodes: if chance.u8(0..5) == 0 { 5 } else { 3 },
            clients: chance.u64(2..=4),
            jobs: chance.u64(1..=3),
            resources: chance.u64(1..=3),
            long_names: chance.bool(),
            ttl_ms: (ttl_least, ttl_least + chance.u64(200..3_000)),
            timing: if chance.bool() { Timing::quick() } else { Timing::steady() },
            settings: Settings {
                ttl_min: LeaseTtl::from_ms(1_000).expect("a second is a ttl"),
                ended_memory_ms: chance.u64(8_000..20_000),
                stamp_interval_ms: chance.u64(50..=250),
                ends_per_entry: [1, 1, 2, 1_024][(seed / 3 % 4) as usize],
                ..Settings::default()
            },
            snapshots: SnapshotPolicy {
                entries: chance.u64(20..300),
                keep: chance.u64(0..30),
                ..SnapshotPolicy::default()
            },
            limits: Limits {
                segment_step_bytes,
                segment_bytes: segment_step_bytes * chance.u64(1..=24),
                groups_unnoted_max: 1 + seed % 60,
                ..Limits::default()
            },
            look_every: chance.u64(1..=8),
            trial: match chance.u8(0..3) {
                0 => Trial::DeadHolder,
                1 => Trial::DeadHolderAndElections,
                _ => Trial::Hub,
            },
            sync,
            weather: weather(&classes, &mut chance),
            calm: Duration::from_millis(chance.u64(300..4_000)),
            faults_last: Duration::from_millis(chance.u64(15_000..60_000)),
            classes,
        }
    }

    /// Whether an old copy of a disk is one that was made while the node ran on.
    pub(crate) const fn copies_live(&self) -> bool {
        (self.seed / 7).is_multiple_of(2)
    }

    pub(crate) fn has(&self, class: FaultClass) -> bool {
        self.classes.contains(&class)
    }

    /// The classes that are on.
    pub(crate) fn names(&self) -> Vec<String> {
        self.classes.iter().map(FaultClass::to_string).collect()
    }
}

fn weather(classes: &BTreeSet<FaultClass>, chance: &mut fastrand::Rng) -> Weather {
    let has = |class| classes.contains(&class);
    let mut weather = Weather::calm();
    if has(FaultClass::Delay) {
        weather.delay.1 = Duration::from_millis(chance.u64(1..20));
        weather.slow_per_mille = chance.u32(1..15);
    }
    if has(FaultClass::Loss) {
        weather.lost_per_mille = chance.u32(1..40);
    }
    if has(FaultClass::Repeat) {
        weather.twice_per_mille = chance.u32(1..50);
    }
    weather
}

fn word(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}
