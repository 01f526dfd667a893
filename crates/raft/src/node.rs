//! One member of a cluster.

use std::marker::PhantomData;
use std::sync::Arc;

use leasehold_clock::Clock;
use leasehold_core::{Command, LeaseState};
use leasehold_disk::{Disk, Identity};
use leasehold_types::{BadField, Fault};
use openraft_rt::AsyncRuntime;
use openraft_rt_tokio::TokioRuntime;
use tokio::sync::{broadcast, watch};

use crate::transport::{PeerHandler, Transport};
use crate::{Change, NodeConfig, NodeFailure, NodeStatus, Proposal};

/// A node on tokio.
pub type TokioNode = Node<TokioRuntime>;

/// One member of a cluster: a handle, cheap to clone.
#[derive(Debug)]
pub struct Node<RT: AsyncRuntime> {
    _runtime: PhantomData<fn() -> RT>,
}

/// Why a node does not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// A configured value is not allowed.
    #[error(transparent)]
    Config(#[from] BadField),
    /// The disk cannot be read, or what it holds is not what was written.
    #[error("{why}")]
    Storage {
        /// What the disk said, and what to do where there is something to do.
        why: String,
    },
}

impl<RT: AsyncRuntime> Clone for Node<RT> {
    fn clone(&self) -> Self {
        Self { _runtime: PhantomData }
    }
}

impl<RT: AsyncRuntime> Node<RT> {
    /// Recovers what the disk holds and takes part in the cluster. `identity` was claimed on `disk`.
    ///
    /// On an empty disk the member with the smallest id founds the cluster; the others wait for it.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        _config: NodeConfig,
        _identity: Identity,
        _disk: Arc<dyn Disk>,
        _clock: Arc<dyn Clock>,
        _transport: Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        unimplemented!()
    }

    /// Takes a command into the queue, at once or not at all. Where this node follows, it is passed
    /// to the leader, one hop.
    ///
    /// # Errors
    /// [`Fault::QueueFull`] and [`Fault::ShuttingDown`]; the rest comes out of the [`Proposal`].
    pub fn propose(&self, _command: Command) -> Result<Proposal, Fault> {
        unimplemented!()
    }

    /// Returns when this node's state is at least as new as anything answered by anybody before the
    /// call: a linearizable read point (ReadIndex; Ongaro, PhD thesis, 6.4). Calls that overlap
    /// share one.
    ///
    /// # Errors
    /// [`Fault::NoLeader`] when none confirmed a majority in time, [`Fault::ShuttingDown`].
    pub async fn barrier(&self) -> Result<(), Fault> {
        unimplemented!()
    }

    /// Reads this node's state, on the task that owns it and between two batches. As new as this
    /// node happens to be; behind a [`Node::barrier`] linearizable. Keep it short: nothing is
    /// applied meanwhile.
    ///
    /// # Errors
    /// [`Fault::NoLeader`] before the cluster is founded, [`Fault::ShuttingDown`].
    pub async fn query<T, F>(&self, _read: F) -> Result<T, Fault>
    where
        F: FnOnce(&LeaseState) -> T + Send + 'static,
        T: Send + 'static,
    {
        unimplemented!()
    }

    /// Every change of this node's state from now on. A listener that lags is told so
    /// ([`broadcast::error::RecvError::Lagged`]) and must start over from the state.
    pub fn applied(&self) -> broadcast::Receiver<Arc<Change>> {
        unimplemented!()
    }

    /// What this node knows now. A hint.
    pub fn status(&self) -> NodeStatus {
        unimplemented!()
    }

    /// [`Node::status`] whenever it changes.
    pub fn watch_status(&self) -> watch::Receiver<NodeStatus> {
        unimplemented!()
    }

    /// Resolves when the node has stopped for good by itself; the process should exit non-zero.
    /// Never resolves on a node that was shut down in order.
    pub async fn failed(&self) -> NodeFailure {
        unimplemented!()
    }

    /// Hands leadership, if this node has it, to the follower that is furthest; returns when another
    /// leads, or after a bounded time. True when this node does not lead any more.
    pub async fn hand_over_leadership(&self) -> bool {
        unimplemented!()
    }

    /// Stops taking part: queued commands are answered [`Fault::ShuttingDown`], those under way
    /// unknown. Returns when everything has stopped.
    pub async fn shutdown(&self) {
        unimplemented!()
    }

    /// What answers this node's peers, for [`crate::grpc::peer_service`] or another transport's far end.
    pub fn peer_handler(&self) -> Arc<dyn PeerHandler> {
        unimplemented!()
    }
}
