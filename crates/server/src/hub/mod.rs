//! Where everything that happened on this node goes, and from where it is told to whoever asked.
//!
//! One task owns the [`ring::Ring`] of late events and the index of [`Followers`]; both are pure.
//! Watches *read* (a watch that is slow falls behind in the ring, and is refused once what it needs is
//! forgotten; it holds nothing and delays nobody). Waiting calls and sessions are *pushed* to.
//!
//! No wake-up is lost between an answer and the request to follow its claim: the request names the
//! answer's revision, and what happened to the claim since then is looked up in the ring.

mod followers;
mod ring;

use std::sync::Arc;

use leasehold_raft::{Change, TokioNode};
use leasehold_types::{Event, EventKind, RequestId, Revision, WatchRefusal};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use followers::Followers;
pub(crate) use followers::{Follower, Following};
pub(crate) use ring::Chunk;
use ring::{Ring, SharedBatch};

/// Requests to the hub that may wait for their turn. The hub waits for nobody, so this is short.
const REQUESTS_MAX: usize = 1_024;

/// The two pure halves of the hub's state, and how one follows from the other.
#[derive(Debug)]
struct Told {
    ring: Ring,
    followers: Followers,
}

impl Told {
    fn new(revision: Revision, events_max: usize) -> Self {
        Self { ring: Ring::new(revision, events_max), followers: Followers::new() }
    }

    fn on_change(&mut self, change: Arc<Change>) {
        if let Change::SnapshotInstalled { revision, .. } = *change {
            return self.start_over(revision);
        }
        let Some(batch) = SharedBatch::new(change) else { return };
        for event in &batch.events {
            self.followers.tell(event);
        }
        self.ring.push(batch);
    }

    fn start_over(&mut self, revision: Revision) {
        self.ring.restart(revision);
        self.followers.start_over();
    }

    fn follow(&mut self, request: RequestId, after: Revision, follower: &Follower) {
        if !self.ring.retains(after) {
            return follower.miss();
        }
        let mut lives = true;
        for event in self.ring.events_of(request, after) {
            follower.tell(event);
            lives &= !is_end(event);
        }
        if lives {
            self.followers.add(request, after, follower);
        }
    }
}

/// Whether the event is the last of its claim.
pub(crate) fn is_end(event: &Event) -> bool {
    matches!(event.kind, EventKind::Ended { .. })
}

#[derive(Debug)]
enum Request {
    Read { after: Revision, answer: oneshot::Sender<Result<Chunk, WatchRefusal>> },
    Follow { claims: Vec<(RequestId, Revision)>, follower: Follower },
}

/// The way to the hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    requests: mpsc::Sender<Request>,
    reached: watch::Receiver<Revision>,
}

/// The hub's task has ended, which it does only together with the node.
#[derive(Debug)]
pub(crate) struct HubGone;

impl Hub {
    /// A hub of what the node tells from now on, and the task that it is; see [`Task::run`].
    pub(crate) async fn new(node: TokioNode, events_max: usize) -> (Self, Task) {
        // First listen, then look: what is told twice is passed over, nothing is missed.
        let feed = node.applied();
        let told = Told::new(revision_of(&node).await, events_max);
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (progress, reached) = watch::channel(told.ring.reached());
        (Self { requests, reached }, Task { node, told, feed, inbox, progress })
    }

    /// What happened after `after`: a piece, or nothing yet.
    pub(crate) async fn read(
        &self,
        after: Revision,
    ) -> Result<Result<Chunk, WatchRefusal>, HubGone> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Read { after, answer }).await.map_err(|_| HubGone)?;
        answered.await.map_err(|_| HubGone)
    }

    /// Tells `follower` what happens to each claim after the revision beside it.
    pub(crate) async fn follow(
        &self,
        claims: Vec<(RequestId, Revision)>,
        follower: &Follower,
    ) -> Result<(), HubGone> {
        let follower = follower.clone();
        self.requests.send(Request::Follow { claims, follower }).await.map_err(|_| HubGone)
    }

    /// How far the hub has come; changes with every batch.
    pub(crate) fn reached(&self) -> watch::Receiver<Revision> {
        self.reached.clone()
    }
}

/// The revision of the node's state; 0 where there is no cluster yet.
async fn revision_of(node: &TokioNode) -> Revision {
    node.query(|state| state.revision()).await.unwrap_or_default()
}

/// The owner of what was told.
pub(crate) struct Task {
    node: TokioNode,
    told: Told,
    feed: broadcast::Receiver<Arc<Change>>,
    inbox: mpsc::Receiver<Request>,
    progress: watch::Sender<Revision>,
}

impl Task {
    /// Ends when every [`Hub`] is gone or the node tells no more.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                request = self.inbox.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => return,
                },
                change = self.feed.recv() => match change {
                    Ok(change) => self.told.on_change(change),
                    Err(broadcast::error::RecvError::Lagged(batches)) => {
                        tracing::warn!(batches, "the hub fell behind; watches have to start over");
                        self.told.start_over(revision_of(&self.node).await);
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
            self.publish_progress();
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Read { after, answer } => {
                // Whoever asked may be gone; then nobody needs the answer.
                let _ = answer.send(self.told.ring.read(after));
            }
            Request::Follow { claims, follower } => {
                for (request, after) in claims {
                    self.told.follow(request, after, &follower);
                }
            }
        }
    }

    fn publish_progress(&self) {
        let reached = self.told.ring.reached();
        self.progress.send_if_modified(|last| std::mem::replace(last, reached) != reached);
    }
}

#[cfg(test)]
mod tests {
    use super::ring::tests::{ended, request};
    use super::*;
    use leasehold_raft::AppliedBatch;
    use leasehold_types::LeaseTime;

    fn batch(revision: u64, events: Vec<Event>) -> Arc<Change> {
        let (revision, at) = (Revision(revision), LeaseTime(0));
        Arc::new(Change::Batch(AppliedBatch { log_index: 0, revision, at, events }))
    }

    fn count(following: &mut Following) -> usize {
        std::iter::from_fn(|| following.events.try_recv().ok()).count()
    }

    #[test]
    fn a_claim_that_ended_between_the_answer_and_the_following_is_told() {
        let mut told = Told::new(Revision(0), 100);
        told.on_change(batch(2, vec![ended(1, "a", 1), ended(2, "a", 2)]));
        let (follower, mut following) = Follower::new(8);
        told.follow(request(2), Revision(1), &follower);
        assert_eq!(count(&mut following), 1);
        told.on_change(batch(3, vec![ended(3, "a", 2)]));
        assert_eq!(count(&mut following), 0, "an end is the last a follower hears");
    }

    #[test]
    fn a_claim_followed_before_the_feed_caught_up_is_told_when_it_does() {
        let mut told = Told::new(Revision(0), 100);
        let (follower, mut following) = Follower::new(8);
        told.follow(request(1), Revision(5), &follower);
        told.on_change(batch(5, vec![ended(5, "a", 1)]));
        assert_eq!(count(&mut following), 0, "the answer said so already");
        told.follow(request(2), Revision(5), &follower);
        told.on_change(batch(6, vec![ended(6, "a", 2)]));
        assert_eq!(count(&mut following), 1);
    }

    #[test]
    fn following_from_before_the_ring_is_missed_and_not_followed() {
        let mut told = Told::new(Revision(10), 100);
        let (follower, mut following) = Follower::new(8);
        told.follow(request(1), Revision(9), &follower);
        told.on_change(batch(11, vec![ended(11, "a", 1)]));
        assert!(following.take_missed());
        assert_eq!(count(&mut following), 0);
    }

    #[test]
    fn a_snapshot_restarts_the_ring_and_the_followers() {
        let mut told = Told::new(Revision(0), 100);
        let (follower, following) = Follower::new(8);
        told.follow(request(1), Revision(0), &follower);
        let (revision, at) = (Revision(50), LeaseTime(0));
        told.on_change(Arc::new(Change::SnapshotInstalled { log_index: 9, revision, at }));
        assert!(following.take_missed());
        assert!(told.ring.read(Revision(49)).is_err() && told.ring.read(Revision(50)).is_ok());
    }
}
