//! One seed, one world: its machines, its agenda of what happens when, and the court that watches.
//!
//! The world alone starts, hurts, kills and mends. Everything that was seen passes through it, in
//! order, and is judged at once. After the time of faults everything is mended, and what is left of
//! the run must make progress (see `healing`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use leasehold_disk::DiskId;
use leasehold_disk::fake::FakeDisk;
use leasehold_raft::{AppliedBatch, AsyncRuntime, Change, Node, Role};
use openraft_rt_sim::SimRuntime;
use tokio::sync::mpsc;

use super::clocks::MachineClocks;
use super::log_on_disk::{self, Kept};
use super::network::{Did, Network, Place};
use super::oracles::{Court, Violation};
use super::plan::{FaultClass, Plan, Plant};
use super::process::{Pid, SimProcesses, true_time};
use super::random;
use super::report::Figures;
use super::seen::{Reporter, Seen};
use super::story::Story;

/// The name of every simulated cluster.
pub(crate) const CLUSTER: &str = "simulated";

/// So many entries of the log later. To read all logs at each would be most of a run.
const LOOK_AT_DISKS_EVERY: u64 = 64;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerCut {
    /// Of each write all, nothing or a part.
    AnyHow,
    /// A part of each write.
    Tearing,
}

/// A node's machine, whether a process runs on it or not.
pub(crate) struct Machine {
    pub(crate) disk: FakeDisk,
    pub(crate) disk_id: DiskId,
    pub(crate) clocks: MachineClocks,
    pub(crate) pid: Option<Pid>,
    pub(crate) node: Option<Node<SimProcesses>>,
    pub(crate) boots: u64,
    /// Yesterday's disk, or the true one while another is in.
    pub(crate) put_aside: Option<(FakeDisk, DiskId)>,
    /// An old copy of its disk was once put in the place of the disk.
    pub(crate) ran_on_a_copy: bool,
    /// It forgot, or may refuse to start: no member of any majority any more.
    pub(crate) out: bool,
    /// The power is going to fail in the middle of an operation.
    pub(crate) power_fails: Option<PowerCut>,
    /// It is out for a flipped bit, and had synced its log so far: if it starts with all of that, the bit
    /// did no harm.
    pub(crate) flipped: Option<u64>,
}

/// A client's machine.
pub(crate) struct ClientMachine {
    pub(crate) clocks: MachineClocks,
    pub(crate) pid: Option<Pid>,
    pub(crate) lives: u64,
}

/// The store's machine.
pub(crate) struct StoreMachine {
    pub(crate) disk: FakeDisk,
    pub(crate) pid: Option<Pid>,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// The next fault.
    Strike,
    StartNode(u64),
    KillNode(u64, bool),
    StartStore,
    KillStore,
    StartClient(u64),
    GoOn(Pid),
    WakeUp(Place),
    Mend(Vec<(Place, Place)>),
    Cut(Vec<(Place, Place)>),
    HearReplies(Place),
    EndSlew(Place),
    RoomAgain(u64),
    TrueDiskAgain(u64),
}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) chance: fastrand::Rng,
    pub(crate) network: Network,
    pub(crate) machines: BTreeMap<u64, Machine>,
    pub(crate) clients: BTreeMap<u64, ClientMachine>,
    pub(crate) store: StoreMachine,
    pub(crate) reporter: Reporter,
    pub(crate) figures: Figures,
    pub(crate) story: Story,
    pub(crate) healing: bool,
    seen: mpsc::UnboundedReceiver<(Duration, Seen)>,
    court: Court,
    pub(crate) agenda: BTreeMap<(Duration, u64), Due>,
    agenda_count: u64,
    pub(crate) numbers: Arc<AtomicU64>,
    /// Terms in which somebody led and served.
    terms_led: BTreeSet<u64>,
    /// From this place of the log on, all disks are looked at once more.
    look_at_disks_from: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, story: Story) -> Self {
        let (reporter, seen) = Reporter::new();
        let chance = random::stream(plan.seed, "faults");
        Self {
            network: Network::new(plan.seed, plan.weather.clone()),
            machines: BTreeMap::new(),
            clients: BTreeMap::new(),
            store: StoreMachine { disk: FakeDisk::new(plan.seed ^ 0x57), pid: None },
            court: Court::new(&plan),
            figures: Figures::of_one_seed(),
            agenda: BTreeMap::new(),
            agenda_count: 0,
            numbers: Arc::default(),
            terms_led: BTreeSet::new(),
            look_at_disks_from: 1,
            healing: false,
            plan,
            chance,
            reporter,
            seen,
            story,
        }
    }

    /// Starts everything, lets faults happen for as long as planned, and mends.
    pub(crate) async fn run(&mut self) -> Result<(), Violation> {
        self.people();
        let faults_end = self.plan.faults_last;
        self.later(Duration::from_secs(2), Due::Strike);
        let held = self.live_until(faults_end).await;
        self.count_weather();
        held?;
        let healed = self.heal().await;
        self.count_log_files();
        healed
    }

    /// Files of logs that were filled and then purged.
    fn count_log_files(&mut self) {
        for machine in self.machines.values() {
            let names = machine.disk.names();
            let numbers = names.iter().filter_map(|name| name.strip_prefix("segment-"));
            let first = numbers.filter_map(|number| number.parse::<u64>().ok()).min();
            let removed = first.map_or(0, |first| first.saturating_sub(1));
            self.figures.count_many("log files removed", removed);
        }
    }

    /// What is there all the time strikes without being asked to.
    fn count_weather(&mut self) {
        let Did { lost, slowed, doubled, .. } = self.network.did();
        self.figures.fault(FaultClass::Loss, lost);
        self.figures.fault(FaultClass::Delay, slowed);
        self.figures.fault(FaultClass::Repeat, doubled);
        for class in [FaultClass::ClockRates, FaultClass::ClockRatesBeyond, FaultClass::SlowDisk] {
            self.figures.fault(class, u64::from(self.plan.has(class)));
        }
    }

    /// Machines with clocks as wrong as the plan says, and processes on all of them.
    fn people(&mut self) {
        for id in 1..=self.plan.nodes {
            let machine = Machine {
                disk: FakeDisk::new(self.plan.seed ^ (id << 32)),
                disk_id: DiskId([id as u8; 16]),
                clocks: self.clocks(Place::Node(id)),
                pid: None,
                node: None,
                boots: 0,
                put_aside: None,
                ran_on_a_copy: false,
                out: false,
                flipped: None,
                power_fails: None,
            };
            self.machines.insert(id, machine);
            self.start_node(id);
        }
        self.start_store();
        for id in 1..=self.plan.clients {
            let clocks = self.clocks(Place::Client(id));
            self.clients.insert(id, ClientMachine { clocks, pid: None, lives: 0 });
            self.start_client(id);
        }
    }

    fn clocks(&mut self, place: Place) -> MachineClocks {
        let most = match (
            self.plan.has(FaultClass::ClockRatesBeyond),
            self.plan.has(FaultClass::ClockRates),
        ) {
            (true, _) => 50_000,
            (false, true) => 1_000,
            (false, false) => 0,
        };
        let start = Duration::from_millis(self.chance.u64(0..100_000_000));
        let mut rates = [self.chance.i64(-most..=most), self.chance.i64(-most..=most)];
        match (self.plan.plant, place) {
            (Some(Plant::LeaderClockRunsFast), Place::Node(_)) => rates = [500_000; 2],
            (Some(Plant::LeaderClockRunsSlow), Place::Node(_)) => rates = [-500_000; 2],
            _ => {}
        }
        let counts_sleep = self.plan.plant != Some(Plant::HolderForgetsSuspension);
        MachineClocks::new(start, rates[0], rates[1], counts_sleep)
    }

    /// What will happen, this much later.
    pub(crate) fn later(&mut self, after: Duration, due: Due) {
        self.agenda_count += 1;
        self.agenda.insert((true_time() + after, self.agenda_count), due);
    }

    /// Judges everything seen and does everything due, until then.
    pub(crate) async fn live_until(&mut self, end: Duration) -> Result<(), Violation> {
        while true_time() < end {
            self.live_once(end).await?;
        }
        Ok(())
    }

    /// One event, or what is due, or the end.
    pub(crate) async fn live_once(&mut self, end: Duration) -> Result<(), Violation> {
        let next = self.agenda.first_key_value().map_or(end, |((at, _), _)| (*at).min(end));
        let wait = next.saturating_sub(true_time());
        if let Ok(Some((at, seen))) = SimRuntime::timeout(wait, self.seen.recv()).await {
            self.see(at, seen)?;
        }
        while let Ok((at, seen)) = self.seen.try_recv() {
            self.see(at, seen)?;
        }
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= true_time()
        {
            let due = entry.remove();
            self.perform(due);
        }
        Ok(())
    }

    fn see(&mut self, at: Duration, seen: Seen) -> Result<(), Violation> {
        self.story.tell(at, &seen);
        self.figures.see(&seen);
        self.court.see(at, &seen)?;
        match seen {
            Seen::Applied { change, .. } => self.look_at_disks(at, &change)?,
            Seen::Booted { node, outcome: Ok(handle) } => {
                if let Some(machine) = self.machines.get_mut(&node) {
                    if let Some(reached) = machine.flipped.take() {
                        machine.out = handle.peer_handler().facts().recovered < reached;
                    }
                    machine.node = Some(handle);
                }
            }
            Seen::Booted { node, outcome: Err(_) } => self.refused_to_start(node),
            Seen::Failed { node, .. } => {
                self.later(Duration::from_millis(50), Due::KillNode(node, false))
            }
            Seen::LeftInOrder { node } => {
                self.kill_node(node, false);
                self.later(Duration::from_millis(500), Due::StartNode(node));
            }
            Seen::Stands { term, role: Role::Leader, serves: true, .. } => {
                self.terms_led.insert(term);
            }
            Seen::StoreFailed { .. } => self.later(Duration::from_millis(50), Due::KillStore),
            _ => {}
        }
        Ok(())
    }

    /// What all disks keep of a batch, at once when the first node has applied it.
    fn look_at_disks(&mut self, at: Duration, change: &Change) -> Result<(), Violation> {
        let Change::Batch(AppliedBatch { log_index: index, .. }) = *change else { return Ok(()) };
        if index < self.look_at_disks_from {
            return Ok(());
        }
        self.look_at_disks_from = index + LOOK_AT_DISKS_EVERY;
        let kept = |machine: &Machine| match machine.out {
            true => Kept::Unasked,
            false => {
                log_on_disk::kept(&machine.disk, machine.disk_id, index).unwrap_or(Kept::Nothing)
            }
        };
        let logs = self.machines.iter().map(|(id, machine)| (*id, kept(machine))).collect();
        self.figures.count("looks at all disks");
        self.see(at, Seen::LogsOnDisk { index, logs })
    }

    /// How many leaderships have served so far.
    pub(crate) fn leaderships(&self) -> u32 {
        u32::try_from(self.terms_led.len()).unwrap_or(u32::MAX)
    }

    /// A full disk has room again some day; what is damaged stays so.
    fn refused_to_start(&mut self, node: u64) {
        self.kill_node(node, false);
        if let Some(machine) = self.machines.get_mut(&node)
            && !machine.out
        {
            self.later(Duration::from_secs(1), Due::StartNode(node));
        }
    }
}
