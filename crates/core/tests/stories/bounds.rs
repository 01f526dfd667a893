//! Bounds, the ends of counters, and the embargo after a restore.

use leasehold_core::{LeaseState, Settings};

use super::support::tell::*;

#[test]
fn a_retry_is_answered_where_a_new_claim_is_beyond_a_bound() {
    let bounds = Settings { claims_max: 3, waiters_per_resource_max: 1, ..settings() };
    check_from(
        LeaseState::new(bounds),
        &[
            (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
            (0, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
            (0, &[wait("cy", 9_000)], &["TOO_MANY_WAITERS 1"]),
            (0, &[acquire("dan@door")], &["dan held #2 for 10000", "-> dan #2 until 10000"]),
            (1, &[acquire("eve@gate")], &["TOO_MANY_CLAIMS 3"]),
            (1, &[wait("eve", 9_000)], &["TOO_MANY_CLAIMS 3"]),
            (1, &[acquire("eve")], &["HELD by ann #1 for 1 and another 9999, 1 waiting"]),
            (1, &[wait("bob", 9_000)], &["bob waits at 1 for 9999"]),
            (2, &[cancel("eve"), acquire("eve@gate")], &["cancelled nothing", "ENDED cancelled"]),
        ],
    );
}

#[test]
fn a_batch_that_could_exhaust_a_counter_is_refused_whole_and_changes_nothing() {
    let near = LeaseState::new(settings()).reopen_after_restore(token(u64::MAX - 18));
    let state = near.expect("above the backup's");
    let state = check_from(
        state,
        &[
            (
                60_000,
                &[acquire("ann")],
                &[
                    "ann held #18446744073709551598 for 10000",
                    "-> ann #18446744073709551598 until 70000",
                ],
            ),
            (61_000, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        ],
    );
    let before = state.snapshot();
    let many = [acquire("cy@a"), acquire("dan@b"), PULSE, PULSE];
    let state = check_from(state, &[(62_000, &many, &["EXHAUSTED"; 4])]);
    let state = check_from(state, &[(u64::MAX, &[PULSE], &["EXHAUSTED"])]);
    assert_eq!(state.snapshot(), before);
    let renewed = "ann held #18446744073709551598 for 10000";
    check_from(state, &[(62_000, &[renew(&[u64::MAX - 17], &[])], &[renewed])]);
}

#[test]
fn a_restored_backup_grants_nothing_while_leases_granted_after_it_can_live() {
    let backup = check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (1_000, &[wait("bob", 60_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
    ]);
    let revision = backup.revision();
    for too_small in [token(1), token(u64::MAX)] {
        let refused = backup.clone().reopen_after_restore(too_small).expect_err("not above");
        assert_eq!(refused.field, "above");
    }
    let state = backup.reopen_after_restore(token(77)).expect("above the backup's");
    // More than any cluster has done since the backup.
    assert!(state.revision().0 > revision.0 + (1 << 39) && state.claims_len() == 0);
    assert!(state.has_live_claims_or_memory());
    check_from(
        state,
        &[
            // Tokens up to 77 count as issued: their holders are told that they hold no more.
            (
                2_000,
                &[renew(&[1, 50], &["bob"])],
                &["NOT_HOLDER #1, NOT_HOLDER #50, ENDED expired"],
            ),
            (
                2_000,
                &[release("lock", 77), release("lock", 78)],
                &["was not held", "TOKEN_NOT_FOUND #78"],
            ),
            (2_000, &[acquire("cy"), wait("dan", 9_000)], &["EMBARGO 59000", "EMBARGO 59000"]),
            (2_000, &[acquire("ann")], &["ENDED expired"]),
            (60_999, &[acquire("cy")], &["EMBARGO 1"]),
            (61_000, &[acquire("cy")], &["cy held #78 for 10000", "-> cy #78 until 71000"]),
        ],
    );
}
