//! Lease time on the leader: a pure function of notes and clock readings.
//!
//! Lease time is a replicated number of milliseconds. A node notes where it stood, and what its own
//! clock said, when it applies the first entry of a leadership; only the node that *is* that
//! leadership stamps, from that note. Between two stamps passes what passed on the leader's clock,
//! counted on the safe side: never more than really passed (beyond the clock's own rate error), so
//! lease time never runs ahead of real time, never back, and stands still while nobody leads.
//!
//! At most one second is added for each turn of the leader's loop; what is above is dropped for good,
//! not carried over. A leader that was frozen for a minute does not end the leases of clients whose
//! renewals wait in its sockets.
//!
//! Deliberately absent: reading a clock. The idea of a time that the replicated state owns is that of
//! leases by Gray and Cheriton (SOSP 1989), with the clock's drift moved to one place.

use std::time::Duration;

use leasehold_clock::Reading;
use leasehold_types::LeaseTime;

use crate::TURN_ADDS_AT_MOST;

/// What was noted when the first entry of a leadership was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The leadership: its term.
    pub(crate) term: u64,
    /// Lease time then.
    pub(crate) at: LeaseTime,
    /// This node's own clock then. Read after the entry was applied.
    pub(crate) clock: Reading,
}

/// The running lease time of one leadership.
#[derive(Clone, Debug)]
pub(crate) struct LeaseClock {
    term: u64,
    /// Nanoseconds of lease time; rounded down to milliseconds only when a stamp is taken.
    now: u128,
    turned: Reading,
}

const NANOS_PER_MS: u128 = 1_000_000;

impl LeaseClock {
    /// A clock that starts where the note says.
    pub(crate) fn from_note(note: Note) -> Self {
        Self { term: note.term, now: nanos(note.at), turned: note.clock }
    }

    /// The leadership this clock stamps for, and no other.
    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// One turn of the leader's loop: adds what passed since the last one, at most a second, and
    /// moves up to the lease time `applied` where that is ahead.
    pub(crate) fn turn(&mut self, clock: Reading, applied: LeaseTime) {
        let passed = clock.leader_elapsed_since(&self.turned).min(TURN_ADDS_AT_MOST);
        self.now = (self.now + passed.as_nanos()).max(nanos(applied));
        // A clock that ran back counts nothing until it is past where it was.
        self.turned.monotonic = self.turned.monotonic.max(clock.monotonic);
        self.turned.raw = self.turned.raw.max(clock.raw);
    }

    /// The stamp as of the last turn.
    pub(crate) fn stamp(&self) -> LeaseTime {
        LeaseTime(u64::try_from(self.now / NANOS_PER_MS).unwrap_or(u64::MAX))
    }

    /// How long until the stamp reaches `deadline`; zero if it has.
    pub(crate) fn until(&self, deadline: LeaseTime) -> Duration {
        let nanos = nanos(deadline).saturating_sub(self.now);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn nanos(at: LeaseTime) -> u128 {
    u128::from(at.0) * NANOS_PER_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_micros(micros: u64) -> Reading {
        let passed = Duration::from_micros(micros);
        Reading { monotonic: passed, raw: passed, boot: passed }
    }

    fn clock_at(at: u64) -> LeaseClock {
        LeaseClock::from_note(Note { term: 7, at: LeaseTime(at), clock: at_micros(0) })
    }

    const NOTHING: LeaseTime = LeaseTime(0);

    #[test]
    fn a_new_leader_goes_on_where_lease_time_stood() {
        let mut clock = clock_at(5_000);
        assert_eq!((clock.term(), clock.stamp()), (7, LeaseTime(5_000)));
        clock.turn(at_micros(20_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(5_020));
    }

    #[test]
    fn fractions_of_a_millisecond_are_kept_from_turn_to_turn() {
        let mut clock = clock_at(0);
        for turn in 1..=1_000 {
            clock.turn(at_micros(turn * 900), NOTHING);
        }
        assert_eq!(clock.stamp(), LeaseTime(900));
    }

    #[test]
    fn a_turn_adds_one_second_at_most_and_the_rest_is_dropped_for_good() {
        let mut clock = clock_at(0);
        clock.turn(at_micros(60_000_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(1_000));
        clock.turn(at_micros(60_010_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(1_010));
    }

    #[test]
    fn the_slower_of_the_two_clocks_counts() {
        let mut clock = clock_at(0);
        let ms = Duration::from_millis;
        clock.turn(Reading { monotonic: ms(108), raw: ms(100), boot: ms(108) }, NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(100));
        clock.turn(Reading { monotonic: ms(200), raw: ms(200), boot: ms(200) }, NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(192));
    }

    #[test]
    fn a_clock_that_runs_back_counts_nothing_twice() {
        let mut clock = clock_at(100);
        clock.turn(at_micros(50_000), NOTHING);
        clock.turn(at_micros(10_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(150));
        clock.turn(at_micros(49_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(150));
        clock.turn(at_micros(60_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(160));
    }

    #[test]
    fn it_moves_up_to_what_is_applied_and_never_down_to_it() {
        let mut clock = clock_at(100);
        clock.turn(at_micros(1_000), LeaseTime(900));
        assert_eq!(clock.stamp(), LeaseTime(900));
        clock.turn(at_micros(2_500), LeaseTime(300));
        assert_eq!(clock.stamp(), LeaseTime(901));
    }

    #[test]
    fn a_deadline_is_reached_when_the_stamp_shows_it_and_not_before() {
        let mut clock = clock_at(10);
        clock.turn(at_micros(999), NOTHING);
        assert_eq!(clock.until(LeaseTime(11)), Duration::from_micros(1));
        assert!(clock.stamp() < LeaseTime(11));
        clock.turn(at_micros(1_000), NOTHING);
        assert_eq!(clock.until(LeaseTime(11)), Duration::ZERO);
        assert_eq!(clock.stamp(), LeaseTime(11));
    }

    #[test]
    fn the_end_of_u64_is_a_standstill() {
        let mut clock = clock_at(u64::MAX);
        clock.turn(at_micros(900_000), NOTHING);
        assert_eq!(clock.stamp(), LeaseTime(u64::MAX));
    }
}
