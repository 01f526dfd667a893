//! Where this node stands: leading, following, or neither.
//!
//! A hint, never proof: whatever is done on the strength of it is proposed under the term it was read
//! with, and the consensus library refuses what no longer holds.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use openraft_rt::{AsyncRuntime, Instant};

use crate::Member;
use crate::directory::Directory;
use crate::type_config::Types;

/// When a leader was last heard. The library keeps naming the leader it knew, however long ago that
/// was.
#[derive(Debug)]
pub(crate) struct LeaderHeard<RT: AsyncRuntime> {
    at: Mutex<Option<RT::Instant>>,
    trust: Duration,
}

impl<RT: AsyncRuntime> LeaderHeard<RT> {
    /// A leader counts as heard for as long as `trust` after its last word.
    pub(crate) fn new(trust: Duration) -> Self {
        Self { at: Mutex::new(None), trust }
    }

    /// Notes a leader's word.
    pub(crate) fn note(&self) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(RT::Instant::now());
    }

    /// Whether a leader was heard lately.
    pub(crate) fn lately(&self) -> bool {
        let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_some_and(|at| at.elapsed() < self.trust)
    }
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It leads in this term.
    Leading {
        /// Names the leadership.
        term: u64,
    },
    /// It has lately heard another that leads.
    Following {
        /// Who leads.
        leader: Member,
    },
    /// It knows of no leader.
    Leaderless,
}

impl Standing {
    /// Where clients reach the leader, if it is another node.
    pub(crate) fn leader_address(&self) -> Option<String> {
        match self {
            Self::Following { leader } => Some(leader.client_address.clone()),
            Self::Leading { .. } | Self::Leaderless => None,
        }
    }
}

/// Watches where this node stands.
pub(crate) struct StandingWatch<RT: AsyncRuntime> {
    metrics: WatchReceiverOf<Types<RT>, RaftServerMetrics<Types<RT>>>,
    heard: Arc<LeaderHeard<RT>>,
    directory: Directory,
}

impl<RT: AsyncRuntime> Clone for StandingWatch<RT> {
    fn clone(&self) -> Self {
        let Self { metrics, heard, directory } = self;
        Self { metrics: metrics.clone(), heard: heard.clone(), directory: directory.clone() }
    }
}

impl<RT: AsyncRuntime> fmt::Debug for StandingWatch<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandingWatch")
    }
}

impl<RT: AsyncRuntime> StandingWatch<RT> {
    pub(crate) fn new(
        metrics: WatchReceiverOf<Types<RT>, RaftServerMetrics<Types<RT>>>,
        heard: Arc<LeaderHeard<RT>>,
        directory: Directory,
    ) -> Self {
        Self { metrics, heard, directory }
    }

    /// Where this node stands now.
    pub(crate) fn now(&self) -> Standing {
        let metrics = self.metrics.borrow_watched();
        let vote = metrics.vote;
        if metrics.state == ServerState::Leader
            && vote.committed
            && vote.leader_id.voted_for == metrics.id
        {
            return Standing::Leading { term: vote.leader_id.term };
        }
        let leader = metrics
            .current_leader
            .filter(|leader| *leader != metrics.id && self.heard.lately())
            .and_then(|leader| {
                let logged = metrics.membership_config.get_node(&leader)?;
                Some(self.directory.member(leader, logged))
            });
        leader.map_or(Standing::Leaderless, |leader| Standing::Following { leader })
    }

    /// Where members are reached.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Resolves when another than `leader` leads, as far as this node knows.
    pub(crate) async fn superseded(&mut self, leader: &Member) {
        loop {
            match self.now() {
                Standing::Leaderless => {}
                Standing::Following { leader: now } if now == *leader => {}
                Standing::Following { .. } | Standing::Leading { .. } => return,
            }
            self.changed().await;
        }
    }

    /// Resolves when it may have changed; never again once the node has stopped.
    pub(crate) async fn changed(&mut self) {
        if self.metrics.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
