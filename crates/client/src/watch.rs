//! A watch that outlives its connection.

use std::time::Duration;

use leasehold_types::{FencingToken, Holder, RequestId, ResourceName, Revision};

use crate::{Client, WatchError};

/// Something that happened to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The event's own revision; no two events share one.
    pub revision: Revision,
    /// What happened.
    pub kind: WatchEventKind,
    /// What is claimed.
    pub resource: ResourceName,
    /// Who claims.
    pub holder: Holder,
    /// The claim.
    pub request: RequestId,
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEventKind {
    /// It became a lease.
    Granted {
        /// Its token.
        token: FencingToken,
        /// Its ttl in effect.
        ttl: Duration,
    },
    /// It joined the queue.
    Queued {
        /// Its ttl in effect.
        ttl: Duration,
    },
    /// Its client released or cancelled it.
    Released {
        /// Its token, if it was a lease.
        token: Option<FencingToken>,
    },
    /// Its deadline passed, or it waited as long as it asked to.
    Expired {
        /// Its token, if it was a lease.
        token: Option<FencingToken>,
    },
}

/// Events from all claims on resources whose names start with a prefix, in order of revision, none
/// missed and none twice.
///
/// A broken connection is made again, on any node, and the watch goes on after the last event it
/// delivered, without end: it fails only when the cluster no longer keeps the events that follow.
pub struct Watch {
    events:
        std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<WatchEvent, WatchError>> + Send>>,
    from: Revision,
}

impl Watch {
    /// The revision from which the watch started: everything after it is delivered.
    pub fn from(&self) -> Revision {
        self.from
    }

    /// The next event; `None` after an error ended the watch. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, WatchError>> {
        futures_util::StreamExt::next(&mut self.events).await
    }
}

impl Client {
    /// Watches claims on resources whose names start with `prefix`: what happens after revision
    /// `after`, or from now on. Returns once a node has said where the watch starts.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn watch(&self, prefix: &str, after: Option<Revision>) -> Result<Watch, WatchError> {
        todo!("{prefix} {after:?}")
    }
}
