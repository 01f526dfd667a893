//! A cluster in one process: fake disks, a network in memory, the machine's clock.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]
#![allow(missing_docs, reason = "helpers of tests")]

pub mod net;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use leasehold_clock::{Clock, MachineClock, Reading};
use leasehold_core::{Acquire, Answer, Command, Outcome, Renew, Settings, Standing};
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, DiskId, Identity};
use leasehold_raft::{
    Execution, Limits, Member, NodeConfig, NodeStatus, Role, SnapshotPolicy, StartError, Timing,
    TokioNode,
};
use leasehold_types::{Fault, FencingToken, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};
use tokio::time::timeout;

use net::Net;

/// Nothing here takes this long unless it never happens.
pub const BOUND: Duration = Duration::from_secs(30);

static NEXT_DISK: AtomicU8 = AtomicU8::new(1);
static NEXT_BOOT: AtomicU64 = AtomicU64::new(1);
static NEXT_REQUEST: AtomicU64 = AtomicU64::new(1);

/// What a test wants to be different.
#[derive(Clone)]
pub struct Options {
    pub nodes: u64,
    pub clock: Arc<dyn Clock>,
    pub limits: Limits,
    pub snapshots: SnapshotPolicy,
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 3,
            clock: Arc::new(MachineClock),
            limits: Limits::default(),
            snapshots: SnapshotPolicy::default(),
            settings: Settings::default(),
        }
    }
}

pub struct Cluster {
    pub net: Net,
    pub disks: BTreeMap<u64, FakeDisk>,
    pub nodes: BTreeMap<u64, TokioNode>,
    options: Options,
}

impl Cluster {
    /// Empty disks and nobody on them.
    pub fn prepare(options: Options) -> Self {
        let disks = (1..=options.nodes).map(|id| (id, FakeDisk::new(id))).collect();
        Self { net: Net::new(), disks, nodes: BTreeMap::new(), options }
    }

    /// Starts all nodes and waits until one leads and serves.
    pub async fn start(options: Options) -> Self {
        let mut cluster = Self::prepare(options);
        for id in 1..=cluster.options.nodes {
            cluster.start_node(id).await;
        }
        cluster.leader().await;
        cluster
    }

    pub async fn start_node(&mut self, id: u64) {
        self.try_start_node(id).await.expect("the node starts");
    }

    pub async fn try_start_node(&mut self, id: u64) -> Result<(), StartError> {
        let (config, identity) = (self.config(id), self.identity(id));
        let (transport, clock) = (self.net.transport(id), self.options.clock.clone());
        let disk = self.disks[&id].mount();
        let node = TokioNode::start(config, identity, disk, clock, transport).await?;
        self.net.attach(id, node.peer_handler());
        self.nodes.insert(id, node);
        Ok(())
    }

    fn identity(&self, id: u64) -> Identity {
        let fresh = DiskId([NEXT_DISK.fetch_add(1, Ordering::Relaxed); 16]);
        Identity::claim(&*self.disks[&id].mount(), "test", id, fresh, next_boot())
            .expect("the disk is this node's")
    }

    pub fn config(&self, id: u64) -> NodeConfig {
        config(id, &self.options)
    }

    /// An orderly stop.
    pub async fn stop(&mut self, id: u64) {
        let node = self.nodes.remove(&id).expect("it runs");
        node.shutdown().await;
        self.net.detach(id);
    }

    /// As by SIGKILL: from one moment to the next nothing of it is heard and nothing it does is kept.
    pub async fn kill(&mut self, id: u64) {
        self.net.detach(id);
        for other in 1..=self.options.nodes {
            self.net.cut(id, other);
        }
        self.disks[&id].kill_process();
        let node = self.nodes.remove(&id).expect("it runs");
        node.shutdown().await;
        self.net.heal();
    }

    /// The node that leads and serves, once there is one that the others follow.
    pub async fn leader(&self) -> u64 {
        let found = timeout(BOUND, async {
            loop {
                if let Some(leader) = self.agreed_leader() {
                    return leader;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no leader: {:#?}", self.statuses()))
    }

    fn agreed_leader(&self) -> Option<u64> {
        let statuses = self.statuses();
        let leads = |status: &&NodeStatus| status.role == Role::Leader && status.serving;
        let leader = statuses.iter().filter(leads).max_by_key(|status| status.term)?;
        let follows = |status: &NodeStatus| {
            status.term == leader.term
                && status.leader.as_ref().map(|l| l.node_id) == Some(leader.node_id)
        };
        let followers = statuses.iter().filter(|status| follows(status)).count() as u64;
        (followers > self.options.nodes / 2).then_some(leader.node_id)
    }

    pub fn statuses(&self) -> Vec<NodeStatus> {
        self.nodes.values().map(TokioNode::status).collect()
    }

    pub fn node(&self, id: u64) -> &TokioNode {
        &self.nodes[&id]
    }

    pub fn others(&self, than: u64) -> Vec<u64> {
        self.nodes.keys().copied().filter(|id| *id != than).collect()
    }

    /// Waits until every running node has applied the same last entry, and returns its index.
    pub async fn settle(&self) -> u64 {
        let settled = timeout(BOUND, async {
            loop {
                let ends: Vec<_> = self
                    .statuses()
                    .iter()
                    .map(|s| (s.applied_index, s.last_log_index, s.revision))
                    .collect();
                let (applied, last, _) = ends[0];
                if ends.iter().all(|end| *end == ends[0]) && applied == last {
                    return applied.expect("something was applied");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        settled.await.unwrap_or_else(|_| panic!("not settled: {:#?}", self.statuses()))
    }

    pub async fn shutdown(mut self) {
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.stop(id).await;
        }
    }
}

/// The run of a start, another one each time.
pub fn next_boot() -> BootId {
    BootId(u128::from(NEXT_BOOT.fetch_add(1, Ordering::Relaxed)).to_le_bytes())
}

pub fn config(id: u64, options: &Options) -> NodeConfig {
    let member = |id| Member {
        node_id: id,
        client_address: format!("client-{id}:1"),
        peer_address: format!("peer-{id}:1"),
    };
    NodeConfig {
        cluster_id: "test".to_owned(),
        node_id: id,
        members: (1..=options.nodes).map(|id| (id, member(id))).collect(),
        timing: Timing::quick(),
        limits: options.limits.clone(),
        snapshots: options.snapshots.clone(),
        execution: Execution::Threads,
        settings: options.settings.clone(),
    }
}

/// A clock that stands still unless it is moved.
#[derive(Clone, Debug, Default)]
pub struct HandClock {
    ms: Arc<AtomicU64>,
}

impl HandClock {
    pub fn advance(&self, ms: u64) {
        self.ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn read(&self) -> Reading {
        let now = Duration::from_millis(self.ms.load(Ordering::Relaxed));
        Reading { monotonic: now, raw: now, boot: now }
    }
}

/// A request for a resource with an id of its own.
pub fn acquire(resource: &str, ttl_ms: u64) -> Command {
    let request = u128::from(NEXT_REQUEST.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
    Command::Acquire(Acquire {
        resource: ResourceName::new(resource).expect("a name"),
        holder: Holder::new("test").expect("a holder"),
        request: RequestId::from_bytes(request),
        ttl: LeaseTtl::from_ms(ttl_ms).expect("a ttl"),
        wait: WaitLimit::NONE,
    })
}

pub fn renew(token: FencingToken) -> Command {
    Command::Renew(Renew { tokens: vec![token], requests: Vec::new() })
}

pub fn release(resource: &str, token: FencingToken) -> Command {
    Command::Release { resource: ResourceName::new(resource).expect("a name"), token }
}

/// Proposes until the cluster has answered: what is known to have had no effect, and a repeated
/// request id, may be sent again.
pub async fn ask(node: &TokioNode, command: Command) -> Outcome {
    let asked = timeout(BOUND, async {
        loop {
            match try_ask(node, command.clone()).await {
                Ok(outcome) => return outcome,
                Err(
                    Fault::NoLeader { .. } | Fault::QueueFull { .. } | Fault::OutcomeUnknown { .. },
                ) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(fault) => panic!("{fault}"),
            }
        }
    });
    asked.await.expect("the cluster answers")
}

pub async fn try_ask(node: &TokioNode, command: Command) -> Result<Outcome, Fault> {
    node.propose(command)?.await
}

/// Acquires a free resource.
pub async fn grant(node: &TokioNode, resource: &str, ttl_ms: u64) -> FencingToken {
    let outcome = ask(node, acquire(resource, ttl_ms)).await;
    token(&outcome).unwrap_or_else(|| panic!("not granted: {outcome:?}"))
}

pub fn token(outcome: &Outcome) -> Option<FencingToken> {
    match &outcome.answer {
        Answer::Claim(claim) => match claim.standing {
            Standing::Held { token } => Some(token),
            Standing::Waiting { .. } => None,
        },
        _ => None,
    }
}

/// Waits until a node's status is as wanted.
pub async fn until(
    node: &TokioNode,
    what: &str,
    wanted: impl Fn(&NodeStatus) -> bool,
) -> NodeStatus {
    let mut status = node.watch_status();
    let reached = timeout(BOUND, status.wait_for(|status| wanted(status))).await;
    match reached {
        Ok(Ok(status)) => status.clone(),
        _ => panic!("{what} did not come: {:#?}", node.status()),
    }
}
