//! When to ask a command to stop, and when to kill it: pure, time is an argument.
//!
//! The cluster may give the resource to somebody else once a lease's bound has passed, so everything
//! the command started must be dead by then. TERM goes out a quarter of the ttl before the bound
//! (at most 10 s), KILL a tenth before (at most 2 s): a killed process needs milliseconds to die,
//! the rest is for a busy machine. A renewal every third of the ttl leaves the client library more
//! than a third of it to find a new leader before anybody is asked to stop.
//!
//! A bound is "so much, counted from that reading of the clocks", never "so much from now": readings
//! of one machine compare between processes, while a message may sit in a pipe for as long as its
//! sender is stopped.
//!
//! Once a stop has begun, it goes on: a renewal that arrives after TERM saves the lease, not the
//! command, and only gives it the whole of its time to clean up.

use std::time::Duration;

use leasehold_client::Moment;
use leasehold_clock::Reading;

/// Longest time that a command is asked to stop ahead of the bound.
const TERM_LEAD_MAX: Duration = Duration::from_secs(10);
/// Longest time that a command is killed ahead of the bound.
const KILL_LEAD_MAX: Duration = Duration::from_secs(2);
/// Between TERM and KILL when the lease is gone already: somebody else may hold it.
const GRACE_LEASE_LOST: Duration = Duration::from_millis(250);
/// Between TERM and KILL when nobody is left to renew.
const GRACE_SUPERVISOR_GONE: Duration = Duration::from_millis(500);
/// Between TERM and KILL for what a command left running behind it.
const GRACE_LEFTOVERS: Duration = Duration::from_secs(1);
/// Longest sleep between two looks at the clocks. Timers do not count time suspended, the clocks
/// looked at do: after a resume the schedule is caught up with within this.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a command is stopped, or why what it left behind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// Renewals went unanswered until the bound was near.
    BoundNear,
    /// The cluster said that the lease has ended.
    LeaseLost,
    /// The process that renews was killed.
    SupervisorGone,
    /// The command has exited; this is about its background children.
    CommandExited,
}

/// What to do to the whole process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Ask it to stop.
    Term,
    /// Kill it.
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Guarding,
    Stopping { cause: Cause, since: Reading },
    Killed { cause: Cause },
}

/// The schedule of one command under one lease.
#[derive(Debug)]
pub(crate) struct Schedule {
    ttl: Duration,
    bound: Moment,
    phase: Phase,
}

impl Schedule {
    /// A schedule for a lease of that ttl.
    pub(crate) fn new(ttl: Duration, bound: Moment) -> Self {
        Self { ttl, bound, phase: Phase::Guarding }
    }

    /// How long before the bound a command is asked to stop.
    pub(crate) fn term_lead(&self) -> Duration {
        (self.ttl / 4).min(TERM_LEAD_MAX)
    }

    /// How long before the bound a command is killed.
    pub(crate) fn kill_lead(&self) -> Duration {
        (self.ttl / 10).min(KILL_LEAD_MAX)
    }

    /// A later bound was proven. An earlier one, told late, changes nothing.
    pub(crate) fn extend(&mut self, bound: Moment, now: &Reading) {
        if bound.remaining(now) > self.bound.remaining(now) {
            self.bound = bound;
        }
    }

    /// Begins to stop the command, unless that has begun.
    pub(crate) fn stop(&mut self, cause: Cause, now: &Reading) -> Option<Act> {
        match self.phase {
            Phase::Guarding => {
                self.phase = Phase::Stopping { cause, since: *now };
                Some(Act::Term)
            }
            Phase::Stopping { .. } | Phase::Killed { .. } => None,
        }
    }

    /// What is due at `now`, if anything.
    pub(crate) fn tick(&mut self, now: &Reading) -> Option<Act> {
        match self.phase {
            Phase::Guarding if self.due_for_term(now).is_zero() => self.stop(Cause::BoundNear, now),
            Phase::Stopping { cause, since } if self.due_for_kill(cause, &since, now).is_zero() => {
                self.phase = Phase::Killed { cause };
                Some(Act::Kill)
            }
            Phase::Guarding | Phase::Stopping { .. } | Phase::Killed { .. } => None,
        }
    }

    /// How long to sleep before the next [`Self::tick`].
    pub(crate) fn next_look(&self, now: &Reading) -> Duration {
        let due = match self.phase {
            Phase::Guarding => self.due_for_term(now),
            Phase::Stopping { cause, since } => self.due_for_kill(cause, &since, now),
            Phase::Killed { .. } => LOOK_EVERY,
        };
        due.min(LOOK_EVERY)
    }

    /// Why the command is or was stopped; `None` while it is guarded.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self.phase {
            Phase::Guarding => None,
            Phase::Stopping { cause, .. } | Phase::Killed { cause } => Some(cause),
        }
    }

    /// Whether KILL was sent.
    pub(crate) fn has_killed(&self) -> bool {
        matches!(self.phase, Phase::Killed { .. })
    }

    fn due_for_term(&self, now: &Reading) -> Duration {
        self.bound.remaining(now).saturating_sub(self.term_lead())
    }

    fn due_for_kill(&self, cause: Cause, since: &Reading, now: &Reading) -> Duration {
        let grace = match cause {
            Cause::BoundNear => self.term_lead().saturating_sub(self.kill_lead()),
            Cause::LeaseLost => GRACE_LEASE_LOST,
            Cause::SupervisorGone => GRACE_SUPERVISOR_GONE,
            Cause::CommandExited => GRACE_LEFTOVERS,
        };
        let by_grace = grace.saturating_sub(now.holder_elapsed_since(since));
        let by_bound = self.bound.remaining(now).saturating_sub(self.kill_lead());
        by_grace.min(by_bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(4);

    fn at(ms: u64) -> Reading {
        let time = Duration::from_millis(ms);
        Reading { monotonic: time, raw: time, boot: time }
    }

    fn bound(from_ms: u64) -> Moment {
        Moment::new(at(from_ms), TTL)
    }

    /// Looks every millisecond, as nobody does, and tells what happened when.
    fn acts(schedule: &mut Schedule, from_ms: u64, to_ms: u64) -> Vec<(u64, Act)> {
        (from_ms..to_ms).filter_map(|ms| schedule.tick(&at(ms)).map(|act| (ms, act))).collect()
    }

    #[test]
    fn without_renewals_everything_is_dead_before_the_bound() {
        let mut schedule = Schedule::new(TTL, bound(0));
        assert_eq!(acts(&mut schedule, 0, 9_000), [(3_000, Act::Term), (3_600, Act::Kill)]);
        assert_eq!(schedule.cause(), Some(Cause::BoundNear));
    }

    #[test]
    fn with_renewals_nothing_happens() {
        let mut schedule = Schedule::new(TTL, bound(0));
        for round in 0..20 {
            let now = round * 1_000;
            schedule.extend(bound(now), &at(now));
            assert_eq!(acts(&mut schedule, now, now + 1_000), []);
        }
    }

    #[test]
    fn a_bound_that_was_told_late_counts_from_its_own_reading() {
        let mut schedule = Schedule::new(TTL, bound(0));
        schedule.extend(bound(500), &at(2_900));
        assert_eq!(acts(&mut schedule, 2_900, 9_000), [(3_500, Act::Term), (4_100, Act::Kill)]);
    }

    #[test]
    fn an_earlier_bound_changes_nothing() {
        let mut schedule = Schedule::new(TTL, bound(1_000));
        schedule.extend(bound(0), &at(1_500));
        assert_eq!(acts(&mut schedule, 1_500, 9_000), [(4_000, Act::Term), (4_600, Act::Kill)]);
    }

    #[test]
    fn a_renewal_after_term_gives_time_to_clean_up_but_saves_no_command() {
        let mut schedule = Schedule::new(TTL, bound(0));
        assert_eq!(acts(&mut schedule, 0, 3_001), [(3_000, Act::Term)]);
        schedule.extend(bound(3_000), &at(3_100));
        assert_eq!(acts(&mut schedule, 3_100, 9_000), [(3_600, Act::Kill)]);
    }

    #[test]
    fn a_lost_lease_is_not_waited_for() {
        let mut schedule = Schedule::new(TTL, bound(0));
        assert_eq!(schedule.stop(Cause::LeaseLost, &at(100)), Some(Act::Term));
        assert_eq!(acts(&mut schedule, 100, 9_000), [(350, Act::Kill)]);
    }

    #[test]
    fn no_grace_reaches_past_the_bound() {
        for cause in [Cause::LeaseLost, Cause::SupervisorGone, Cause::CommandExited] {
            let mut schedule = Schedule::new(TTL, bound(0));
            assert_eq!(schedule.stop(cause, &at(2_999)), Some(Act::Term), "{cause:?}");
            let killed = acts(&mut schedule, 2_999, 9_000);
            assert!(matches!(killed[..], [(ms, Act::Kill)] if ms <= 3_600), "{cause:?} {killed:?}");
        }
    }

    #[test]
    fn whoever_wakes_up_past_the_bound_kills_at_once() {
        let mut schedule = Schedule::new(TTL, bound(0));
        assert_eq!(acts(&mut schedule, 60_000, 60_010), [(60_000, Act::Term), (60_001, Act::Kill)]);
    }

    #[test]
    fn time_suspended_counts() {
        let mut schedule = Schedule::new(TTL, bound(0));
        let resumed = Reading { boot: Duration::from_millis(3_700), ..at(100) };
        assert_eq!(schedule.tick(&resumed), Some(Act::Term));
        assert_eq!(schedule.tick(&resumed), Some(Act::Kill));
    }

    #[test]
    fn a_stop_that_has_begun_keeps_its_cause() {
        let mut schedule = Schedule::new(TTL, bound(0));
        assert_eq!(schedule.stop(Cause::LeaseLost, &at(0)), Some(Act::Term));
        assert_eq!(schedule.stop(Cause::SupervisorGone, &at(1)), None);
        assert_eq!(schedule.cause(), Some(Cause::LeaseLost));
    }

    #[test]
    fn nobody_sleeps_past_what_is_due() {
        let schedule = Schedule::new(TTL, bound(0));
        assert_eq!(schedule.next_look(&at(0)), LOOK_EVERY);
        assert_eq!(schedule.next_look(&at(2_990)), Duration::from_millis(10));
        assert_eq!(schedule.next_look(&at(4_000)), Duration::ZERO);
    }

    #[test]
    fn long_leases_are_not_cut_short_by_much() {
        let hour = Duration::from_secs(3_600);
        let schedule = Schedule::new(hour, Moment::new(at(0), hour));
        assert_eq!(schedule.term_lead(), Duration::from_secs(10));
        assert_eq!(schedule.kill_lead(), Duration::from_secs(2));
    }
}
