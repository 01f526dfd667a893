//! Who wants to know what happens to which claim.
//!
//! A follower is a waiting call or a session, at the other end of a bounded queue. Nobody waits for
//! it: what does not fit is lost, and the follower is told that it missed something. It learns the
//! rest from its next renewal, since every push is a hint and nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;
use leasehold_types::{Event, EventKind, RequestId, Revision};
use tokio::sync::mpsc;

/// The hub's end of a follower. Clones are the same follower.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    events: mpsc::Sender<Event>,
    missed: Arc<AtomicBool>,
}

/// The follower's own end.
#[derive(Debug)]
pub(crate) struct Following {
    /// What happens to the claims it follows. After its end a claim is not followed any more.
    pub(crate) events: mpsc::Receiver<Event>,
    missed: Arc<AtomicBool>,
}

impl Following {
    /// Whether, since this was last asked, events may have been missed. Claims followed before may
    /// then not be followed any more.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }
}

impl Follower {
    /// A follower that can be `queue` events behind.
    pub(crate) fn new(queue: usize) -> (Self, Following) {
        let (sender, events) = mpsc::channel(queue);
        let missed = Arc::new(AtomicBool::new(false));
        (Self { events: sender, missed: missed.clone() }, Following { events, missed })
    }

    pub(super) fn tell(&self, event: &Event) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event.clone()) {
            self.miss();
        }
    }

    pub(super) fn miss(&self) {
        self.missed.store(true, Ordering::Relaxed);
    }

    fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

/// Below this many claims nothing is swept.
const SWEEP_MIN: usize = 1_024;

/// The index from claims to followers, each with the revision after which it wants to know.
#[derive(Debug)]
pub(super) struct Followers {
    by_claim: HashMap<RequestId, Vec<(Follower, Revision)>>,
    sweep_at: usize,
}

impl Followers {
    pub(super) fn new() -> Self {
        Self { by_claim: HashMap::new(), sweep_at: SWEEP_MIN }
    }

    /// From now on `follower` is told what happens to the claim after `after`. Asking again changes
    /// nothing but the revision.
    pub(super) fn add(&mut self, request: RequestId, after: Revision, follower: &Follower) {
        let followers = self.by_claim.entry(request).or_default();
        followers
            .retain(|(other, _)| !other.is_gone() && !other.events.same_channel(&follower.events));
        followers.push((follower.clone(), after));
        self.sweep_when_due();
    }

    /// Tells whoever follows the event's claim.
    pub(super) fn tell(&mut self, event: &Event) {
        let Some(followers) = self.by_claim.get(&event.request) else { return };
        for (follower, after) in followers {
            if event.revision > *after {
                follower.tell(event);
            }
        }
        if matches!(event.kind, EventKind::Ended { .. }) {
            self.by_claim.remove(&event.request);
        }
    }

    /// Forgets every claim; every follower learns that it missed something.
    pub(super) fn start_over(&mut self) {
        for (follower, _) in self.by_claim.values().flatten() {
            follower.miss();
        }
        *self = Self::new();
    }

    /// Followers that are gone leave entries behind for claims that live on. They are swept whenever
    /// the index has doubled, so that the work is a constant for each claim added.
    fn sweep_when_due(&mut self) {
        if self.by_claim.len() < self.sweep_at {
            return;
        }
        self.by_claim.retain(|_, followers| {
            followers.retain(|(follower, _)| !follower.is_gone());
            !followers.is_empty()
        });
        self.sweep_at = (self.by_claim.len() * 2).max(SWEEP_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::tests::{ended, request};
    use super::*;

    fn received(following: &mut Following) -> Vec<u64> {
        std::iter::from_fn(|| following.events.try_recv().ok())
            .map(|event| event.revision.0)
            .collect()
    }

    #[test]
    fn a_follower_hears_of_its_own_claims_only_and_of_an_end_once() {
        let (follower, mut following) = Follower::new(8);
        let mut followers = Followers::new();
        followers.add(request(1), Revision(0), &follower);
        followers.tell(&ended(1, "a", 2));
        followers.tell(&ended(2, "a", 1));
        followers.tell(&ended(3, "a", 1));
        assert_eq!(received(&mut following), [2]);
    }

    #[test]
    fn what_the_follower_knew_already_is_not_told() {
        let (follower, mut following) = Follower::new(8);
        let mut followers = Followers::new();
        followers.add(request(1), Revision(5), &follower);
        followers.tell(&ended(5, "a", 1));
        assert_eq!(received(&mut following), Vec::<u64>::new());
    }

    #[test]
    fn asking_twice_does_not_double_the_news() {
        let (follower, mut following) = Follower::new(8);
        let (other, mut others) = Follower::new(8);
        let mut followers = Followers::new();
        followers.add(request(1), Revision(0), &follower);
        followers.add(request(1), Revision(0), &other);
        followers.add(request(1), Revision(0), &follower.clone());
        followers.tell(&ended(1, "a", 1));
        assert_eq!((received(&mut following), received(&mut others)), (vec![1], vec![1]));
    }

    #[test]
    fn a_full_follower_loses_news_and_knows_it_and_delays_nobody() {
        let (slow, mut slow_end) = Follower::new(1);
        let (quick, mut quick_end) = Follower::new(8);
        let mut followers = Followers::new();
        for number in [1, 2] {
            followers.add(request(number), Revision(0), &slow);
            followers.add(request(number), Revision(0), &quick);
        }
        followers.tell(&ended(1, "a", 1));
        assert!(!slow_end.take_missed());
        followers.tell(&ended(2, "a", 2));
        assert!(slow_end.take_missed() && !slow_end.take_missed() && !quick_end.take_missed());
        assert_eq!((received(&mut slow_end), received(&mut quick_end)), (vec![1], vec![1, 2]));
    }

    #[test]
    fn starting_over_forgets_every_claim_and_says_so() {
        let (follower, mut following) = Follower::new(1);
        let mut followers = Followers::new();
        (0..9).for_each(|number| followers.add(request(number), Revision(0), &follower));
        followers.start_over();
        followers.tell(&ended(1, "a", 1));
        assert!(following.take_missed());
        assert_eq!(received(&mut following), Vec::<u64>::new());
    }

    #[test]
    fn followers_that_are_gone_do_not_pile_up() {
        let mut followers = Followers::new();
        let id = |number: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            RequestId::from_bytes(bytes)
        };
        for number in 0..100_000 {
            let (follower, _gone) = Follower::new(1);
            followers.add(id(number), Revision(0), &follower);
            followers.add(id(7), Revision(0), &follower);
        }
        assert!(followers.by_claim.len() <= SWEEP_MIN, "{} entries", followers.by_claim.len());
        assert!(followers.by_claim.values().all(|list| list.len() <= 1));
    }
}
