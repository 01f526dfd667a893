//! Which waiting claims are to be renewed when. Pure: time is an argument.
//!
//! A claim is renewed a third of its ttl after it was last known to be alive, and together with
//! whatever else is due at about that time. It is given up when nobody who waits for it is left, or
//! when it could not be renewed for so long that somebody else should try.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use leasehold_types::{LeaseTtl, RequestId};
use tokio::time::Instant;

/// Claims due within this time are renewed together.
const TOGETHER: Duration = Duration::from_millis(25);
/// A renewal that failed is not repeated sooner than this.
const RETRY_MIN: Duration = Duration::from_millis(20);

/// One claim that somebody waits for, and whoever does.
#[derive(Debug)]
struct Entry<W> {
    waiters: Vec<W>,
    ttl: Duration,
    /// When the claim was last known to be alive.
    confirmed: Instant,
    /// When it is due; `None` while a renewal is under way.
    due: Option<Instant>,
}

/// The claims that are waited for. `W` is whoever waits.
#[derive(Debug)]
pub(super) struct Schedule<W> {
    entries: HashMap<RequestId, Entry<W>>,
    by_due: BTreeSet<(Instant, RequestId)>,
    patience: Duration,
}

impl<W> Schedule<W> {
    /// A claim that was not renewed for its ttl and at least `patience` is given up.
    pub(super) fn new(patience: Duration) -> Self {
        Self { entries: HashMap::new(), by_due: BTreeSet::new(), patience }
    }

    /// Somebody waits for a claim that has `valid_for` left of its `ttl`.
    pub(super) fn add(
        &mut self,
        now: Instant,
        request: RequestId,
        ttl: LeaseTtl,
        valid_for: Duration,
        waiter: W,
    ) {
        let ttl = ttl.as_duration();
        let spent = ttl.saturating_sub(valid_for);
        let due = now + (ttl / 3).saturating_sub(spent);
        match self.entries.get_mut(&request) {
            Some(entry) => entry.waiters.push(waiter),
            None => {
                let waiters = vec![waiter];
                let entry = Entry { waiters, ttl, confirmed: now, due: Some(due) };
                self.entries.insert(request, entry);
                self.by_due.insert((due, request));
            }
        }
    }

    /// When the next claim is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// At most `limit` claims that are due and that `is_wanted` by somebody. Each is then under way until
    /// [`Self::confirmed`], [`Self::failed`] or [`Self::remove`]. What nobody wants is dropped.
    pub(super) fn take_due(
        &mut self,
        now: Instant,
        limit: usize,
        is_wanted: impl Fn(&W) -> bool,
    ) -> Vec<RequestId> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(&(due, request)) = self.by_due.first() else { break };
            if due > now + TOGETHER {
                break;
            }
            self.by_due.pop_first();
            let Some(entry) = self.entries.get_mut(&request) else { continue };
            entry.due = None;
            entry.waiters.retain(&is_wanted);
            match entry.waiters.is_empty() {
                true => drop(self.entries.remove(&request)),
                false => taken.push(request),
            }
        }
        taken
    }

    /// A renewal found the claim waiting and alive.
    pub(super) fn confirmed(&mut self, now: Instant, request: RequestId) {
        let Some(entry) = self.entries.get_mut(&request) else { return };
        entry.confirmed = now;
        let due = now + entry.ttl / 3;
        self.put_back(request, due);
    }

    /// A renewal had no answer. Whoever waits, when the claim is given up now.
    pub(super) fn failed(&mut self, now: Instant, request: RequestId) -> Vec<W> {
        let Some(entry) = self.entries.get(&request) else { return Vec::new() };
        if now.saturating_duration_since(entry.confirmed) >= entry.ttl.max(self.patience) {
            return self.remove(request);
        }
        let due = now + (entry.ttl / 12).max(RETRY_MIN);
        self.put_back(request, due);
        Vec::new()
    }

    /// Takes a claim out; whoever waited for it.
    pub(super) fn remove(&mut self, request: RequestId) -> Vec<W> {
        let Some(entry) = self.entries.remove(&request) else { return Vec::new() };
        if let Some(due) = entry.due {
            self.by_due.remove(&(due, request));
        }
        entry.waiters
    }

    fn put_back(&mut self, request: RequestId, due: Instant) {
        let Some(entry) = self.entries.get_mut(&request) else { return };
        if let Some(old) = entry.due.replace(due) {
            self.by_due.remove(&(old, request));
        }
        self.by_due.insert((due, request));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(6);

    fn request(number: u8) -> RequestId {
        RequestId::from_bytes([number; 16])
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A schedule with one claim of 3 s, just accepted, that `"ann"` waits for.
    fn with_one() -> (Instant, Schedule<&'static str>) {
        let (now, mut schedule) = (Instant::now(), Schedule::new(PATIENCE));
        let ttl = LeaseTtl::from_ms(3_000).expect("a ttl");
        schedule.add(now, request(1), ttl, ms(3_000), "ann");
        (now, schedule)
    }

    fn take(schedule: &mut Schedule<&'static str>, now: Instant) -> Vec<RequestId> {
        schedule.take_due(now, 100, |_| true)
    }

    #[test]
    fn a_claim_is_renewed_a_third_of_its_ttl_after_it_was_alive() {
        let (now, mut schedule) = with_one();
        assert_eq!(schedule.next_due(), Some(now + ms(1_000)));
        assert_eq!(take(&mut schedule, now + ms(900)), []);
        assert_eq!(take(&mut schedule, now + ms(1_000)), [request(1)]);
        schedule.confirmed(now + ms(1_200), request(1));
        assert_eq!(schedule.next_due(), Some(now + ms(2_200)));
    }

    #[test]
    fn a_claim_taken_over_late_is_renewed_at_once() {
        let (now, mut schedule) = with_one();
        let ttl = LeaseTtl::from_ms(3_000).expect("a ttl");
        schedule.add(now, request(2), ttl, ms(1_500), "bob");
        assert_eq!(take(&mut schedule, now), [request(2)]);
    }

    #[test]
    fn a_claim_is_not_taken_twice_while_its_renewal_is_under_way() {
        let (now, mut schedule) = with_one();
        assert_eq!(take(&mut schedule, now + ms(1_000)).len(), 1);
        assert_eq!(take(&mut schedule, now + ms(9_000)), []);
    }

    #[test]
    fn what_is_due_at_about_the_same_time_is_renewed_together_up_to_the_limit() {
        let (now, mut schedule) = with_one();
        let ttl = LeaseTtl::from_ms(3_000).expect("a ttl");
        for number in 2..=9 {
            let later = now + ms(u64::from(number));
            schedule.add(later, request(number), ttl, ms(3_000), "bob");
        }
        let now = now + ms(1_000);
        assert_eq!(schedule.take_due(now, 4, |_| true).len(), 4);
        assert_eq!(schedule.take_due(now, 100, |_| true).len(), 5);
    }

    #[test]
    fn two_calls_for_one_claim_share_its_renewals_and_its_end() {
        let (now, mut schedule) = with_one();
        let ttl = LeaseTtl::from_ms(3_000).expect("a ttl");
        schedule.add(now + ms(500), request(1), ttl, ms(2_500), "bob");
        assert_eq!(take(&mut schedule, now + ms(1_000)), [request(1)]);
        assert_eq!(schedule.remove(request(1)), ["ann", "bob"]);
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn a_claim_that_nobody_waits_for_any_more_is_not_renewed() {
        let (now, mut schedule) = with_one();
        assert_eq!(schedule.take_due(now + ms(1_000), 100, |_| false), []);
        assert_eq!(schedule.next_due(), None);
        assert!(schedule.entries.is_empty());
    }

    #[test]
    fn a_failed_renewal_is_repeated_soon_and_given_up_after_ttl_and_patience() {
        let (now, mut schedule) = with_one();
        let at = now + ms(1_000);
        take(&mut schedule, at);
        assert_eq!(schedule.failed(at, request(1)), Vec::<&str>::new());
        assert_eq!(schedule.next_due(), Some(at + ms(250)));
        take(&mut schedule, at + ms(250));
        assert_eq!(schedule.failed(now + PATIENCE, request(1)), ["ann"]);
        assert!(schedule.entries.is_empty() && schedule.next_due().is_none());
    }

    #[test]
    fn an_answer_about_a_claim_that_was_removed_meanwhile_changes_nothing() {
        let (now, mut schedule) = with_one();
        take(&mut schedule, now + ms(1_000));
        schedule.remove(request(1));
        schedule.confirmed(now, request(1));
        assert_eq!(schedule.failed(now, request(1)), Vec::<&str>::new());
        assert_eq!(schedule.next_due(), None);
    }
}
