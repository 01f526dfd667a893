//! A cluster of real processes on loopback, for black-box tests.
//!
//! Everything is reached as a user would: by gRPC or by the command. A cluster ends only processes
//! that it started, and ends them when it is dropped. One cluster runs at a time, so that tests do
//! not starve each other on a small machine. What its clients ask and are answered is checked when it
//! is dropped, whatever else the test is about: see [`history`].
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test program uses its own part"
)]

pub mod daemon;
pub mod history;
pub mod wire;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use leasehold_api::pb::lease::v1::{AcquireRequest, Lease};
use rustix::process::Signal;
use tonic::Status;

pub use daemon::{Daemon, PATIENCE, binary, pause, runs, wait_for};
use history::{Checked, History, LeaseClient, StoreClient, Witness};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Three lease nodes (or as many as asked) and a store.
pub struct Cluster {
    pub nodes: Vec<Daemon>,
    pub store: Daemon,
    client_addresses: Vec<String>,
    store_address: String,
    directory: tempfile::TempDir,
    history: Arc<History>,
    witness: Option<Witness>,
    runs_commands: AtomicBool,
    _turn: MutexGuard<'static, ()>,
}

/// What differs from the defaults in a test's cluster.
#[derive(Clone, Default)]
pub struct Options {
    /// Lines added to each node's config, after the members.
    pub node_config: String,
    /// Lines put before the members in each node's config.
    pub node_keys: String,
}

impl Cluster {
    /// Starts the daemons and waits until a leader serves and the store answers.
    pub async fn start(nodes: usize) -> Self {
        Self::start_with(nodes, Options::default()).await
    }

    pub async fn start_with(nodes: usize, options: Options) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        let ports = free_ports(2 * nodes + 1);
        let (client_ports, rest) = ports.split_at(nodes);
        let (peer_ports, store_port) = rest.split_at(nodes);
        let local = |port: &u16| format!("127.0.0.1:{port}");
        let mut members = String::new();
        for (at, (client, peer)) in client_ports.iter().zip(peer_ports).enumerate() {
            members += &format!(
                "[[members]]\nnode_id = {}\nclient_address = \"{}\"\npeer_address = \"{}\"\n",
                at + 1,
                local(client),
                local(peer)
            );
        }
        let daemon = |name: String, verb, text: String| {
            let config = directory.path().join(format!("{name}.toml"));
            std::fs::write(&config, text).unwrap();
            let log = directory.path().join(format!("{name}.log"));
            Daemon { name, verb, config, log, child: None }
        };
        let data = |name: &str| directory.path().join(name).display().to_string();
        let daemons = (0..nodes).map(|at| {
            let name = format!("node-{}", at + 1);
            let text = format!(
                "cluster_id = \"test\"\nnode_id = {}\ndata_dir = \"{}\"\nclient_listen = \"{}\"\n\
                 peer_listen = \"{}\"\n{}\n{members}\n{}\n",
                at + 1,
                data(&name),
                local(&client_ports[at]),
                local(&peer_ports[at]),
                options.node_keys,
                options.node_config,
            );
            daemon(name, "server", text)
        });
        let nodes: Vec<Daemon> = daemons.collect();
        let store_address = local(&store_port[0]);
        let text = format!("data_dir = \"{}\"\nlisten = \"{store_address}\"\n", data("store"));
        let store = daemon("store".into(), "store", text);
        let client_addresses = client_ports.iter().map(local).collect();
        let mut cluster = Self {
            nodes,
            store,
            client_addresses,
            store_address,
            directory,
            history: History::begin(),
            witness: None,
            runs_commands: AtomicBool::new(false),
            _turn: turn,
        };
        for at in 0..cluster.nodes.len() {
            cluster.nodes[at].start();
        }
        cluster.store.start();
        cluster.wait_for_leader().await;
        cluster.wait_for_store().await;
        let addresses = cluster.client_addresses.clone();
        cluster.witness = Some(Witness::start(addresses, &cluster.history));
        cluster
    }

    /// A client of a node. What it asks and is answered is checked in the end.
    pub fn lease_client(&self, node: usize) -> LeaseClient {
        LeaseClient::new(wire::channel(self.address(node)), &self.history)
    }

    /// The same of the store.
    pub fn store_client(&self) -> StoreClient {
        StoreClient::new(wire::channel(&self.store_address), &self.history)
    }

    /// Sends one acquire, the same id again after every unknown outcome, to whichever node answers.
    pub async fn acquire(&self, request: AcquireRequest) -> Result<Lease, Status> {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.acquire_through(&all, request).await
    }

    /// The same, to whichever of these nodes answers.
    pub async fn acquire_through(
        &self,
        nodes: &[usize],
        request: AcquireRequest,
    ) -> Result<Lease, Status> {
        let clients = nodes.iter().map(|node| self.lease_client(*node)).collect();
        wire::acquire_anywhere(clients, request).await
    }

    /// The nodes' client addresses, as `--endpoints` takes them.
    pub fn endpoints(&self) -> String {
        self.client_addresses.join(",")
    }

    pub fn address(&self, node: usize) -> &str {
        &self.client_addresses[node]
    }

    pub fn store_address(&self) -> &str {
        &self.store_address
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A node that says it leads, and that a majority follows.
    pub async fn wait_for_leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(leader) = self.leader().await {
                return leader;
            }
            assert!(Instant::now() < deadline, "no leader came:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn leader(&self) -> Option<usize> {
        let mut statuses = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node.child.is_some() {
                statuses.push((at, wire::status(self.address(at)).await));
            }
        }
        let known = statuses.iter().filter_map(|(at, status)| Some((at, status.as_ref()?)));
        let known: Vec<_> = known.collect();
        let (at, leader) =
            known.iter().filter(|(_, s)| s.leader_id == s.node_id).max_by_key(|(_, s)| s.term)?;
        let followers =
            known.iter().filter(|(_, s)| s.leader_id == leader.node_id && s.term == leader.term);
        (followers.count() > self.nodes.len() / 2).then_some(**at)
    }

    pub async fn wait_for_store(&self) {
        let deadline = Instant::now() + PATIENCE;
        while wire::store_status(&self.store_address).await.is_none() {
            assert!(Instant::now() < deadline, "the store did not come:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    pub fn start_node(&mut self, node: usize) {
        self.nodes[node].start();
    }

    pub fn terminate(&mut self, node: usize) -> std::process::ExitStatus {
        self.nodes[node].terminate()
    }

    pub fn pause(&self, node: usize) {
        pause(self.nodes[node].pid());
    }

    pub fn resume(&self, node: usize) {
        self.nodes[node].signal(Signal::CONT);
    }

    pub fn pause_store(&self) {
        pause(self.store.pid());
    }

    pub fn resume_store(&self) {
        self.store.signal(Signal::CONT);
    }

    pub fn kill_store(&mut self) {
        self.store.kill();
    }

    pub fn start_store(&mut self) {
        self.store.start();
    }

    /// Runs the command against this cluster and waits for it to end.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().expect("the binary was built"))
            .await
            .expect("does not panic")
    }

    /// The command, set up for this cluster, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.runs_commands.store(true, Ordering::Relaxed);
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env("LEASEHOLD_ENDPOINTS", self.endpoints())
            .env("LEASEHOLD_STORE", &self.store_address)
            .stdin(Stdio::null());
        command
    }

    pub fn logs(&self) -> String {
        let daemons = self.nodes.iter().chain([&self.store]);
        daemons.map(|d| format!("--- {}\n{}\n", d.name, d.log_tail())).collect()
    }
}

impl Cluster {
    /// Ends the history and says what was in it. Fails as dropping does.
    pub fn finish(mut self) -> Checked {
        let checked = self.check().expect("it was not finished before");
        checked.unwrap_or_else(|broken| panic!("{broken}"))
    }

    fn check(&mut self) -> Option<Result<Checked, String>> {
        drop(self.witness.take()?);
        Some(self.history.finish(!self.runs_commands.load(Ordering::Relaxed)))
    }
}

impl Drop for Cluster {
    /// Checks what was recorded. A test that fails already is told, too, whether its history is good.
    fn drop(&mut self) {
        match self.check() {
            None | Some(Ok(_)) => {}
            Some(Err(broken)) if std::thread::panicking() => eprintln!("{broken}"),
            Some(Err(broken)) => panic!("{broken}"),
        }
    }
}

/// The lines a child prints, as they come.
pub fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let stdout = child.stdout.take().expect("started with a pipe");
    BufReader::new(stdout).lines().map_while(Result::ok)
}

/// The text a command printed, without the last newline.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Ports that nothing listened on a moment ago, outside the range the system hands out by itself.
fn free_ports(count: usize) -> Vec<u16> {
    let mut ports = Vec::new();
    while ports.len() < count {
        let random = getrandom::u32().expect("the system has randomness");
        let port = 18_000 + (random % 14_000) as u16;
        if !ports.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    ports
}
