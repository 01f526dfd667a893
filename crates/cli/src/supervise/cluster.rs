//! Lease nodes and a store, started, watched and stopped together.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use leasehold_client::{Client, ClientConfig, StoreClient};
use tokio::time::{Instant, sleep};

use super::daemon::Daemon;
use super::layout::{Layout, log_file, node_name};
use super::node::{NodeReport, ask, ask_all};
use crate::exit::{Failure, UNAVAILABLE};

/// How long the whole may take to be ready.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long one node has to say how it is.
const NODE_PATIENCE: Duration = Duration::from_secs(1);
/// Reading it takes a leader with a majority, and changes nothing.
const PROBE: &str = "leasehold/dev";

/// A running cluster. Dropping it kills every process of it.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    layout: Layout,
    nodes: Vec<Daemon>,
    store: Daemon,
    /// Locked: no two clusters run in one folder.
    _lock: File,
    /// Deleted when dropped, after the processes above.
    temporary: Option<tempfile::TempDir>,
}

/// One of the daemons has ended.
#[derive(Debug)]
pub(crate) struct Death {
    /// Which.
    pub(crate) name: String,
    /// Its process id.
    pub(crate) pid: i32,
    /// How.
    pub(crate) status: ExitStatus,
}

impl Cluster {
    /// Starts the cluster in `folder`, or a new one in a temporary folder, and waits until a leader
    /// serves and the store answers.
    ///
    /// # Errors
    /// [`Failure`], with the end of the log of whoever did not start.
    pub(crate) async fn start(folder: Option<&Path>, nodes: Option<u16>) -> Result<Self, Failure> {
        let temporary = match folder {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("leasehold-")
                    .tempdir()
                    .map_err(Failure::because)?,
            ),
        };
        let folder = folder.or(temporary.as_ref().map(tempfile::TempDir::path));
        let folder = folder.expect("one of the two is there");
        let lock = lock(folder)?;
        let layout = Layout::open_or_create(folder, nodes)?;
        let folder = fs::canonicalize(folder).map_err(Failure::because)?;
        let nodes: io::Result<Vec<_>> = layout
            .members
            .iter()
            .map(|member| Daemon::start(&folder, "server", &node_name(member.node_id)))
            .collect();
        let nodes = nodes.map_err(Failure::because)?;
        let store = Daemon::start(&folder, "store", "store").map_err(Failure::because)?;
        let mut cluster = Self { folder, layout, nodes, store, _lock: lock, temporary };
        cluster.wait_until_ready().await?;
        cluster.write_pids()?;
        Ok(cluster)
    }

    /// The folder with configs, data, logs and `pids`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The nodes' client addresses.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.layout.endpoints()
    }

    /// Where the store listens.
    pub(crate) fn store_address(&self) -> &str {
        &self.layout.store_address
    }

    /// The daemons: the nodes in order, then the store.
    pub(crate) fn daemons(&mut self) -> impl Iterator<Item = &mut Daemon> {
        self.nodes.iter_mut().chain([&mut self.store])
    }

    /// The node that leads by what the nodes themselves say, if there is one.
    pub(crate) async fn leader(&self) -> Option<NodeReport> {
        let reports = ask_all(&self.endpoints(), NODE_PATIENCE).await;
        let leads = |node: &NodeReport| node.leader_id == Some(node.node_id);
        reports.into_iter().flatten().filter(leads).max_by_key(|node| node.term)
    }

    /// What one node says of itself, if it answers.
    pub(crate) async fn node(&self, node_id: u64) -> Option<NodeReport> {
        let member = self.layout.members.iter().find(|member| member.node_id == node_id)?;
        ask(&member.client_address, NODE_PATIENCE).await.ok()
    }

    /// SIGKILL for one node; gone when this returns.
    pub(crate) async fn kill_node(&mut self, node_id: u64) -> Result<(), Failure> {
        let name = node_name(node_id);
        match self.nodes.iter_mut().find(|node| node.name() == name) {
            Some(node) => node.kill().await.map_err(Failure::because),
            None => Err(Failure::other(format!("there is no {name}"))),
        }
    }

    /// Starts a node again that has ended.
    pub(crate) fn start_node(&mut self, node_id: u64) -> Result<(), Failure> {
        let name = node_name(node_id);
        let started = Daemon::start(&self.folder, "server", &name).map_err(Failure::because)?;
        match self.nodes.iter_mut().find(|node| node.name() == name) {
            Some(node) => *node = started,
            None => return Err(Failure::other(format!("there is no {name}"))),
        }
        self.write_pids()
    }

    /// The next daemon that ends, those left out that were reported already. Cancel safe.
    pub(crate) async fn next_death(&mut self, reported: &[i32]) -> Death {
        let living = self
            .daemons()
            .filter(|daemon| !reported.contains(&daemon.pid().as_raw_nonzero().get()));
        let deaths = living.map(|daemon| {
            Box::pin(async {
                let (name, pid) = (daemon.name().to_owned(), daemon.pid().as_raw_nonzero().get());
                match daemon.ended().await {
                    Ok(status) => Death { name, pid, status },
                    // Nobody else reaps it, so this cannot be; and there is nothing to tell.
                    Err(_) => std::future::pending().await,
                }
            })
        });
        let deaths: Vec<_> = deaths.collect();
        match deaths.is_empty() {
            true => std::future::pending().await,
            false => futures_util::future::select_all(deaths).await.0,
        }
    }

    /// Stops everything, all at once: in good order where the data is kept, by SIGKILL where it is
    /// thrown away.
    pub(crate) async fn stop(mut self) {
        let in_order = self.temporary.is_none();
        let stopping = self.daemons().map(|daemon| async move {
            let stopped = if in_order { daemon.stop().await } else { daemon.kill().await };
            if let Err(error) = stopped {
                tracing::warn!(%error, daemon = daemon.name(), "could not be stopped");
            }
        });
        futures_util::future::join_all(stopping).await;
        if let Err(error) = fs::remove_file(self.folder.join("pids")) {
            tracing::debug!(%error, "the list of process ids is gone already");
        }
    }

    /// `node-1 PID` and so on, a line each, for scripts that want to kill somebody.
    fn write_pids(&mut self) -> Result<(), Failure> {
        let folder = self.folder.clone();
        let line =
            |daemon: &mut Daemon| format!("{} {}\n", daemon.name(), daemon.pid().as_raw_nonzero());
        let text: String = self.daemons().map(line).collect();
        fs::write(folder.join("pids"), text).map_err(Failure::because)
    }

    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let client = Client::new(ClientConfig {
            endpoints: self.endpoints(),
            request_timeout: NODE_PATIENCE,
            ..ClientConfig::default()
        })?;
        let store = StoreClient::new(self.store_address())?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            self.fail_if_anybody_died()?;
            let status = tokio::time::timeout(NODE_PATIENCE, store.status());
            let (read, status) = tokio::join!(client.get(PROBE), status);
            if read.is_ok() && matches!(status, Ok(Ok(_))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let message =
                    format!("no leader and store within {START_PATIENCE:?}\n{}", self.logs());
                return Err(Failure::new(UNAVAILABLE, "NOT_READY", message));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn fail_if_anybody_died(&mut self) -> Result<(), Failure> {
        let folder = self.folder.clone();
        for daemon in self.daemons() {
            if let Some(status) = daemon.has_ended().map_err(Failure::because)? {
                let log = log_tail(&folder, daemon.name());
                let name = daemon.name();
                return Err(Failure::other(format!("{name} did not start: {status}\n{log}")));
            }
        }
        Ok(())
    }

    /// The end of every daemon's log.
    pub(crate) fn logs(&mut self) -> String {
        let folder = self.folder.clone();
        self.daemons().map(|daemon| log_tail(&folder, daemon.name())).collect()
    }
}

/// Makes the folder where there is none, and takes it.
fn lock(folder: &Path) -> Result<File, Failure> {
    let at = |error: io::Error| Failure::other(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(at)?;
    let file = File::create(folder.join("lock")).map_err(at)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{}: another `leasehold dev` runs there", folder.display());
            Err(Failure::other(message))
        }
        Err(TryLockError::Error(error)) => Err(at(error)),
    }
}

fn log_tail(folder: &Path, name: &str) -> String {
    let file = log_file(folder, name);
    let text = fs::read_to_string(&file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n  ");
    format!("{}:\n  {last}\n", file.display())
}
