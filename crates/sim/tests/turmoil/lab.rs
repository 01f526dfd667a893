//! One simulated world: the hosts, the clients and their stories, the faults, the diary.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_client::{Client, ClientConfig, Random, StoreClient, StoreConfig};
use leasehold_disk::fake::FakeDisk;
use leasehold_net::Connector;
use leasehold_sim::history::record::Record;
use tonic::transport::{Channel, Endpoint};
use turmoil::{Builder, Sim};

use crate::hosts::{NODES, Node, STORE, STORE_ADDRESS, client_address, store};
use crate::machine::{HostClock, Seeded};
use crate::network::{Links, SimConnector};
use crate::{panics, runtime};

/// How far a host runs before the next one does. No message arrives sooner, so that what a host saw
/// before it sent is earlier than what its receiver sees.
const TICK: Duration = Duration::from_millis(4);
const LATENCY_MAX: Duration = Duration::from_millis(16);
/// Nothing takes this long in a world that heals. Simulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct World {
    sim: Sim<'static>,
    lab: Lab,
    _store: tempfile::TempDir,
}

/// What a world leaves behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What clients saw, line by line, and when.
    pub(crate) diary: Vec<(Duration, String)>,
    /// The same as a history, where a story recorded one.
    pub(crate) records: Vec<Record>,
    /// Writes that met a cut or held link.
    pub(crate) hits: u64,
    /// Hosts crashed.
    pub(crate) crashes: u64,
    /// Simulated.
    pub(crate) took: Duration,
}

/// A story's handle on its world. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lab(Arc<Mutex<State>>);

struct State {
    seed: u64,
    random: fastrand::Rng,
    links: Links,
    orders: Vec<Order>,
    down: BTreeSet<&'static str>,
    crashes: u64,
    said: BTreeSet<&'static str>,
    diary: Vec<(Duration, String)>,
    records: Vec<Record>,
    disks: BTreeMap<&'static str, FakeDisk>,
}

/// What only the world itself can do, between two ticks.
enum Order {
    Crash(&'static str),
    Bounce(&'static str),
}

impl World {
    /// Three nodes and a store, started.
    pub(crate) fn new(seed: u64) -> Self {
        panics::watch();
        let mut sim = Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .min_message_latency(TICK)
            .max_message_latency(LATENCY_MAX)
            .tcp_capacity(4_096)
            .simulation_duration(Duration::from_secs(3_600))
            .build();
        let mut random = fastrand::Rng::with_seed(seed);
        runtime::seed(random.u64(..));
        let links = Links::default();
        let mut disks = BTreeMap::new();
        for (number, name) in (1..).zip(NODES) {
            let disk = FakeDisk::new(random.u64(..));
            disks.insert(name, disk.clone());
            let clock = HostClock::draw(&mut random);
            let node = Node { number, disk, clock, links: links.clone() };
            let boots = Seeded::new(random.u64(..));
            sim.host(name, move || node.clone().run(u128::from_le_bytes(boots.draw())));
        }
        let directory = tempfile::tempdir().expect("a directory");
        let (data_dir, wires) = (directory.path().join("store"), links.clone());
        sim.host(STORE, move || store(data_dir.clone(), wires.clone()));
        let lab = Lab(Arc::new(Mutex::new(State {
            seed,
            random,
            links,
            orders: Vec::new(),
            down: BTreeSet::new(),
            crashes: 0,
            said: BTreeSet::new(),
            diary: Vec::new(),
            records: Vec::new(),
            disks,
        })));
        Self { sim, lab, _store: directory }
    }

    /// A host of that name with a story. The world ends when every story has.
    pub(crate) fn story<F>(&mut self, name: &'static str, story: impl FnOnce(Lab) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let story = story(self.lab.clone());
        self.sim.client(name, async move {
            story.await;
            Ok(())
        });
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Ended {
        loop {
            let seed = self.lab.state().seed;
            let finished = self.sim.step().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            self.obey();
            if finished {
                break;
            }
        }
        let took = self.sim.elapsed();
        drop(self.sim);
        assert_eq!(panics::seen(), 0, "no task panics");
        let mut state = self.lab.state();
        Ended {
            diary: std::mem::take(&mut state.diary),
            records: std::mem::take(&mut state.records),
            hits: state.links.hits(),
            crashes: state.crashes,
            took,
        }
    }

    fn obey(&mut self) {
        let orders = std::mem::take(&mut self.lab.state().orders);
        for order in orders {
            match order {
                Order::Crash(host) => {
                    self.sim.crash(host);
                    if let Some(disk) = self.lab.state().disks.get(host) {
                        disk.crash();
                    }
                }
                Order::Bounce(host) => self.sim.bounce(host),
            }
        }
    }
}

/// Time, words and the diary.
impl Lab {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True time.
    pub(crate) fn now(&self) -> Duration {
        turmoil::sim_elapsed().expect("a story runs on a host")
    }

    /// True time, as histories have it.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.now().as_nanos()).expect("not that long")
    }

    pub(crate) fn note(&self, what: &str) {
        let now = self.now();
        self.state().diary.push((now, what.to_owned()));
    }

    pub(crate) fn record(&self, record: Record) {
        self.note(&format!("{record:?}"));
        self.state().records.push(record);
    }

    /// Says a word that other stories may wait for.
    pub(crate) fn say(&self, word: &'static str) {
        self.state().said.insert(word);
    }

    pub(crate) fn has_heard(&self, word: &str) -> bool {
        self.state().said.contains(word)
    }

    pub(crate) async fn hear(&self, word: &str) {
        self.until(word, async || self.has_heard(word)).await;
    }

    /// Waits for a state of the world.
    pub(crate) async fn until(&self, what: &str, mut met: impl AsyncFnMut() -> bool) {
        let deadline = self.now() + PATIENCE;
        while !met().await {
            assert!(self.now() < deadline, "never: {what}");
            tokio::time::sleep(2 * TICK).await;
        }
    }

    fn draw(&self) -> u64 {
        self.state().random.u64(..)
    }

    /// Yes, once in so many times.
    pub(crate) fn one_in(&self, many: u64) -> bool {
        self.state().random.u64(0..many) == 0
    }

    pub(crate) fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.state().random.usize(0..of.len())]
    }

    /// Any time up to this one passes.
    pub(crate) async fn pause(&self, longest: Duration) {
        let longest = u64::try_from(longest.as_millis()).expect("not that long");
        let pause = self.state().random.u64(0..=longest);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Faults.
impl Lab {
    /// Nothing gets from one host to the other any more; what was on its way is lost.
    pub(crate) fn cut_one_way(&self, from: &str, to: &str) {
        turmoil::partition_oneway(from, to);
        self.state().links.block(from, to);
        self.note(&format!("cut {from} -> {to}"));
    }

    pub(crate) fn cut(&self, a: &str, b: &str) {
        turmoil::partition(a, b);
        self.block(a, b);
        self.note(&format!("cut {a} - {b}"));
    }

    /// What is sent between the two arrives once the link is let go.
    pub(crate) fn hold(&self, a: &str, b: &str) {
        turmoil::hold(a, b);
        self.block(a, b);
        self.note(&format!("hold {a} - {b}"));
    }

    pub(crate) fn let_go(&self, a: &str, b: &str) {
        turmoil::release(a, b);
        self.open(a, b);
        self.note(&format!("let go {a} - {b}"));
    }

    /// Of cuts of either kind.
    pub(crate) fn mend(&self, a: &str, b: &str) {
        turmoil::repair(a, b);
        self.open(a, b);
        self.note(&format!("mend {a} - {b}"));
    }

    fn block(&self, a: &str, b: &str) {
        let state = self.state();
        state.links.block(a, b);
        state.links.block(b, a);
    }

    fn open(&self, a: &str, b: &str) {
        let state = self.state();
        state.links.open(a, b);
        state.links.open(b, a);
    }

    /// Writes that met a cut or held link so far.
    pub(crate) fn hits(&self) -> u64 {
        self.state().links.hits()
    }

    /// The power of a host fails. What a node had not synced is lost as its disk decides.
    pub(crate) async fn crash(&self, host: &'static str) {
        {
            let mut state = self.state();
            if state.down.insert(host) {
                state.orders.push(Order::Crash(host));
                state.crashes += 1;
            }
        }
        self.note(&format!("crash {host}"));
        tokio::time::sleep(2 * TICK).await;
    }

    /// And comes back.
    pub(crate) async fn bounce(&self, host: &'static str) {
        {
            let mut state = self.state();
            if state.down.remove(host) {
                state.orders.push(Order::Bounce(host));
            }
        }
        self.note(&format!("bounce {host}"));
        tokio::time::sleep(2 * TICK).await;
    }
}

/// Clients on the current host.
impl Lab {
    /// The client library, told of these nodes.
    pub(crate) fn client(&self, name: &str, nodes: &[&str]) -> Client {
        let clock = HostClock::draw(&mut self.state().random);
        let config = ClientConfig {
            endpoints: nodes.iter().map(|node| client_address(node)).collect(),
            holder: name.to_owned(),
            request_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_millis(500),
            clock: Arc::new(clock),
            random: Arc::new(Seeded::new(self.draw())),
            connector: self.connector(),
        };
        Client::new(config).expect("a good config")
    }

    pub(crate) fn store(&self) -> StoreClient {
        let config = StoreConfig {
            endpoint: STORE_ADDRESS.to_owned(),
            request_timeout: Duration::from_secs(40),
            connect_timeout: Duration::from_millis(500),
            random: Arc::new(Seeded::new(self.draw())),
            connector: self.connector(),
            ..StoreConfig::default()
        };
        StoreClient::with(config).expect("a good config")
    }

    /// One node spoken to as anybody can with the proto files.
    pub(crate) fn plain(&self, node: &str) -> LeaseServiceClient<Channel> {
        let address = format!("http://{}", client_address(node));
        let endpoint = Endpoint::from_shared(address).expect("an address");
        LeaseServiceClient::new(self.connector().connect_lazily(endpoint))
    }

    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(SimConnector(self.state().links.clone()))
    }

    /// The node that leads, as it says itself.
    pub(crate) async fn leader(&self) -> &'static str {
        let client = self.client("who leads", &NODES);
        let mut found = None;
        let leads = async || {
            for (number, node) in (1..).zip(NODES) {
                let status = client.status(&client_address(node)).await;
                if status.is_ok_and(|status| status.leader_id == Some(number)) {
                    found = Some(node);
                }
            }
            found.is_some()
        };
        self.until("a leader", leads).await;
        found.expect("waited for")
    }
}

/// The two nodes that are not this one.
pub(crate) fn others(node: &str) -> [&'static str; 2] {
    let mut others = NODES.into_iter().filter(|other| *other != node);
    [others.next(), others.next()].map(|other| other.expect("three nodes"))
}
