//! How a cluster that nothing goes wrong in answers, by round trip, members and clients: the figures of
//! `docs/scale.md`.
//!
//! In virtual time no instruction costs anything. What is left is what no faster machine takes away: round
//! trips, syncs, and who waits for whom. So these are latencies and numbers of messages; a rate here says
//! what waiting allows, and what a processor allows is for benchmarks to say.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_core::Settings;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, DiskId};
use leasehold_raft::{AsyncRuntime, Change, Execution, Limits, NodeConfig, SnapshotPolicy, Timing};
use leasehold_types::{Acquire, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};
use openraft_rt_sim::SimRuntime;
use tokio::sync::{mpsc, oneshot};

use super::clocks::MachineClocks;
use super::network::{Network, Weather};
use super::process::{self, WORLD, true_time};
use super::random::{self, SeededRandom};
use super::running::members;
use super::seen::{Reporter, Seen};
use super::session::{Ask, Parts, Session};
use super::{machine, panics};

/// One cluster and its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Members.
    pub nodes: u64,
    /// Clients, each of which acquires and releases one lease after the other.
    pub clients: u64,
    /// From any machine to any other and back.
    pub round_trip: Duration,
    /// How often a leader shows that it lives; the bounds of elections follow, as in the default timing.
    pub heartbeat: Duration,
    /// How long a disk takes to sync.
    pub sync: Duration,
    /// For how many round trips it is measured.
    pub round_trips: u32,
}

impl Cell {
    /// The heartbeat that docs/scale.md advises: the default, or twice the round trip where that is more.
    /// One that is not answered within three quarters of itself counts as not answered.
    pub fn heartbeat_for(round_trip: Duration) -> Duration {
        Timing::default().heartbeat.max(round_trip * 2)
    }

    fn timing(&self) -> Timing {
        Timing::new(self.heartbeat, self.heartbeat * 3, self.heartbeat * 6)
    }

    /// For how long it is measured.
    pub fn lasts(&self) -> Duration {
        self.round_trip * self.round_trips
    }
}

/// What was measured of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Leases granted, each of which was released before the next.
    pub grants: u64,
    /// From the wish to the lease in hand, for half of them at most.
    pub half: Duration,
    /// The same, for all but one in a hundred.
    pub nearly_all: Duration,
    /// Entries of the log.
    pub entries: u64,
    /// Messages between nodes, heartbeats included.
    pub messages: u64,
}

/// By now there is a leader: who is connected to no node before goes to that one.
const CONNECT: Duration = Duration::from_secs(5);
/// By now every client has had its first lease and waits.
const START: Duration = Duration::from_secs(10);
/// So many round trips after the start are not measured.
const WARM_UP: u32 = 20;
/// Each client's resources, so that a release need not be waited for.
const RESOURCES: u64 = 4;

#[derive(Debug, Default)]
struct Tally {
    took: Vec<Duration>,
    last_index: u64,
}

type Shared = Arc<Mutex<Tally>>;

fn tally<T>(shared: &Shared, change: impl FnOnce(&mut Tally) -> T) -> T {
    change(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs one on this thread. Repeats exactly.
pub fn measure(cell: Cell) -> Measured {
    process::reset(0);
    panics::watch();
    SimRuntime::with_seed(0).block_on(async move {
        let half = cell.round_trip / 2;
        let network = Network::new(0, Weather { delay: (half, half), ..Weather::calm() });
        let (reporter, seen) = Reporter::new();
        let shared = Shared::default();
        process::spawn_in(WORLD, listen(seen, shared.clone()));
        for id in 1..=cell.nodes {
            start_node(cell, id, &network, &reporter);
        }
        for id in 1..=cell.clients {
            start_client(cell, id, &network, &reporter, &shared);
        }
        process::sleep_until(START + cell.round_trip * WARM_UP).await;
        let before = tally(&shared, |tally| {
            tally.took.clear();
            tally.last_index
        });
        let messages = network.did().between_nodes;
        process::sleep(cell.lasts()).await;
        let messages = network.did().between_nodes - messages;
        network.forget_everybody();
        tally(&shared, |tally| Measured {
            messages,
            entries: tally.last_index - before,
            ..Measured::of(&mut tally.took)
        })
    })
}

impl Measured {
    fn of(took: &mut [Duration]) -> Self {
        took.sort_unstable();
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        Self { grants: took.len() as u64, half: at(50), nearly_all: at(99), ..Self::default() }
    }
}

async fn listen(mut seen: mpsc::UnboundedReceiver<(Duration, Seen)>, shared: Shared) {
    while let Some((_, seen)) = seen.recv().await {
        if let Seen::Applied { change, .. } = seen
            && let Change::Batch(batch) = &*change
        {
            tally(&shared, |tally| tally.last_index = tally.last_index.max(batch.log_index));
        }
    }
}

fn start_node(cell: Cell, id: u64, network: &Network, reporter: &Reporter) {
    let config = NodeConfig {
        cluster_id: super::world::CLUSTER.to_owned(),
        node_id: id,
        members: members(cell.nodes),
        timing: cell.timing(),
        limits: Limits { segment_step_bytes: 1 << 20, ..Limits::default() },
        snapshots: SnapshotPolicy::default(),
        execution: Execution::Tasks { sync: cell.sync },
        settings: Settings::default(),
    };
    let pid = process::new_process();
    let boot = machine::Boot {
        pid,
        config,
        boot: BootId(u128::from(id).to_le_bytes()),
        fresh_disk: DiskId([id as u8; 16]),
        disk: FakeDisk::new(id).mount(),
        clocks: clocks(),
        network: network.clone(),
        reporter: reporter.clone(),
        plant: None,
        started_before: false,
        look_every: u64::MAX,
    };
    process::spawn_in(pid, machine::run(boot));
}

fn start_client(cell: Cell, id: u64, network: &Network, reporter: &Reporter, shared: &Shared) {
    let session = Session::new(Parts {
        client: id,
        nodes: cell.nodes,
        clock: clocks(),
        network: network.clone(),
        reporter: reporter.clone(),
        random: Arc::new(SeededRandom::new(random::stream(id, "ids"))),
        chance: random::stream(id, "session"),
        request_memory: Duration::from_millis(Settings::default().ended_memory_ms),
        plant: None,
        prefers_leader: true,
    });
    let pid = process::new_process();
    let (asks, asked) = mpsc::unbounded_channel();
    process::spawn_in(pid, session.run(asked));
    // Not all at once: spread over the time that one lease takes.
    let apart = cell.round_trip * 2 / u32::try_from(cell.clients).unwrap_or(u32::MAX);
    let start = START + apart * u32::try_from(id - 1).unwrap_or(u32::MAX);
    process::spawn_in(pid, acquire_and_release(id, asks, start, shared.clone()));
}

/// Perfect ones.
fn clocks() -> MachineClocks {
    MachineClocks::new(Duration::from_secs(1), 0, 0, true)
}

async fn acquire_and_release(
    client: u64,
    asks: mpsc::UnboundedSender<Ask>,
    start: Duration,
    shared: Shared,
) {
    process::sleep_until(CONNECT).await;
    for wish in 1.. {
        let (reply, answer) = oneshot::channel();
        let (began, ask) = (true_time(), acquire(client, wish));
        if asks.send(Ask::Acquire { wish, ask, reply }).is_err() {
            return;
        }
        if let Ok(Ok(_lease)) = answer.await {
            tally(&shared, |tally| tally.took.push(true_time() - began));
        }
        // Nobody listens any more when the process is being killed.
        let _ = asks.send(Ask::GiveUp(wish));
        process::sleep_until(start).await;
    }
}

fn acquire(client: u64, wish: u64) -> Acquire {
    let resource = format!("pair/{client}/{}", wish % RESOURCES);
    Acquire {
        resource: ResourceName::new(&resource).expect("a name"),
        holder: Holder::new(&format!("client-{client}")).expect("a holder"),
        request: RequestId::from_bytes((u128::from(client) << 64 | u128::from(wish)).to_le_bytes()),
        ttl: LeaseTtl::from_ms(10_000).expect("a ttl"),
        wait: WaitLimit::from_ms(10_000).expect("a wait"),
    }
}
