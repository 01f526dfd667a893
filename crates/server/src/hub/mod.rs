//! Where everything that happened on this node goes, and from where it is told to whoever asked.
//!
//! One task owns the [`ring::Ring`] of late events and the index of [`Followers`]; both are pure.
//! Watches *read* (a watch that is slow falls behind in the ring, and is refused once what it needs is
//! forgotten; it holds nothing and delays nobody). Waiting calls and sessions are *pushed* to.
//!
//! No wake-up is lost between an answer and the request to follow its claim: the request names the
//! answer's revision, and what happened to the claim since then is looked up in the ring.
//!
//! The feed is listened to before the node starts, so that a restart does not make watches start over:
//! what the log replays fills the ring. Events before the snapshot that the node starts from are gone.

mod batch;
mod feed;
mod followers;
mod ring;

use std::sync::Arc;

use leasehold_raft::{AppliedBatch, Change};
use leasehold_types::{Event, EventKind, RequestId, Revision, WatchRefusal};
use tokio::sync::{mpsc, oneshot, watch};

use batch::SharedBatch;
pub(crate) use feed::Feed;
use feed::News;
use followers::Followers;
pub(crate) use followers::{Follower, Following};
pub(crate) use ring::Chunk;
use ring::Ring;

/// Requests to the hub that may wait for their turn. The hub waits for nobody, so this is short.
const REQUESTS_MAX: usize = 1_024;

/// The two pure halves of the hub's state, and how one follows from the other.
#[derive(Debug)]
struct Told {
    ring: Ring,
    followers: Followers,
}

impl Told {
    fn new(events_max: usize) -> Self {
        Self { ring: Ring::new(Revision(0), events_max), followers: Followers::new() }
    }

    fn on_news(&mut self, News { change, after_gap }: News) {
        if let (true, Change::Batch(batch)) = (after_gap, &*change) {
            self.start_over(before(batch));
        }
        self.on_change(change);
    }

    /// A change that follows the one before it without a gap.
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

/// A revision between which and the batch there is no event.
fn before(batch: &AppliedBatch) -> Revision {
    let first = batch.events.first();
    first.map_or(batch.revision, |event| Revision(event.revision.0.saturating_sub(1)))
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
    /// A hub of everything that `feed` has told of a node and will tell, and the task that it is; see
    /// [`Task::run`].
    pub(crate) fn new(mut feed: Feed, events_max: usize) -> (Self, Task) {
        let mut told = Told::new(events_max);
        // What was replayed is there before the first request asks for it.
        while let Some(news) = feed.try_next() {
            told.on_news(news);
        }
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (progress, reached) = watch::channel(told.ring.reached());
        (Self { requests, reached }, Task { told, feed, inbox, progress })
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

/// The owner of what was told.
pub(crate) struct Task {
    told: Told,
    feed: Feed,
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
                news = self.feed.next() => match news {
                    Some(news) => self.told.on_news(news),
                    None => return,
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
        let mut told = Told::new(100);
        told.on_change(batch(2, vec![ended(1, "a", 1), ended(2, "a", 2)]));
        let (follower, mut following) = Follower::new(8);
        told.follow(request(2), Revision(1), &follower);
        assert_eq!(count(&mut following), 1);
        told.on_change(batch(3, vec![ended(3, "a", 2)]));
        assert_eq!(count(&mut following), 0, "an end is the last a follower hears");
    }

    #[test]
    fn a_claim_followed_before_the_feed_caught_up_is_told_when_it_does() {
        let mut told = Told::new(100);
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
        let mut told = Told::new(100);
        told.start_over(Revision(10));
        let (follower, mut following) = Follower::new(8);
        told.follow(request(1), Revision(9), &follower);
        told.on_change(batch(11, vec![ended(11, "a", 1)]));
        assert!(following.take_missed());
        assert_eq!(count(&mut following), 0);
    }

    #[test]
    fn a_snapshot_restarts_the_ring_and_the_followers() {
        let mut told = Told::new(100);
        let (follower, following) = Follower::new(8);
        told.follow(request(1), Revision(0), &follower);
        told.on_change(snapshot(50));
        assert!(following.take_missed());
        assert!(told.ring.read(Revision(49)).is_err() && told.ring.read(Revision(50)).is_ok());
    }

    /// What a hub knows at its start that listened to these changes, of which so many fit the feed.
    fn replayed(room: usize, changes: Vec<Arc<Change>>) -> Told {
        let (feed, heard) = tokio::sync::broadcast::channel(room);
        for change in changes {
            feed.send(change).expect("somebody listens");
        }
        let (_, task) = Hub::new(Feed::new(heard), 100);
        task.told
    }

    fn snapshot(revision: u64) -> Arc<Change> {
        let (revision, at) = (Revision(revision), LeaseTime(0));
        Arc::new(Change::SnapshotInstalled { log_index: 9, revision, at })
    }

    fn refused(told: &Told, after: u64) -> bool {
        told.ring.read(Revision(after)).is_err()
    }

    #[test]
    fn what_the_whole_log_replayed_can_be_watched_from_the_beginning() {
        let changes = vec![batch(2, vec![ended(2, "a", 1)]), batch(9, vec![])];
        let told = replayed(8, changes);
        assert!((0..=9).all(|after| !refused(&told, after)));
        assert_eq!(told.ring.reached(), Revision(9));
    }

    #[test]
    fn what_was_replayed_after_a_snapshot_can_be_watched_from_the_snapshot() {
        let told =
            replayed(8, vec![snapshot(50), batch(55, vec![]), batch(60, vec![ended(60, "a", 1)])]);
        assert!(refused(&told, 49) && !refused(&told, 50));
    }

    #[test]
    fn after_a_gap_whatever_follows_it_can_be_watched() {
        let changes = |last: Vec<Event>| vec![batch(3, vec![ended(2, "a", 1)]), batch(9, last)];
        let told = replayed(1, changes(vec![ended(6, "a", 1), ended(8, "a", 2)]));
        assert!(refused(&told, 4) && !refused(&told, 5));
        let told = replayed(1, changes(vec![]));
        assert!(refused(&told, 8) && !refused(&told, 9));
    }
}
