//! A cluster of real processes on loopback, for black-box tests.
//!
//! Everything is reached as a user would: by gRPC or by the command. A cluster ends only processes
//! that it started, and ends them when it is dropped. One cluster runs at a time, so that tests do
//! not starve each other on a small machine.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

pub mod wire;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for a state that must come. Generous: it bounds a failure, it measures nothing.
pub const PATIENCE: Duration = Duration::from_secs(60);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_leasehold"))
}

/// One server or store process and what is needed to start it again.
pub struct Daemon {
    name: String,
    verb: &'static str,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(binary())
            .args([self.verb, "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary was built for this test");
        self.child = Some(child);
    }

    fn pid(&self) -> Pid {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        Pid::from_child(child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is ours and not yet reaped");
    }

    /// SIGKILL, and gone when this returns.
    fn kill(&mut self) {
        let mut child = self.child.take().unwrap_or_else(|| panic!("{} does not run", self.name));
        child.kill().expect("ours");
        child.wait().expect("ours");
    }

    /// SIGTERM, and its exit status.
    fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("signalled just now");
        wait_for(&format!("{} to stop after SIGTERM", self.name), || child.try_wait().unwrap())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Three lease nodes (or as many as asked) and a store.
pub struct Cluster {
    pub nodes: Vec<Daemon>,
    pub store: Daemon,
    client_addresses: Vec<String>,
    store_address: String,
    directory: tempfile::TempDir,
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
        let mut cluster =
            Self { nodes, store, client_addresses, store_address, directory, _turn: turn };
        for at in 0..cluster.nodes.len() {
            cluster.nodes[at].start();
        }
        cluster.store.start();
        cluster.wait_for_leader().await;
        cluster.wait_for_store().await;
        cluster
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

/// SIGSTOP, and stopped when this returns.
pub fn pause(pid: Pid) {
    kill_process(pid, Signal::STOP).expect("ours");
    let status = format!("/proc/{}/stat", pid.as_raw_nonzero());
    wait_for("the process to stop", || {
        let text = std::fs::read_to_string(&status).ok()?;
        let state = text.rsplit(')').next()?.split_whitespace().next()?.to_owned();
        (state == "T").then_some(())
    });
}

/// Whether a process with this id runs (a zombie does not).
pub fn runs(pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !matches!(text.rsplit(')').next().and_then(|t| t.split_whitespace().next()), Some("Z" | "X"))
}

/// Polls until there is a value, for at most [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
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
