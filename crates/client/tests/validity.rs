//! C1: the holder's trusted interval lies inside the cluster's.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use leasehold_client::{LeaseState, LostReason, Moment, Validity, proven_until};
use leasehold_clock::Reading;
use proptest::prelude::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(ms: u64) -> Reading {
    let at = Duration::from_millis(ms);
    Reading { monotonic: at, raw: at, boot: at }
}

#[test]
fn a_proof_counts_from_before_the_attempt_was_sent() {
    let bound = proven_until(at(1_000), ms(10_000));
    assert_eq!(bound.remaining(&at(1_000)), Duration::from_nanos(9_978_019_980));
    assert_eq!(bound.remaining(&at(4_000)), Duration::from_nanos(6_978_019_980));
    assert!(bound.has_come(&at(11_000)));
}

#[test]
fn nothing_or_a_grain_of_time_proves_nothing() {
    for valid_for in [0, 1, 2] {
        assert!(proven_until(at(0), ms(valid_for)).has_come(&at(0)), "{valid_for} ms");
    }
    assert!(!proven_until(at(0), ms(3)).has_come(&at(0)));
}

#[test]
fn the_longest_valid_for_that_fits_a_message_does_not_overflow() {
    let bound = proven_until(at(0), Duration::MAX);
    assert!(bound.remaining(&at(0)) > ms(u64::from(u32::MAX)));
}

#[test]
fn the_latest_proven_bound_counts_whatever_the_order_of_answers() {
    let ttl = ms(10_000);
    let early = Validity::proven(at(0), ms(10_000), ttl);
    let late = Validity::proven(at(3_000), ms(10_000), ttl);
    let now = at(3_500);
    let mut validity = early;
    assert!(validity.improve(late, &now));
    assert!(!validity.improve(early, &now), "an older answer changes nothing");
    assert_eq!(validity, late);
}

#[test]
fn a_repeated_acquire_proves_only_what_is_left() {
    // Sent at 0, answer lost; repeated at 3 s: 7 of 10 s are left.
    let validity = Validity::proven(at(3_000), ms(7_000), ms(10_000));
    assert!(validity.bound().has_come(&at(10_000)));
    assert!(!validity.bound().has_come(&at(9_900)));
    assert!(validity.renew_at().remaining(&at(3_000)) < ms(400), "and it is renewed early");
}

#[test]
fn a_lease_is_held_then_uncertain_then_lost_as_time_passes() {
    let mut validity = Validity::proven(at(0), ms(9_000), ms(9_000));
    let state = |validity: &Validity, now| validity.state(&at(now));
    assert!(matches!(state(&validity, 0), LeaseState::Held { .. }));
    assert!(matches!(state(&validity, 4_400), LeaseState::Held { .. }));
    assert!(matches!(state(&validity, 4_500), LeaseState::Uncertain { .. }), "overdue");
    let lost = LeaseState::Lost { reason: LostReason::BoundPassed };
    assert_eq!(state(&validity, 9_000), lost);
    validity.doubt();
    assert!(matches!(state(&validity, 0), LeaseState::Uncertain { .. }), "unanswered");
}

#[test]
fn doubt_ends_with_a_later_proof_and_not_before() {
    let ttl = ms(9_000);
    let mut validity = Validity::proven(at(3_000), ttl, ttl);
    validity.doubt();
    validity.improve(Validity::proven(at(2_000), ttl, ttl), &at(4_000));
    assert!(validity.is_doubted());
    validity.improve(Validity::proven(at(3_500), ttl, ttl), &at(4_000));
    assert!(!validity.is_doubted());
}

#[test]
fn a_proof_of_the_same_bound_proves_nothing_further() {
    let proof = Validity::proven(at(0), ms(9_000), ms(9_000));
    let mut validity = proof;
    validity.doubt();
    assert!(!validity.improve(proof, &at(100)));
    assert!(validity.is_doubted());
}

#[test]
fn suspended_time_counts() {
    let bound = proven_until(at(0), ms(30_000));
    let woken = Reading { monotonic: ms(10), raw: ms(10), boot: ms(60_010) };
    assert!(bound.has_come(&woken));
}

/// Clocks of a holder whose machine counts time as drawn: the oscillator within rho, time services
/// slewing the first clock either way by up to 8 %, suspended for some of the time.
fn holder_clock(real_ns: u64, rate_ppm: i64, slew_ppm: i64, suspended_ns: u64) -> Reading {
    let awake = real_ns - suspended_ns.min(real_ns);
    let scaled = |ns: u64, ppm: i64| {
        let parts = u128::try_from(1_000_000 + ppm).unwrap();
        u64::try_from(u128::from(ns) * parts / 1_000_000).unwrap()
    };
    let monotonic = scaled(awake, slew_ppm);
    // What suspension lasted is counted by the same hardware.
    let boot = monotonic + scaled(suspended_ns.min(real_ns), rate_ppm);
    Reading {
        monotonic: Duration::from_nanos(monotonic),
        raw: Duration::from_nanos(scaled(awake, rate_ppm)),
        boot: Duration::from_nanos(boot),
    }
}

/// Lease time in milliseconds when a leader's clock of this rate has run for so long.
fn lease_time(real_ns: u64, rate_ppm: i64) -> u64 {
    let parts = u128::try_from(1_000_000 + rate_ppm).unwrap();
    u64::try_from(u128::from(real_ns) * parts / 1_000_000 / 1_000_000).unwrap()
}

/// The last moment after `sent_ns` at which the holder still trusts, found by halving.
fn trusted_for_ns(sent_ns: u64, valid_for_ms: u64, holder_ppm: i64) -> u64 {
    let clock = |ns| holder_clock(ns, holder_ppm, holder_ppm, 0);
    let bound = proven_until(clock(sent_ns), ms(valid_for_ms));
    let (mut trusted, mut over) = (0, 2_000_000 * valid_for_ms + 2);
    while over - trusted > 1 {
        let middle = trusted + (over - trusted) / 2;
        match bound.has_come(&clock(sent_ns + middle)) {
            true => over = middle,
            false => trusted = middle,
        }
    }
    trusted
}

#[test]
fn with_both_clocks_at_the_edge_of_what_is_allowed_a_holder_stops_before_its_lease_ends() {
    let rates = [-1_000, 0, 1_000];
    for valid_for_ms in [3, 10, 1_000, 3_003, 60_000, 86_400_000] {
        for (holder_ppm, leader_ppm) in rates.iter().flat_map(|a| rates.map(|b| (*a, b))) {
            for sent_ns in [0, 999_999, 123_456_789, 86_400_000_000_001] {
                // The answer came at once, and the holder looks as late as it can.
                let deadline = lease_time(sent_ns, leader_ppm) + valid_for_ms;
                let last = sent_ns + trusted_for_ns(sent_ns, valid_for_ms, holder_ppm);
                let then = lease_time(last, leader_ppm);
                let clocks = format!("{valid_for_ms} ms, {holder_ppm} and {leader_ppm} ppm");
                assert!(then < deadline, "{clocks}: trusted at {then}, over at {deadline}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    /// Whatever the delays, rates, slewing and suspensions: while the holder trusts, the cluster has
    /// not ended the claim.
    #[test]
    fn the_holders_trusted_interval_lies_inside_the_clusters(
        sent_ns in 0_u64..5_000_000_000,
        on_the_way_ns in 0_u64..3_000_000_000,
        left_ms in 0_u64..100_000,
        look_permille in 0_u64..1_100,
        holder_ppm in -1_000_i64..=1_000,
        leader_ppm in -1_000_i64..=1_000,
        slew_ppm in -80_000_i64..=80_000,
        suspended_permille in 0_u64..1_000,
    ) {
        let applied_ns = sent_ns + on_the_way_ns;
        let applied = lease_time(applied_ns, leader_ppm);
        let deadline = applied + left_ms;
        let valid_for_ms = deadline - applied;
        let looked_ns = applied_ns + valid_for_ms * 1_000 * look_permille;
        // Slept at some time after the request left.
        let suspended_ns = (looked_ns - sent_ns) / 1_000 * suspended_permille;
        let sent = holder_clock(sent_ns, holder_ppm, slew_ppm, 0);
        let looked = {
            let now = holder_clock(looked_ns - sent_ns, holder_ppm, slew_ppm, suspended_ns);
            Reading {
                monotonic: sent.monotonic + now.monotonic,
                raw: sent.raw + now.raw,
                boot: sent.boot + now.boot,
            }
        };
        let trusts = !proven_until(sent, ms(valid_for_ms)).has_come(&looked);
        let live = lease_time(looked_ns, leader_ppm) < deadline;
        prop_assert!(!trusts || live);
    }

    /// The margin is no more than it has to be: an answer that came at once is trusted for all but
    /// 0.2 % and a grain.
    #[test]
    fn a_proof_is_not_given_up_early(valid_for_ms in 10_u64..1_000_000) {
        let almost = valid_for_ms - valid_for_ms / 500 - 3;
        prop_assert!(!proven_until(at(0), ms(valid_for_ms)).has_come(&at(almost)));
    }

    #[test]
    fn a_moment_comes_once_and_stays(after in 0_u64..10_000, now in 0_u64..20_000) {
        let moment = Moment::new(at(0), ms(after));
        prop_assert_eq!(moment.has_come(&at(now)), now >= after);
    }
}
