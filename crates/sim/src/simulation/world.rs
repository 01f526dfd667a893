//! One seed, one world: its machines, its agenda of what happens when, and the court that watches.
//!
//! The world alone starts, hurts, kills and mends. Everything that was seen passes through it, in
//! order, and is judged at once. After the time of faults everything is mended, and what is left of
//! the run must make progress (see `healing`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use leasehold_client::Random;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, Disk, DiskId, RecordStream, StreamOptions};
use leasehold_raft::{AsyncRuntime, Execution, Limits, Member, Node, NodeConfig};
use openraft_rt_sim::SimRuntime;
use tokio::sync::mpsc;

use super::application::Application;
use super::clocks::MachineClocks;
use super::lying_disk::LyingDisk;
use super::network::{Network, Place};
use super::oracles::{Court, Violation};
use super::plan::{FaultClass, Plan, Plant};
use super::process::{self, Pid, SimProcesses, true_time};
use super::random::{self, PoorRandom, SeededRandom};
use super::report::Figures;
use super::seen::{Reporter, Seen};
use super::session::{Parts, Session};
use super::story::Story;
use super::{machine, store};

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
    /// It forgot, or refuses to start: no member of any majority any more.
    pub(crate) out: bool,
}

/// A client's machine.
pub(crate) struct ClientMachine {
    pub(crate) clocks: MachineClocks,
    pub(crate) pid: Option<Pid>,
    lives: u64,
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
    agenda: BTreeMap<(Duration, u64), Due>,
    agenda_count: u64,
    numbers: Arc<AtomicU64>,
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
        self.live_until(faults_end).await?;
        self.heal().await
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
                out: false,
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
        if self.plan.plant == Some(Plant::LeaderClockRunsFast) && matches!(place, Place::Node(_)) {
            rates = [500_000; 2];
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
            Seen::Booted { node, outcome: Ok(handle) } => {
                if let Some(machine) = self.machines.get_mut(&node) {
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
            Seen::StoreFailed { .. } => self.later(Duration::from_millis(50), Due::KillStore),
            _ => {}
        }
        Ok(())
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

    pub(crate) fn start_node(&mut self, id: u64) {
        let (plan, reporter, network) = (&self.plan, self.reporter.clone(), self.network.clone());
        let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.pid.is_none())
        else {
            return;
        };
        machine.boots += 1;
        let pid = process::new_process();
        machine.pid = Some(pid);
        if machine.boots > 1 && tears(machine) {
            self.figures.count("torn tails cut");
        }
        let lies = plan.plant == Some(Plant::SyncLies);
        let mount = machine.disk.mount();
        let disk: Arc<dyn Disk> = if lies { Arc::new(LyingDisk(mount)) } else { mount };
        let boot = machine::Boot {
            pid,
            config: node_config(plan, id, machine.boots),
            fresh_disk: machine.disk_id,
            disk,
            clocks: machine.clocks.clone(),
            network,
            reporter,
            plant: plan.plant,
        };
        process::spawn_in(pid, machine::run(boot));
    }

    /// SIGKILL, or a power cut.
    pub(crate) fn kill_node(&mut self, id: u64, power: bool) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let Some(pid) = machine.pid.take() else { return };
        machine.node = None;
        self.network.detach(id);
        process::kill(pid);
        match power {
            true => machine.disk.crash(),
            false => machine.disk.kill_process(),
        }
    }

    pub(crate) fn start_store(&mut self) {
        if self.store.pid.is_some() {
            return;
        }
        let pid = process::new_process();
        self.store.pid = Some(pid);
        let boot = store::Boot {
            pid,
            disk: self.store.disk.mount(),
            network: self.network.clone(),
            reporter: self.reporter.clone(),
            sync: self.plan.sync,
            plant: self.plan.plant,
        };
        process::spawn_in(pid, store::run(boot));
    }

    pub(crate) fn kill_store(&mut self) {
        if let Some(pid) = self.store.pid.take() {
            process::kill(pid);
            self.store.disk.crash();
        }
    }

    pub(crate) fn start_client(&mut self, id: u64) {
        let (plan, stop_at) = (&self.plan, self.plan.faults_last + Duration::from_secs(5));
        let Some(machine) = self.clients.get_mut(&id).filter(|machine| machine.pid.is_none())
        else {
            return;
        };
        machine.lives += 1;
        let life = machine.lives;
        let pid = process::new_process();
        machine.pid = Some(pid);
        let stream = |what: &str| random::stream(plan.seed, &format!("{what} {id} {life}"));
        let poor = plan.plant == Some(Plant::RequestIdsRepeat);
        let ids: Arc<dyn Random> = match poor {
            true => Arc::new(PoorRandom::default()),
            false => Arc::new(SeededRandom::new(stream("ids"))),
        };
        let session = Session::new(Parts {
            client: id,
            nodes: plan.nodes,
            clock: machine.clocks.clone(),
            network: self.network.clone(),
            reporter: self.reporter.clone(),
            random: ids,
            chance: stream("session"),
            request_memory: Duration::from_millis(plan.settings.ended_memory_ms),
        });
        let (asks, asked) = mpsc::unbounded_channel();
        process::spawn_in(pid, session.run(asked));
        for job in 0..plan.jobs {
            let application = Application {
                client: id,
                asks: asks.clone(),
                network: self.network.clone(),
                reporter: self.reporter.clone(),
                resources: plan.resources,
                ttl_ms: plan.ttl_ms,
                numbers: self.numbers.clone(),
                random: stream(&format!("job {job}")),
                pauses: plan.has(FaultClass::ClientPause),
                plant: plan.plant,
                poor_ids: poor,
            };
            process::spawn_in(pid, application.run(stop_at));
        }
    }

    pub(crate) fn kill_client(&mut self, id: u64) {
        if let Some(pid) = self.clients.get_mut(&id).and_then(|machine| machine.pid.take()) {
            process::kill(pid);
        }
    }
}

/// Whether the node will find a torn tail: looked at on a copy.
fn tears(machine: &Machine) -> bool {
    let copy = machine.disk.image().mount();
    let opened = RecordStream::open(copy, StreamOptions::new(machine.disk_id));
    opened.is_ok_and(|(_, _, report)| report.torn.is_some())
}

fn node_config(plan: &Plan, id: u64, boots: u64) -> NodeConfig {
    let member = |id| Member {
        node_id: id,
        client_address: format!("client-{id}:1"),
        peer_address: format!("peer-{id}:1"),
    };
    NodeConfig {
        cluster_id: "simulated".to_owned(),
        node_id: id,
        members: (1..=plan.nodes).map(|id| (id, member(id))).collect(),
        timing: plan.timing.clone(),
        limits: Limits::default(),
        snapshots: plan.snapshots.clone(),
        boot_id: BootId((u128::from(id) << 64 | u128::from(boots)).to_le_bytes()),
        execution: Execution::Tasks { sync: plan.sync },
        settings: plan.settings.clone(),
    }
}
