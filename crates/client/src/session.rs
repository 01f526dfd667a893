//! The one task that owns all claims of a client and its stream to the cluster.

use leasehold_types::{Acquire, Fault};
use tokio::sync::{mpsc, oneshot};

use crate::config::CheckedConfig;
use crate::{AcquireError, LeaseGuard};

/// A claim's name inside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey(pub u64);

/// The application asks for a lease.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) key: ClaimKey,
    pub(crate) ask: Acquire,
    pub(crate) reply: oneshot::Sender<Result<LeaseGuard, AcquireError>>,
    pub(crate) endings: mpsc::UnboundedSender<Ending>,
}

/// The application is done with a claim. The channel that carries these has no bound of its own: each
/// claim sends at most three, and claims come in through a bounded one.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Cancel or release it, and tell how that went.
    Release(ClaimKey, Option<oneshot::Sender<Result<bool, Fault>>>),
    /// Forget it without releasing.
    Leave(ClaimKey),
}

/// How the rest of the client reaches the task.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) endings: mpsc::UnboundedSender<Ending>,
}

impl SessionHandle {
    pub(crate) fn start(config: CheckedConfig) -> Self {
        todo!("{config:?}")
    }
}
