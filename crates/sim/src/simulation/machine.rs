//! A node's process: the real node on a fake disk, and whoever looks at it.

use std::sync::Arc;
use std::time::Duration;

use leasehold_core::LeaseState;
use leasehold_disk::{BootId, Disk, DiskId, Identity};
use leasehold_raft::transport::PeerHandler;
use leasehold_raft::{Change, Node, NodeConfig, Role};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::bad_voter::{BadVoter, Wrong};
use super::clocks::MachineClocks;
use super::fingerprint::digest;
use super::network::{Network, Place};
use super::plan::Plant;
use super::process::{self, Pid, SimProcesses, WORLD};
use super::seen::{Reporter, Seen, StateSeen};
use super::serving::Service;
use super::transport::Port;

/// What a process is started with.
pub(crate) struct Boot {
    pub(crate) pid: Pid,
    pub(crate) config: NodeConfig,
    pub(crate) boot: BootId,
    pub(crate) fresh_disk: DiskId,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clocks: MachineClocks,
    pub(crate) network: Network,
    pub(crate) reporter: Reporter,
    pub(crate) plant: Option<Plant>,
    pub(crate) started_before: bool,
    /// Every state whose revision is a multiple of this is looked at.
    pub(crate) look_every: u64,
}

/// The life of a node's process.
pub(crate) async fn run(boot: Boot) {
    let (id, reporter, look_every) = (boot.config.node_id, boot.reporter.clone(), boot.look_every);
    let (network, pid, plant) = (boot.network.clone(), boot.pid, boot.plant);
    let (clocks, started_before) = (boot.clocks.clone(), boot.started_before);
    let late = boot.config.timing.election_max * 2;
    let request_memory = Duration::from_millis(boot.config.settings.ended_memory_ms);
    let (feed, changes) = broadcast::channel(boot.config.limits.feed_lag_max);
    record(id, changes, reporter.clone());
    match start(boot, feed).await {
        Err(why) => reporter.say(Seen::Booted { node: id, outcome: Err(why) }),
        Ok(node) => {
            network.attach(id, pid, voter(node.peer_handler(), plant, started_before));
            let knocks = network.listen(Place::Node(id), pid);
            let feed = node.applied();
            process::spawn_in(pid, audit(node.clone(), feed, id, reporter.clone(), look_every));
            process::spawn_in(pid, watch_role(node.clone(), id, reporter.clone()));
            process::spawn_in(pid, watch_failure(node.clone(), id, reporter.clone()));
            if plant == Some(Plant::NewLeaderCountsLate) {
                process::spawn_in(pid, count_late(node.clone(), clocks, late));
            }
            reporter.say(Seen::Booted { node: id, outcome: Ok(node.clone()) });
            Service { id, node, network, request_memory, plant }.run(knocks).await;
        }
    }
}

async fn start(
    boot: Boot,
    feed: broadcast::Sender<Arc<Change>>,
) -> Result<Node<SimProcesses>, String> {
    let Boot { config, boot, fresh_disk, disk, clocks, network, .. } = boot;
    let (cluster, id) = (config.cluster_id.clone(), config.node_id);
    let identity = Identity::claim(&*disk, &cluster, id, fresh_disk, boot);
    let identity = identity.map_err(|error| error.to_string())?;
    let port = Arc::new(Port { network, node: id });
    let node = Node::start_telling(feed, config, identity, disk, Arc::new(clocks), port).await;
    node.map_err(|error| error.to_string())
}

/// How a node answers its peers; wrongly, if such a bug is planted.
fn voter(
    node: Arc<dyn PeerHandler>,
    plant: Option<Plant>,
    started_before: bool,
) -> Arc<dyn PeerHandler> {
    let wrong = match plant {
        Some(Plant::RestartedNodeGivesNoVotes) if started_before => Wrong::Silent,
        Some(Plant::VotesDeposeALeader) => Wrong::Disloyal,
        _ => return node,
    };
    Arc::new(BadVoter::new(node, wrong))
}

/// An orderly stop, as after SIGTERM.
pub(crate) async fn leave_in_order(node: Node<SimProcesses>, id: u64, reporter: Reporter) {
    node.hand_over_leadership().await;
    node.shutdown().await;
    reporter.say(Seen::LeftInOrder { node: id });
}

/// Outside the process: what it said before it died still counts.
fn record(node: u64, mut feed: broadcast::Receiver<Arc<Change>>, reporter: Reporter) {
    process::spawn_in(WORLD, async move {
        loop {
            match feed.recv().await {
                Ok(change) => reporter.say(Seen::Applied { node, change }),
                Err(RecvError::Closed) => return,
                // Whoever judges must have heard everything.
                Err(RecvError::Lagged(missed)) => panic!("{missed} changes went unheard"),
            }
        }
    });
}

/// Looks at every n-th state: the same ones on every node, so that they can be compared.
async fn audit(
    node: Node<SimProcesses>,
    mut feed: broadcast::Receiver<Arc<Change>>,
    id: u64,
    reporter: Reporter,
    look_every: u64,
) {
    while let Ok(change) = feed.recv().await {
        let revision = match &*change {
            Change::Batch(batch) => batch.revision,
            Change::SnapshotInstalled { revision, .. } => *revision,
        };
        if revision.0.is_multiple_of(look_every)
            && let Ok(state) = node.query(look).await
        {
            reporter.say(Seen::State { node: id, state });
        }
    }
}

/// What there is to see of a state.
pub(crate) fn look(state: &LeaseState) -> StateSeen {
    StateSeen {
        revision: state.revision(),
        digest: digest(&state.snapshot()),
        broken: state.broken_invariants(),
        claims: state.claims_len(),
        ended: state.ended_len(),
        next_token: state.next_token(),
        ends_left: state.ends_are_left(),
    }
}

async fn watch_role(node: Node<SimProcesses>, id: u64, reporter: Reporter) {
    let mut statuses = node.watch_status();
    let mut last = None;
    loop {
        let (now, applied) = {
            let status = statuses.borrow_and_update();
            let serves = status.serving && status.has_quorum;
            ((status.term, status.role, serves), status.applied_index)
        };
        if last.replace(now) != Some(now) {
            let (term, role, serves) = now;
            reporter.say(Seen::Stands { node: id, term, role, applied, serves });
        }
        if statuses.changed().await.is_err() {
            return;
        }
    }
}

/// A planted bug: what passes at the beginning of a leadership is not counted.
async fn count_late(node: Node<SimProcesses>, clocks: MachineClocks, late: Duration) {
    let mut statuses = node.watch_status();
    let mut led = None;
    loop {
        let (role, term) = {
            let status = statuses.borrow_and_update();
            (status.role, status.term)
        };
        if role == Role::Leader && led.replace(term) != Some(term) {
            clocks.freeze(true);
            process::sleep(late).await;
            clocks.freeze(false);
        }
        if statuses.changed().await.is_err() {
            return;
        }
    }
}

async fn watch_failure(node: Node<SimProcesses>, id: u64, reporter: Reporter) {
    let why = node.failed().await.to_string();
    reporter.say(Seen::Failed { node: id, why });
}
