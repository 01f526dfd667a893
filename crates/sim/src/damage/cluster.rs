//! A cluster of real nodes on fake disks, for histories and for trials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use leasehold_core::{Command, LeaseState, Outcome, Settings};
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, Disk, DiskId, Identity};
use leasehold_raft::transport::PeerFault;
use leasehold_raft::{
    AsyncRuntime, Execution, Limits, Member, Node, NodeConfig, NodeStatus, Role, SnapshotPolicy,
    Timing, pb,
};
use leasehold_types::{Fault, LeaseTtl};
use tokio::sync::oneshot;

use super::camera::{Shutter, Watched};
use crate::simulation::clocks::MachineClocks;
use crate::simulation::fingerprint::digest;
use crate::simulation::network::{Network, Place, Weather};
use crate::simulation::process::{self, Pid, SimProcesses, true_time};
use crate::simulation::transport::Port;

/// A node of the simulated cluster.
pub(crate) type SimNode = Node<SimProcesses>;

/// Nothing takes this long in virtual time unless it never happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const CLUSTER: &str = "damaged";

/// The disk a node was founded with.
pub(crate) fn disk_id(node: u64) -> DiskId {
    DiskId([node as u8; 16])
}

/// A replica's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) revision: u64,
    pub(crate) next_token: u64,
    pub(crate) digest: u64,
    pub(crate) broken: Vec<&'static str>,
}

fn glance(state: &LeaseState) -> Glance {
    Glance {
        revision: state.revision().0,
        next_token: state.next_token().get(),
        digest: digest(&state.snapshot()),
        broken: state.broken_invariants(),
    }
}

pub(crate) struct Cluster {
    pub(crate) network: Network,
    pub(crate) disks: BTreeMap<u64, FakeDisk>,
    running: BTreeMap<u64, (Pid, SimNode)>,
    fresh_disk: BTreeMap<u64, DiskId>,
    shutters: BTreeMap<u64, Shutter>,
    boots: u64,
}

impl Cluster {
    /// Nobody runs yet.
    pub(crate) fn new(seed: u64, disks: BTreeMap<u64, FakeDisk>) -> Self {
        Self {
            network: Network::new(seed, Weather::calm()),
            fresh_disk: disks.keys().map(|id| (*id, disk_id(*id))).collect(),
            disks,
            running: BTreeMap::new(),
            shutters: BTreeMap::new(),
            boots: seed << 16,
        }
    }

    /// Called before each change of that node's disk, from its next start on.
    pub(crate) fn watch(&mut self, node: u64, shutter: Shutter) {
        self.shutters.insert(node, shutter);
    }

    /// The disk id that the node takes if it finds an empty disk.
    pub(crate) fn set_fresh_disk(&mut self, node: u64, disk_id: DiskId) {
        self.fresh_disk.insert(node, disk_id);
    }

    /// Starts a node's process, and says why it refuses if it does.
    pub(crate) async fn start(&mut self, id: u64) -> Result<(), String> {
        self.boots += 1;
        let pid = process::new_process();
        let mount = self.disks[&id].mount();
        let disk: Arc<dyn Disk> = match self.shutters.get(&id) {
            Some(shutter) => Arc::new(Watched::new(mount, shutter.clone())),
            None => mount,
        };
        let config = config(id, self.disks.len() as u64);
        let boot = BootId((u128::from(id) << 64 | u128::from(self.boots)).to_le_bytes());
        let clocks = MachineClocks::new(Duration::from_secs(1_000 * id), 0, 0, true);
        let port = Arc::new(Port { network: self.network.clone(), node: id });
        let fresh = self.fresh_disk[&id];
        let (tell, told) = oneshot::channel();
        process::spawn_in(pid, async move {
            let started = async {
                let identity = Identity::claim(&*disk, CLUSTER, id, fresh, boot);
                let identity = identity.map_err(|error| chain(&error))?;
                let node = Node::start(config, identity, disk, Arc::new(clocks), port).await;
                node.map_err(|error| chain(&error))
            };
            // Whoever started it waits for this.
            let _ = tell.send(started.await);
        });
        match told.await {
            Ok(Ok(node)) => {
                self.network.attach(id, pid, node.peer_handler());
                self.running.insert(id, (pid, node));
                Ok(())
            }
            Ok(Err(why)) => {
                process::kill(pid);
                Err(why)
            }
            Err(_) => {
                process::kill(pid);
                Err("its process died".to_owned())
            }
        }
    }

    /// SIGKILL, or with it the power.
    pub(crate) fn kill(&mut self, id: u64, power: bool) {
        let Some((pid, _)) = self.running.remove(&id) else { return };
        self.network.detach(id);
        process::kill(pid);
        match power {
            true => self.disks[&id].crash(),
            false => self.disks[&id].kill_process(),
        }
    }

    pub(crate) fn kill_all(&mut self) {
        for id in self.ids() {
            self.kill(id, false);
        }
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.disks.keys().copied().collect()
    }

    pub(crate) fn node(&self, id: u64) -> Option<SimNode> {
        self.running.get(&id).map(|(_, node)| node.clone())
    }

    /// Those that run.
    pub(crate) fn running(&self) -> Vec<u64> {
        self.running.keys().copied().collect()
    }

    pub(crate) fn statuses(&self) -> Vec<NodeStatus> {
        self.running.values().map(|(_, node)| node.status()).collect()
    }

    /// Cuts a node off from the others, or mends that.
    pub(crate) fn isolate(&self, id: u64, cut: bool) {
        for other in self.ids() {
            for (from, to) in [(id, other), (other, id)] {
                let (from, to) = (Place::Node(from), Place::Node(to));
                match cut {
                    true => self.network.cut(from, to),
                    false => self.network.mend(from, to),
                }
            }
        }
    }

    /// The node that leads and serves, once the others follow it. `not` is none.
    pub(crate) async fn leader(&self, not: Option<u64>) -> Result<u64, String> {
        let found = patiently(|| {
            let statuses = self.statuses();
            let leads = |status: &&NodeStatus| {
                status.role == Role::Leader && status.serving && Some(status.node_id) != not
            };
            let leader = statuses.iter().filter(leads).max_by_key(|status| status.term)?;
            let follow = statuses.iter().filter(|status| {
                status.term == leader.term
                    && status.leader.as_ref().map(|member| member.node_id) == Some(leader.node_id)
            });
            (follow.count() * 2 > self.disks.len()).then_some(leader.node_id)
        });
        found.await.ok_or_else(|| format!("nobody leads: {:?}", self.brief()))
    }

    fn brief(&self) -> Vec<String> {
        let tell = |status: NodeStatus| {
            format!(
                "node {} {:?} term {} log {:?} applied {:?} failed {:?}",
                status.node_id,
                status.role,
                status.term,
                status.last_log_index,
                status.applied_index,
                status.failed
            )
        };
        self.statuses().into_iter().map(tell).collect()
    }

    /// Proposes through one node until there is an answer.
    pub(crate) async fn ask(&self, through: u64, command: &Command) -> Result<Outcome, String> {
        let node = self.node(through).ok_or_else(|| format!("node {through} does not run"))?;
        ask(&node, command).await
    }

    /// Proposes all at once.
    pub(crate) async fn ask_all(
        &self,
        through: u64,
        commands: &[Command],
    ) -> Result<Vec<Outcome>, String> {
        let node = self.node(through).ok_or_else(|| format!("node {through} does not run"))?;
        future::try_join_all(commands.iter().map(|command| ask(&node, command))).await
    }

    pub(crate) async fn glance(&self, id: u64) -> Option<Glance> {
        self.node(id)?.query(glance).await.ok()
    }

    /// Waits until these nodes are at one revision, and says what each looks like there.
    pub(crate) async fn converge(&self, ids: &[u64]) -> Result<Vec<Glance>, String> {
        let end = true_time() + PATIENCE;
        while true_time() < end {
            let seen = future::join_all(ids.iter().map(|id| self.glance(*id))).await;
            if let Some(seen) = seen.into_iter().collect::<Option<Vec<_>>>()
                && seen.windows(2).all(|pair| pair[0].revision == pair[1].revision)
            {
                return Ok(seen);
            }
            process::sleep(Duration::from_millis(7)).await;
        }
        Err(format!("{ids:?} do not converge: {:?}", self.brief()))
    }

    /// Why one of the others does not believe this node, if one does not.
    pub(crate) async fn refused_by_a_peer(&self, id: u64) -> Option<String> {
        let facts = self.node(id)?.peer_handler().facts();
        for (other, (_, node)) in self.running.iter().filter(|(other, _)| **other != id) {
            let call = pb::Call { from: Some(facts.clone()), to_node_id: *other };
            let asked = node.peer_handler().read_index(call, pb::ReadIndexRequest {});
            if let Err(PeerFault::NotBelieved { why }) = asked.await {
                return Some(why);
            }
        }
        None
    }
}

async fn ask(node: &SimNode, command: &Command) -> Result<Outcome, String> {
    let end = true_time() + PATIENCE;
    let mut last = String::new();
    while true_time() < end {
        let answered = match node.propose(command.clone()) {
            Ok(proposal) => proposal.await,
            Err(fault) => Err(fault),
        };
        match answered {
            Ok(outcome) => return Ok(outcome),
            Err(fault @ Fault::ShuttingDown) => return Err(fault.to_string()),
            Err(fault) => last = fault.to_string(),
        }
        process::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{command:?} is not answered: {last}"))
}

/// Looks again and again.
pub(crate) async fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = true_time() + PATIENCE;
    while true_time() < end {
        if let Some(found) = look() {
            return Some(found);
        }
        SimProcesses::sleep(Duration::from_millis(5)).await;
    }
    None
}

/// The error and what led to it, as the daemon prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.ends_with(&error.to_string()) {
            text += &format!(": {error}");
        }
        cause = error.source();
    }
    text
}

/// Small segments and early snapshots: in a short history every kind of file comes and goes.
fn config(id: u64, nodes: u64) -> NodeConfig {
    let member = |id| Member {
        node_id: id,
        client_address: format!("client-{id}:1"),
        peer_address: format!("peer-{id}:1"),
    };
    NodeConfig {
        cluster_id: CLUSTER.to_owned(),
        node_id: id,
        members: (1..=nodes).map(|id| (id, member(id))).collect(),
        timing: Timing::quick(),
        limits: Limits {
            segment_bytes: 96 << 10,
            segment_step_bytes: 16 << 10,
            groups_unnoted_max: 2,
            ..Limits::default()
        },
        snapshots: SnapshotPolicy { entries: 40, keep: 30, ..SnapshotPolicy::default() },
        execution: Execution::Tasks { sync: Duration::from_micros(200) },
        settings: Settings {
            ttl_min: LeaseTtl::from_ms(1_000).expect("a second is a ttl"),
            ended_memory_ms: 3_600_000,
            ..Settings::default()
        },
    }
}
