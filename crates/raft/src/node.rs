//! One member of a cluster, as the rest of the program holds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use leasehold_core::{Command, LeaseState};
use leasehold_types::Fault;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant, Raft};
use openraft_rt::AsyncRuntime;
use openraft_rt_tokio::TokioRuntime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::barrier::BarrierWaiter;
use crate::peers::Handler;
use crate::proposer::{Intake, Origin};
use crate::state_machine::StateMachine;
use crate::transport::PeerHandler;
use crate::type_config::Types;
use crate::watched::{Changing, Watched};
use crate::{Change, NodeConfig, NodeFailure, NodeStatus, Outcomes, Proposal, Role};

/// A node on tokio.
pub type TokioNode = Node<TokioRuntime>;

/// Resolves when something has ended.
pub(crate) type Ended = Shared<BoxFuture<'static, ()>>;

/// One member of a cluster: a handle, cheap to clone. [`Node::shutdown`] before the last is dropped.
pub struct Node<RT: AsyncRuntime> {
    pub(crate) inner: Arc<Inner<RT>>,
}

pub(crate) struct Inner<RT: AsyncRuntime> {
    pub(crate) config: NodeConfig,
    pub(crate) raft: Raft<Types<RT>, StateMachine<RT>>,
    pub(crate) intake: Intake<RT>,
    pub(crate) barriers: mpsc::Sender<BarrierWaiter>,
    pub(crate) status: Watched<RT, NodeStatus>,
    pub(crate) feed: broadcast::Sender<Arc<Change>>,
    pub(crate) stop: Changing<RT, bool>,
    pub(crate) handler: Arc<Handler<RT>>,
    pub(crate) proposer: Ended,
    pub(crate) log_ended: Ended,
}

impl<RT: AsyncRuntime> Clone for Node<RT> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<RT: AsyncRuntime> fmt::Debug for Node<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.inner.config.node_id)
    }
}

impl<RT: AsyncRuntime> Node<RT> {
    /// Takes a command into the queue, at once or not at all. Where this node follows, it is passed
    /// to the leader, one hop.
    ///
    /// # Errors
    /// [`Fault::QueueFull`], and [`Fault::ShuttingDown`] when the node stops or has failed; the rest
    /// comes out of the [`Proposal`].
    pub fn propose(&self, command: Command) -> Result<Proposal, Fault> {
        self.refuse_when_failed()?;
        self.inner.intake.propose(command, Origin::Client, Duration::ZERO)
    }

    /// [`Node::propose`] with an outcome that comes out of `outcomes`, under `number`. Numbers under way
    /// must differ; after an error this one is free.
    ///
    /// # Errors
    /// Those of [`Node::propose`].
    pub fn propose_into(
        &self,
        command: Command,
        outcomes: &Outcomes,
        number: usize,
    ) -> Result<(), Fault> {
        self.refuse_when_failed()?;
        self.inner.intake.propose_into(command, outcomes, number)
    }

    fn refuse_when_failed(&self) -> Result<(), Fault> {
        match self.inner.status.borrow().failed.is_some() {
            true => Err(Fault::ShuttingDown),
            false => Ok(()),
        }
    }

    /// Returns when this node's state is at least as new as anything answered by anybody before the
    /// call: a linearizable read point (ReadIndex; Ongaro, PhD thesis, 6.4). Calls that wait at the
    /// same time share one.
    ///
    /// # Errors
    /// [`Fault::NoLeader`] when none confirmed a majority in time, [`Fault::QueueFull`],
    /// [`Fault::ShuttingDown`].
    pub async fn barrier(&self) -> Result<(), Fault> {
        let (waiter, passed) = oneshot::channel();
        self.inner.barriers.try_send(waiter).map_err(|refused| match refused {
            TrySendError::Full(_) => Fault::QueueFull { limit: crate::barrier::WAITERS_MAX as u64 },
            TrySendError::Closed(_) => Fault::ShuttingDown,
        })?;
        match RT::timeout(self.inner.config.timing.barrier_deadline, passed).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Fault::ShuttingDown),
            Err(_) => Err(self.no_leader()),
        }
    }

    /// Reads this node's state, on the task that owns it and between two batches. As new as this
    /// node happens to be; behind a [`Node::barrier`] linearizable. Keep it short: nothing is
    /// applied meanwhile.
    ///
    /// # Errors
    /// [`Fault::NoLeader`] before the cluster is founded, [`Fault::ShuttingDown`].
    pub async fn query<T, F>(&self, read: F) -> Result<T, Fault>
    where
        F: FnOnce(&LeaseState) -> T + Send + 'static,
        T: Send + 'static,
    {
        let answer = self.inner.raft.with_state_machine(|machine| {
            let answer = machine.state().map(read);
            Box::pin(async move { answer })
        });
        let answer = answer.await.map_err(|_| Fault::ShuttingDown)?;
        answer.ok_or_else(|| self.no_leader())
    }

    fn no_leader(&self) -> Fault {
        let status = self.inner.status.borrow();
        let leader = status.leader.as_ref().filter(|leader| leader.node_id != status.node_id);
        Fault::NoLeader { leader_address: leader.map(|leader| leader.client_address.clone()) }
    }

    /// Every change of this node's state from now on. A listener that lags is told so
    /// ([`broadcast::error::RecvError::Lagged`]) and must start over from the state.
    pub fn applied(&self) -> broadcast::Receiver<Arc<Change>> {
        self.inner.feed.subscribe()
    }

    /// What this node knows now. A hint.
    pub fn status(&self) -> NodeStatus {
        self.inner.status.borrow().clone()
    }

    /// [`Node::status`] whenever it changes.
    pub fn watch_status(&self) -> Watched<RT, NodeStatus> {
        self.inner.status.clone()
    }

    /// Resolves when the node has stopped for good by itself; the process should exit non-zero.
    /// Never resolves on a node that was shut down in order.
    pub async fn failed(&self) -> NodeFailure {
        let mut status = self.inner.status.clone();
        let failed = match status.wait_for(|status| status.failed.is_some()).await {
            Ok(status) => status.failed,
            Err(_) => None,
        };
        match failed {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Hands leadership, if this node has it, to the follower that is furthest; returns when another
    /// leads, or after a bounded time. True when this node does not lead any more.
    pub async fn hand_over_leadership(&self) -> bool {
        let Some(successor) = self.successor() else {
            return !self.leads();
        };
        tracing::info!(successor, "handing leadership over");
        if self.inner.raft.trigger().transfer_leader(successor).await.is_err() {
            return true;
        }
        let id = self.inner.config.node_id;
        let mut metrics = self.inner.raft.server_metrics();
        let taken = metrics.wait_until(|now| now.current_leader.is_some_and(|leader| leader != id));
        let taken = RT::timeout(self.inner.config.timing.hand_over, taken).await;
        matches!(taken, Ok(Ok(_))) || !self.leads()
    }

    /// Asks for a snapshot now, out of turn. It is taken in the background.
    pub async fn take_snapshot(&self) {
        if let Err(error) = self.inner.raft.trigger().snapshot().await {
            tracing::debug!(%error, "no snapshot: the node stops");
        }
    }

    fn leads(&self) -> bool {
        self.inner.raft.metrics().borrow_watched().state == openraft::ServerState::Leader
    }

    /// Of the other voters that answered lately, the one whose log reaches furthest.
    fn successor(&self) -> Option<u64> {
        let (id, trust) = (self.inner.config.node_id, self.inner.config.timing.election_max);
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let (heard, reached) = (metrics.heartbeat.as_ref()?, metrics.replication.as_ref()?);
        let lives = |voter: &u64| {
            let at = heard.get(voter).and_then(Option::as_ref);
            at.is_some_and(|at| at.elapsed() < trust)
        };
        let voters =
            metrics.membership_config.voter_ids().filter(|voter| *voter != id && lives(voter));
        voters.max_by_key(|voter| reached.get(voter).copied().flatten())
    }

    /// Stops taking part: queued commands are answered [`Fault::ShuttingDown`], those under way
    /// unknown. Returns when everything has stopped and all that was written is on disk.
    pub async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        self.inner.proposer.clone().await;
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::warn!(%error, "the consensus task did not stop in order");
        }
        let mut status = self.inner.status.clone();
        // An observer that is gone has nothing more to say.
        let _ = status.wait_for(|status| status.role == Role::Stopped).await;
        self.inner.log_ended.clone().await;
    }

    /// What answers this node's peers, for [`crate::grpc::peer_service`] or another transport's far end.
    pub fn peer_handler(&self) -> Arc<dyn PeerHandler> {
        self.inner.handler.clone()
    }
}
