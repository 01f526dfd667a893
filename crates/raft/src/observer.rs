//! Watches the node: keeps its status, takes snapshots when the log grows large, notices when it died.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::metrics::RaftMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{Instant, Raft, ServerState};
use openraft_rt::AsyncRuntime;

use crate::log::LogReader;
use crate::peers::Gatekeeper;
use crate::progress::Progress;
use crate::standing::{Standing, StandingWatch};
use crate::state_machine::StateMachine;
use crate::type_config::Types;
use crate::watched::{Changing, Watched, watched};
use crate::{Member, NodeConfig, NodeFailure, NodeStatus, Role, SnapshotPolicy, Timing};

/// The owner of the status.
pub(crate) struct Observer<RT: AsyncRuntime> {
    raft: Raft<Types<RT>, StateMachine<RT>>,
    standing: StandingWatch<RT>,
    metrics: WatchReceiverOf<Types<RT>, RaftMetrics<Types<RT>>>,
    log: LogReader,
    gatekeeper: Arc<Gatekeeper>,
    progress: Watched<RT, Progress>,
    stop: Watched<RT, bool>,
    status: Changing<RT, NodeStatus>,
    timing: Timing,
    snapshots: SnapshotPolicy,
    /// Where the log stood when a snapshot was last asked for on account of its size.
    snapshot_asked: u64,
    /// Since when the consensus task or the state machine is gone.
    orphaned: Option<RT::Instant>,
}

impl<RT: AsyncRuntime> Observer<RT> {
    pub(crate) fn new(
        raft: &Raft<Types<RT>, StateMachine<RT>>,
        standing: StandingWatch<RT>,
        log: LogReader,
        gatekeeper: Arc<Gatekeeper>,
        progress: Watched<RT, Progress>,
        stop: Watched<RT, bool>,
        config: &NodeConfig,
    ) -> (Self, Watched<RT, NodeStatus>) {
        let metrics = raft.metrics();
        let trust = config.timing.election_max;
        let first = status_of(&metrics.borrow_watched(), &progress.borrow(), &standing, trust);
        let (status, told) = watched(first);
        let (timing, snapshots) = (config.timing.clone(), config.snapshots.clone());
        let (snapshot_asked, orphaned) = (0, None);
        let observer = Self {
            raft: raft.clone(),
            standing,
            metrics,
            log,
            gatekeeper,
            progress,
            stop,
            status,
            timing,
            snapshots,
            snapshot_asked,
            orphaned,
        };
        (observer, told)
    }

    /// Runs until the node stops, and sees to it that all of it does.
    pub(crate) async fn run(mut self) {
        while self.wait().await {
            self.publish();
            self.keep_log_small().await;
            if self.status.borrow().failed.is_some() {
                tracing::error!(failed = ?self.status.borrow().failed, "the node has stopped for good");
                break;
            }
            RT::sleep(self.timing.heartbeat / 10).await;
        }
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the consensus task did not stop in order");
        }
        self.status.send_if_modified(|status| {
            status.role = Role::Stopped;
            true
        });
    }

    /// False when the node stops.
    async fn wait(&mut self) -> bool {
        let stopped = async { drop(self.stop.wait_for(|stop| *stop).await) };
        let watched = tokio::select! {
            biased;
            () = stopped => return false,
            changed = self.metrics.changed() => changed.is_ok(),
            changed = self.progress.changed() => changed.is_ok(),
            () = RT::sleep(self.timing.turn) => true,
        };
        if !watched {
            self.notice_a_death();
        }
        true
    }

    /// The consensus task or the state machine is gone and nobody stopped the node. If it said why,
    /// the metrics will show it; if it says nothing for a while, it died of a bug.
    fn notice_a_death(&mut self) {
        let now = RT::Instant::now();
        let since = *self.orphaned.get_or_insert(now);
        if now.saturating_duration_since(since) > self.timing.election_max {
            self.status.send_if_modified(|status| {
                status.failed.get_or_insert(NodeFailure::Panicked);
                true
            });
        }
    }

    fn publish(&self) {
        let trust = self.timing.election_max;
        let mut now = status_of(
            &self.metrics.borrow_watched(),
            &self.progress.borrow(),
            &self.standing,
            trust,
        );
        self.status.send_if_modified(|status| {
            let forgets = || {
                let why = self.gatekeeper.storage_fault()?.to_owned();
                Some(NodeFailure::Storage { why })
            };
            now.failed = status.failed.take().or(now.failed.take()).or_else(forgets);
            let changed = *status != now;
            *status = now;
            changed
        });
    }

    /// Asks for a snapshot when the log in memory is too large, and not again before a good part of
    /// it is new.
    async fn keep_log_small(&mut self) {
        let applied = self.progress.borrow().applied.map_or(0, |at| at.index);
        let news = applied.saturating_sub(self.snapshot_asked);
        if self.log.bytes() > self.snapshots.bytes && news > self.snapshots.keep {
            self.snapshot_asked = applied;
            if let Err(error) = self.raft.trigger().snapshot().await {
                tracing::debug!(%error, "no snapshot: the node stops");
            }
        }
    }
}

/// What the library's metrics and the state machine's progress say.
fn status_of<RT: AsyncRuntime>(
    metrics: &RaftMetrics<Types<RT>>,
    progress: &Progress,
    standing: &StandingWatch<RT>,
    trust: std::time::Duration,
) -> NodeStatus {
    let directory = standing.directory();
    let members: BTreeMap<u64, Member> = metrics
        .membership_config
        .nodes()
        .map(|(id, member)| (*id, directory.member(*id, member)))
        .collect();
    let role = role_of(metrics);
    let noted = progress.note.is_some_and(|note| note.term == metrics.current_term);
    let alone = metrics.membership_config.voter_ids().count() == 1;
    let heard = metrics.last_quorum_acked.as_ref().is_some_and(|at| at.elapsed() < trust);
    let leads = role == Role::Leader;
    let standing = standing.now();
    let follows = role != Role::Stopped && matches!(standing, Standing::Following { .. });
    let leader = match standing {
        Standing::Leading { .. } => members.get(&metrics.id).cloned(),
        Standing::Following { leader } => Some(leader),
        Standing::Leaderless => None,
    };
    let figures = progress.figures;
    NodeStatus {
        node_id: metrics.id,
        role,
        term: metrics.current_term,
        last_log_index: metrics.last_log_index,
        applied_index: progress.applied.map(|at| at.index),
        snapshot_index: metrics.snapshot.map(|at| at.index),
        revision: figures.map(|figures| figures.revision).unwrap_or_default(),
        at: figures.map(|figures| figures.at).unwrap_or_default(),
        claims: figures.map_or(0, |figures| figures.claims),
        last_token: figures.and_then(|figures| figures.last_token),
        has_quorum: if leads { alone || heard } else { follows },
        serving: if leads { noted && figures.is_some() && (alone || heard) } else { follows },
        members: members.into_values().collect(),
        leader,
        failed: failure_of(metrics),
    }
}

fn role_of<RT: AsyncRuntime>(metrics: &RaftMetrics<Types<RT>>) -> Role {
    if metrics.running_state.is_err() {
        return Role::Stopped;
    }
    match metrics.state {
        ServerState::Learner => Role::Learner,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Leader => Role::Leader,
        ServerState::Shutdown => Role::Stopped,
    }
}

fn failure_of<RT: AsyncRuntime>(metrics: &RaftMetrics<Types<RT>>) -> Option<NodeFailure> {
    match metrics.running_state.as_ref().err()? {
        Fatal::StorageError(error) => {
            Some(NodeFailure::Storage { why: crate::chain::one_line(error) })
        }
        Fatal::Panicked => Some(NodeFailure::Panicked),
        Fatal::Stopped => None,
    }
}
