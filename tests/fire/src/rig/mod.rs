//! The rig: the machines of a run, the network between them, and the levers of its faults.

pub(crate) mod cluster;
pub(crate) mod crew;
pub(crate) mod daemon;
pub(crate) mod dates;
pub(crate) mod network;
pub(crate) mod observer;
pub(crate) mod partition;
pub(crate) mod proxy;
pub(crate) mod small_disk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::profile::Workload;
use crate::tally::Tally;
use cluster::{CLIENT_PORT, Cluster, PEER_PORT, STORE_PORT, Size};
use crew::Crew;
use dates::Dates;
use network::{Host, Network};
use observer::Observer;
use proxy::{Hits, Proxies};
use small_disk::SmallDisk;

/// How often the rig looks after its processes.
const LOOK: Duration = Duration::from_millis(40);
/// How long it waits for a state that must come. Generous: it bounds a failure, it measures nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Everything that runs. What is dropped first is killed first, and the network goes last.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) crew: Crew,
    pub(crate) cluster: Cluster,
    pub(crate) proxies: Proxies,
    pub(crate) observer: Observer,
    /// The last node's.
    small_disk: SmallDisk,
    pub(crate) dates: Dates,
    pub(crate) network: Network,
    pub(crate) directory: PathBuf,
    pub(crate) random: fastrand::Rng,
    pub(crate) tally: Tally,
    /// What must not have happened.
    pub(crate) complaints: Vec<String>,
    /// A node that may end by itself for once. It is not started again either.
    pub(crate) may_end: Option<usize>,
}

impl Rig {
    /// Builds and starts everything, and waits until the cluster serves.
    pub(crate) async fn start(
        size: Size,
        directory: &Path,
        binary: &Path,
        workload: Workload,
        seed: u64,
    ) -> Outcome<Self> {
        std::fs::create_dir_all(directory)?;
        let mut network = Network::create(size.hosts())?;
        let dates = Dates::prepare(directory, network.hosts())?;
        network.dates = Some(dates.clone());
        let proxies = Proxies::start(&network, ports, Arc::<Hits>::default())?;
        let cluster = Cluster::prepare(size, &network, directory, binary)?;
        let crew = Crew::new(size, &network, directory, workload, seed);
        let last = cluster.nodes.last().ok_or("a cluster has nodes")?;
        let small_disk = SmallDisk::mount(&last.data)?;
        let observer = Observer::start(&cluster.node_addresses());
        let mut rig = Self {
            crew,
            cluster,
            proxies,
            observer,
            small_disk,
            dates,
            network,
            directory: directory.to_owned(),
            random: fastrand::Rng::with_seed(seed),
            tally: Tally::default(),
            complaints: Vec::new(),
            may_end: None,
        };
        rig.cluster.start_all(&rig.network)?;
        if !rig.observer.wait_for_leader(PATIENCE).await {
            return Err(format!("no leader came at all\n{}", rig.last_words()).into());
        }
        for seat in 0..rig.crew.seats.len() {
            rig.crew.start(seat, &rig.network)?;
        }
        Ok(rig)
    }

    /// Lets time pass, and looks after the processes meanwhile.
    pub(crate) async fn pass(&mut self, time: Duration) -> Outcome<()> {
        let until = Instant::now() + time;
        loop {
            self.look_after()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// A random time between these two.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(least..=most))
    }

    /// Nobody is to end without being told to. Who does is complained of, and replaced.
    fn look_after(&mut self) -> Outcome<()> {
        let woken = self.crew.wake(&mut self.random);
        self.tally.add("pauses", woken);
        self.tally.add("pauses between check and write", woken);
        for (at, machine) in self.cluster.machines_mut().enumerate() {
            if let Some(status) = machine.daemon.ended_by_itself()? {
                if self.may_end == Some(at) {
                    continue;
                }
                let (name, words) = (machine.daemon.name(), machine.daemon.last_words());
                self.complaints.push(format!("{name} ended by itself: {status}\n{words}"));
                machine.start(&self.network)?;
            }
        }
        for at in 0..self.crew.seats.len() {
            let daemon = &mut self.crew.seats[at].daemon;
            if let Some(status) = daemon.ended_by_itself()? {
                let (name, words) = (daemon.name(), daemon.last_words());
                self.complaints.push(format!("{name} ended by itself: {status}\n{words}"));
                self.crew.start(at, &self.network)?;
            }
        }
        Ok(())
    }

    /// Waits until somebody leads; that it takes too long is complained of.
    pub(crate) async fn wait_for_leader(&mut self) -> Outcome<Option<usize>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(leader) = self.observer.leader() {
                return Ok(Some(leader));
            }
            self.pass(LOOK).await?;
        }
        let words = self.last_words();
        self.complaints.push(format!("no leader came within {PATIENCE:?}\n{words}"));
        Ok(None)
    }

    /// All faults off, everything up.
    pub(crate) fn calm(&mut self) -> Outcome<()> {
        self.proxies.calm();
        for machine in self.cluster.machines_mut() {
            machine.daemon.go_on();
        }
        self.cluster.start_all(&self.network)
    }

    /// The end of what every daemon said.
    pub(crate) fn last_words(&self) -> String {
        let daemons = self.cluster.machines().map(|machine| &machine.daemon);
        daemons.map(|one| format!("--- {}\n{}\n", one.name(), one.last_words())).collect()
    }

    /// The node whose disk can be filled.
    pub(crate) fn small_disk_of(&self) -> Option<usize> {
        let mounted = self.small_disk.path();
        self.cluster.nodes.iter().position(|node| node.data == mounted)
    }

    pub(crate) fn node_hosts(&self) -> Vec<Host> {
        self.cluster.nodes.iter().map(|node| node.host.clone()).collect()
    }

    pub(crate) fn store_hosts(&self) -> Vec<Host> {
        self.cluster.stores.iter().map(|store| store.host.clone()).collect()
    }

    pub(crate) fn client_hosts(&self) -> Vec<Host> {
        self.crew.seats.iter().map(|seat| seat.host.clone()).collect()
    }
}

/// The ports that others reach a host on.
fn ports(host: &Host) -> Vec<u16> {
    match host.name.split('-').next() {
        Some("node") => vec![CLIENT_PORT, PEER_PORT],
        Some("store") => vec![STORE_PORT],
        _ => Vec::new(),
    }
}
