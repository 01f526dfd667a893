//! What the hub hears of its node: every change, and whether some were missed before it.

use std::sync::Arc;

use leasehold_raft::Change;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// A change, and whether others came before it that were not heard of.
#[derive(Debug)]
pub(super) struct News {
    pub(super) change: Arc<Change>,
    pub(super) after_gap: bool,
}

/// The hub's end of a node's feed.
#[derive(Debug)]
pub(crate) struct Feed {
    changes: Receiver<Arc<Change>>,
    /// Changes were missed since the last news.
    missed: bool,
}

impl Feed {
    /// Subscribed before the node starts, it also tells what the log replays.
    pub(crate) const fn new(changes: Receiver<Arc<Change>>) -> Self {
        Self { changes, missed: false }
    }

    /// The next change; `None` when the node tells no more. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<News> {
        loop {
            match self.changes.recv().await {
                Ok(change) => return Some(self.news(change)),
                Err(RecvError::Lagged(changes)) => self.miss(changes),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next change if it is there already.
    pub(super) fn try_next(&mut self) -> Option<News> {
        loop {
            match self.changes.try_recv() {
                Ok(change) => return Some(self.news(change)),
                Err(TryRecvError::Lagged(changes)) => self.miss(changes),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    fn news(&mut self, change: Arc<Change>) -> News {
        News { change, after_gap: std::mem::take(&mut self.missed) }
    }

    fn miss(&mut self, changes: u64) {
        tracing::warn!(changes, "the hub fell behind; watches from before have to start over");
        self.missed = true;
    }
}
