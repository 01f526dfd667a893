//! Every duration of a node, each with its reason and its relation to the others.
//!
//! Three are chosen (heartbeat and the two election bounds), the rest follow from them, so that a
//! cluster on slow machines is made slower in one place. None of them is part of a decision: leases
//! end by lease time, and these only say how long to wait before something else is tried.
//!
//! The interval between stamps is not here: the state depends on it, so it is a replicated setting.

use std::time::Duration;

use leasehold_types::BadField;

/// The node's durations. Build it with [`Timing::new`]; single fields may then be changed and
/// [`Timing::check`] tells whether they still fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a leader shows that it lives. At most a third of `election_min`: one lost packet
    /// is not an election.
    pub heartbeat: Duration,
    /// Shortest time a follower waits, after the old leader's time is up, before it stands for
    /// election. Well above the slowest sync of the disk and a round trip.
    pub election_min: Duration,
    /// Longest such time, and the time for which a follower trusts a silent leader. A failover takes
    /// this, plus a random time between the two bounds, plus two round trips.
    pub election_max: Duration,
    /// Longest attempt to connect to a peer: an attempt longer than an election tells nothing.
    pub connect: Duration,
    /// A connection idle for this long is probed, and given up when the probe stays unanswered for
    /// as long again: a peer that vanished without a word is noticed within two elections.
    pub keepalive: Duration,
    /// Longest silence on an append stream while an answer is due. At most `election_max`, so that a
    /// leader which hears nothing stops sending before it could hold up an election.
    pub append_reply: Duration,
    /// Longest time for one chunk of a snapshot to be taken by the peer. A dozen syncs of a bad disk.
    pub snapshot_chunk: Duration,
    /// Longest time for a whole snapshot, the installing of it included.
    pub snapshot_whole: Duration,
    /// How long a leader that lost its majority stays quiet, and then speaks, in turns. Twice
    /// `election_max`: a follower's trust runs out and an election fits in.
    pub quorum_loss_phase: Duration,
    /// How long a request may wait for a leader before it is told that there is none. Three of
    /// `election_max`: an ordinary failover is invisible, and a minority answers soon.
    pub leaderless_patience: Duration,
    /// How long a request may take in all before it is told that the outcome is unknown. Two
    /// failovers with room to spare, at least 2 s.
    pub proposal_deadline: Duration,
    /// How long a read may wait for its read point and for this node to catch up with it.
    pub barrier_deadline: Duration,
    /// Longest turn of the leader's loop. At least four turns fit into the one second that a turn
    /// may add to lease time.
    pub turn: Duration,
    /// How long handing leadership over may take before the node stops anyway.
    pub hand_over: Duration,
}

/// The most elapsed time one turn of the leader's loop adds to lease time. What is above is dropped
/// for good: a leader that was frozen must not end the leases of clients whose renewals wait in its
/// sockets.
pub const TURN_ADDS_AT_MOST: Duration = Duration::from_secs(1);

/// The leader's loop turns at least this often.
pub const TURN_MAX: Duration = Duration::from_millis(250);
const _: () = assert!(TURN_MAX.as_millis() * 4 <= TURN_ADDS_AT_MOST.as_millis());

impl Timing {
    /// All durations from the three that are chosen.
    pub fn new(heartbeat: Duration, election_min: Duration, election_max: Duration) -> Self {
        Self {
            heartbeat,
            election_min,
            election_max,
            connect: election_max,
            keepalive: election_max,
            append_reply: election_max,
            snapshot_chunk: (election_max * 10).max(Duration::from_secs(5)),
            snapshot_whole: (election_max * 100).max(Duration::from_secs(60)),
            quorum_loss_phase: election_max * 2,
            leaderless_patience: election_max * 3,
            proposal_deadline: (election_max * 6).max(Duration::from_secs(2)),
            barrier_deadline: election_max * 3,
            turn: Duration::from_millis(100),
            hand_over: election_max * 3,
        }
    }

    /// The default: 50, 150 and 300 ms. A failover takes half a second. Ten minutes with all processors
    /// at their limit were not one election (docs/performance.md); an election that was not needed
    /// costs half a second, and no lease.
    pub fn quick() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(300))
    }

    /// Where networks or machines stall now and then. 100, 500 and 1000 ms.
    pub fn steady() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(1))
    }

    /// Whether the durations fit together.
    ///
    /// # Errors
    /// [`BadField`] naming the first that does not.
    pub fn check(&self) -> Result<(), BadField> {
        let bounds = [
            ("heartbeat", self.heartbeat, Duration::from_millis(5), self.election_min / 3),
            (
                "election_min",
                self.election_min,
                Duration::from_millis(15),
                self.election_max - ONE_MS.min(self.election_max),
            ),
            ("election_max", self.election_max, Duration::from_millis(16), Duration::from_secs(60)),
            ("append_reply", self.append_reply, self.heartbeat, self.election_max),
            (
                "quorum_loss_phase",
                self.quorum_loss_phase,
                self.election_max * 2,
                Duration::from_secs(600),
            ),
            ("turn", self.turn, ONE_MS, TURN_MAX),
        ];
        for (field, got, least, most) in bounds {
            if got < least || got > most {
                let allowed = format!("{least:?} to {most:?}");
                return Err(BadField::new(field, format!("{got:?}"), allowed).inside("timing"));
            }
        }
        Ok(())
    }
}

const ONE_MS: Duration = Duration::from_millis(1);

impl Default for Timing {
    fn default() -> Self {
        Self::quick()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_made_timings_fit_together() {
        assert_eq!(Timing::quick().check(), Ok(()));
        assert_eq!(Timing::steady().check(), Ok(()));
    }

    #[test]
    fn a_heartbeat_slower_than_a_third_of_an_election_is_refused() {
        let slow = Timing { heartbeat: Duration::from_millis(51), ..Timing::quick() };
        assert_eq!(slow.check().expect_err("too slow").field, "timing.heartbeat");
    }

    #[test]
    fn election_bounds_must_leave_room_for_chance() {
        let ms = Duration::from_millis;
        let narrow = Timing::new(ms(50), ms(300), ms(300));
        assert_eq!(narrow.check().expect_err("no room").field, "timing.election_min");
    }

    #[test]
    fn a_turn_longer_than_a_quarter_of_a_second_is_refused() {
        let slow = Timing { turn: Duration::from_millis(251), ..Timing::quick() };
        assert_eq!(slow.check().expect_err("too slow").field, "timing.turn");
    }
}
