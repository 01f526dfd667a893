//! A node's process: the real node on a fake disk, its clients' connections, and whoever looks at it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_client::message::{Answer, Command};
use leasehold_core::{Answer as Replicated, Command as Proposed, LeaseState, Outcome, Renew};
use leasehold_disk::{Disk, DiskId, Identity};
use leasehold_raft::{Change, Node, NodeConfig};
use leasehold_types::{Event, Fault, RequestId};
use tokio::sync::{broadcast, mpsc};

use super::clocks::MachineClocks;
use super::network::{Network, PipeEnd, Place};
use super::plan::Plant;
use super::process::{self, Pid, SimProcesses, WORLD};
use super::random::digest;
use super::seen::{Reporter, Seen, StateSeen};
use super::transport::Port;

/// What a process is started with.
pub(crate) struct Boot {
    pub(crate) pid: Pid,
    pub(crate) config: NodeConfig,
    pub(crate) fresh_disk: DiskId,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clocks: MachineClocks,
    pub(crate) network: Network,
    pub(crate) reporter: Reporter,
    pub(crate) plant: Option<Plant>,
}

/// A client opens a connection.
pub(crate) struct Session {
    pub(crate) requests: mpsc::UnboundedReceiver<(u64, Command)>,
    pub(crate) replies: PipeEnd<Said>,
}

/// What a node says on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// First of all: who leads, and for how long ids are remembered.
    Welcome { leader: Option<u64>, request_memory: Duration },
    /// To a numbered attempt.
    Answered(u64, Answer),
    /// Something happened to a claim.
    Pushed(RequestId),
}

/// The life of a node's process.
pub(crate) async fn run(boot: Boot) {
    let (id, reporter) = (boot.config.node_id, boot.reporter.clone());
    let (network, pid, plant) = (boot.network.clone(), boot.pid, boot.plant);
    let memory = Duration::from_millis(boot.config.settings.ended_memory_ms);
    match start(boot).await {
        Err(why) => reporter.say(Seen::Booted { node: id, outcome: Err(why) }),
        Ok(node) => {
            network.attach(id, pid, node.peer_handler());
            let knocks = network.listen(Place::Node(id), pid);
            record(id, node.applied(), reporter.clone());
            process::spawn_in(pid, audit(node.clone(), node.applied(), id, reporter.clone()));
            process::spawn_in(pid, watch_role(node.clone(), id, reporter.clone()));
            process::spawn_in(pid, watch_failure(node.clone(), id, reporter.clone()));
            reporter.say(Seen::Booted { node: id, outcome: Ok(node.clone()) });
            serve(node, knocks, memory, plant).await;
        }
    }
}

async fn start(boot: Boot) -> Result<Node<SimProcesses>, String> {
    let Boot { config, fresh_disk, disk, clocks, network, .. } = boot;
    let (cluster, id) = (config.cluster_id.clone(), config.node_id);
    let identity = Identity::claim(&*disk, &cluster, id, fresh_disk);
    let identity = identity.map_err(|error| error.to_string())?;
    let port = Arc::new(Port { network, node: id });
    let node = Node::start(config, identity, disk, Arc::new(clocks), port).await;
    node.map_err(|error| error.to_string())
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
        while let Ok(change) = feed.recv().await {
            reporter.say(Seen::Applied { node, change });
        }
    });
}

async fn audit(
    node: Node<SimProcesses>,
    mut feed: broadcast::Receiver<Arc<Change>>,
    id: u64,
    reporter: Reporter,
) {
    while feed.recv().await.is_ok() {
        if let Ok(state) = node.query(look).await {
            reporter.say(Seen::State { node: id, state });
        }
    }
}

fn look(state: &LeaseState) -> StateSeen {
    StateSeen {
        revision: state.revision(),
        digest: digest(&state.snapshot()),
        broken: state.broken_invariants(),
        claims: state.claims_len(),
        ended: state.ended_len(),
        next_token: state.next_token(),
    }
}

async fn watch_role(node: Node<SimProcesses>, id: u64, reporter: Reporter) {
    let mut statuses = node.watch_status();
    let mut last = None;
    loop {
        let status = statuses.borrow_and_update().clone();
        let now = (status.term, status.role);
        if last.replace(now) != Some(now) {
            let (term, role) = now;
            reporter.say(Seen::Stands { node: id, term, role, applied: status.applied_index });
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

async fn serve(
    node: Node<SimProcesses>,
    mut knocks: mpsc::UnboundedReceiver<super::network::Knock>,
    request_memory: Duration,
    plant: Option<Plant>,
) {
    while let Some(knock) = knocks.recv().await {
        if let Ok(session) = knock.downcast::<Session>() {
            let serving = Serving {
                feed: node.applied(),
                node: node.clone(),
                replies: session.replies,
                known: BTreeSet::new(),
                plant,
            };
            drop(<SimProcesses as leasehold_raft::AsyncRuntime>::spawn(
                serving.run(session.requests, request_memory),
            ));
        }
    }
}

/// One connection of a client.
struct Serving {
    node: Node<SimProcesses>,
    feed: broadcast::Receiver<Arc<Change>>,
    replies: PipeEnd<Said>,
    /// The claims it has heard of on this connection.
    known: BTreeSet<RequestId>,
    plant: Option<Plant>,
}

impl Serving {
    async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<(u64, Command)>,
        request_memory: Duration,
    ) {
        let leader = self.node.status().leader.map(|leader| leader.node_id);
        self.replies.send(Said::Welcome { leader, request_memory });
        let (answers, mut answered) = mpsc::unbounded_channel();
        loop {
            let said = tokio::select! {
                biased;
                said = answered.recv() => said,
                request = requests.recv() => match request {
                    Some((attempt, command)) => {
                        self.take(attempt, command, answers.clone());
                        continue;
                    }
                    None => break,
                },
                change = self.feed.recv() => match change {
                    Ok(change) => {
                        self.push(&change);
                        continue;
                    }
                    Err(_) => break,
                },
            };
            if let Some((attempt, answer)) = said
                && !self.replies.send(Said::Answered(attempt, answer))
            {
                break;
            }
        }
        self.closed();
    }

    fn take(
        &mut self,
        attempt: u64,
        command: Command,
        answers: mpsc::UnboundedSender<(u64, Answer)>,
    ) {
        match &command {
            Command::Acquire(ask) => _ = self.known.insert(ask.request),
            Command::Renew(ids) => self.known.extend(ids),
            Command::Release { .. } | Command::Cancel(_) => {}
        }
        let (node, plant) = (self.node.clone(), self.plant);
        drop(<SimProcesses as leasehold_raft::AsyncRuntime>::spawn(async move {
            let answer = match node.propose(proposed(command)) {
                Ok(proposal) => proposal.await,
                Err(fault) => Err(fault),
            };
            // A connection that is gone has no more use for it.
            let _ = answers.send((attempt, answer_of(answer, plant)));
        }));
    }

    fn push(&mut self, change: &Change) {
        let Change::Batch(batch) = change else { return };
        for Event { request, .. } in &batch.events {
            if self.known.contains(request) {
                self.replies.send(Said::Pushed(*request));
            }
        }
    }

    /// Only the client ends its claims; unless this bug is planted.
    fn closed(&self) {
        if self.plant == Some(Plant::NodeCancelsWhenAConnectionBreaks) {
            for request in &self.known {
                if let Ok(proposal) = self.node.propose(Proposed::Cancel { request: *request }) {
                    drop(proposal);
                }
            }
        }
    }
}

fn proposed(command: Command) -> Proposed {
    match command {
        Command::Acquire(ask) => Proposed::Acquire(ask),
        Command::Renew(requests) => Proposed::Renew(Renew { tokens: Vec::new(), requests }),
        Command::Release { resource, token } => Proposed::Release { resource, token },
        Command::Cancel(request) => Proposed::Cancel { request },
    }
}

fn answer_of(outcome: Result<Outcome, Fault>, plant: Option<Plant>) -> Answer {
    let failed = |problem: Problem| Answer::Failed { problem, retry_after: None };
    match outcome.map(|outcome| outcome.answer) {
        Ok(Replicated::Claim(mut claim)) => {
            if plant == Some(Plant::AnswersPromiseAWholeTtl) {
                claim.valid_for_ms = claim.ttl.as_ms();
            }
            Answer::Acquired(claim)
        }
        Ok(Replicated::Renewed(items)) => {
            Answer::Renewed(items.into_iter().map(|item| item.map_err(Problem::from)).collect())
        }
        Ok(Replicated::Released { was_held }) => Answer::Released { was_held },
        Ok(Replicated::Cancelled { ended }) => Answer::Cancelled { was_live: ended.is_some() },
        Ok(Replicated::Refused(refusal)) => failed(refusal.into()),
        Ok(Replicated::Pulsed) => {
            let why = "a pulse was answered to a client".to_owned();
            failed(Fault::OutcomeUnknown { why }.into())
        }
        Err(fault) => failed(fault.into()),
    }
}
