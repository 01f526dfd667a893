//! Everything that can be seen to happen, as one closed type: the oracles' only source, and the trace.

use std::sync::Arc;
use std::time::Duration;

use leasehold_client::{AcquireError, LostReason, Validity};
use leasehold_clock::Clock;
use leasehold_fence::Mark;
use leasehold_raft::{Change, Node, Role};
use leasehold_types::{ClaimAnswer, FencingToken, RequestId, ResourceName, Revision};
use tokio::sync::mpsc;

use super::clocks::MachineClocks;
use super::log_on_disk::Kept;
use super::process::{SimProcesses, true_time};

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A fault began or ended, in words.
    Fault(String),
    /// A node's start succeeded, or not.
    Booted { node: u64, outcome: Result<Node<SimProcesses>, String> },
    /// A node stopped by itself.
    Failed { node: u64, why: String },
    /// A disk was hurt: its node may stop for that, or refuse to start.
    DiskHurt { node: u64 },
    /// A node was asked to stop and has stopped.
    LeftInOrder { node: u64 },
    /// A node's state changed.
    Applied { node: u64, change: Arc<Change> },
    /// A node's state, looked at between two batches.
    State { node: u64, state: StateSeen },
    /// What all disks keep for good of a place in the log that a node just applied.
    LogsOnDisk { index: u64, logs: Vec<(u64, Kept)> },
    /// What a node says it is.
    Stands { node: u64, term: u64, role: Role, applied: Option<u64>, serves: bool },
    /// An application wants a lease.
    Wished { client: u64, wish: u64, resource: ResourceName },
    /// A request id is about to be sent for the first time, for a wish.
    Asked { client: u64, wish: u64, request: RequestId, resource: ResourceName },
    /// A claim was answered as it stands.
    Answered { client: u64, claim: ClaimAnswer },
    /// An application has a lease, and what its library believes.
    Granted { client: u64, wish: u64, token: FencingToken, belief: BeliefSeen },
    /// A library believes for longer.
    Proven { client: u64, token: FencingToken, belief: BeliefSeen },
    /// A library stopped believing.
    Lost { client: u64, token: FencingToken, reason: LostReason },
    /// An application was told no, or that nobody knows.
    NotGranted { client: u64, wish: u64, error: AcquireError },
    /// An application asked its library and was told yes.
    Checked { client: u64, resource: ResourceName, token: FencingToken },
    /// An application writes.
    WriteSent { client: u64, write: u64, resource: ResourceName, token: FencingToken },
    /// The store answered a write. `attempts` were made.
    WriteAnswered { client: u64, write: u64, accepted: bool, attempts: u32 },
    /// The store made something durable: a write, or a mark that a read raised.
    Stored { resource: ResourceName, stored: StoredSeen, put: bool },
    /// The store was started and found this.
    StoreOpened { contents: Vec<(ResourceName, StoredSeen)> },
    /// The store stopped for its disk.
    StoreFailed { why: String },
    /// Somebody wants to know who holds a resource.
    ReadAsked { client: u64, read: u64 },
    /// And was told.
    ReadAnswered { client: u64, read: u64, answer: ReadSeen },
}

/// A state between two batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateSeen {
    pub(crate) revision: Revision,
    pub(crate) digest: u64,
    pub(crate) broken: Vec<&'static str>,
    pub(crate) claims: usize,
    pub(crate) ended: usize,
    pub(crate) next_token: FencingToken,
    /// Whether something was due that its last entry had left to the next.
    pub(crate) ends_left: bool,
}

/// What the store holds for one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredSeen {
    pub(crate) mark: Mark,
    /// The token the value was written under; `None` before the first write.
    pub(crate) written_under: Option<FencingToken>,
    pub(crate) value: u64,
    /// The write that made the value so.
    pub(crate) write: u64,
}

/// A resource as it stood at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadSeen {
    pub(crate) resource: ResourceName,
    pub(crate) revision: Revision,
    /// Who held it; `None` when it was free.
    pub(crate) token: Option<FencingToken>,
}

/// A belief and the clock that measures it.
#[derive(Clone)]
pub(crate) struct BeliefSeen {
    pub(crate) resource: ResourceName,
    pub(crate) validity: Validity,
    pub(crate) clock: MachineClocks,
}

impl BeliefSeen {
    /// How long it holds from now on, if nothing more is proven.
    pub(crate) fn remaining(&self) -> Duration {
        self.validity.bound().remaining(&self.clock.read())
    }
}

/// Without the clock, which is a handle.
impl std::fmt::Debug for BeliefSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {:?}", self.resource, self.remaining())
    }
}

/// Where everything seen goes. Stamped with true time, in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(mpsc::UnboundedSender<(Duration, Seen)>);

impl Reporter {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<(Duration, Seen)>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(crate) fn say(&self, seen: Seen) {
        // Nobody listens once the run is over.
        let _ = self.0.send((true_time(), seen));
    }
}
