//! Granting, refusing, renewing, releasing, and when a lease ends.

use leasehold_core::LeaseState;
use leasehold_types::LeaseTime;

use super::support::tell::*;

#[test]
fn a_free_resource_is_granted_and_a_taken_one_refused_with_who_holds_it() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (3_000, &[acquire("bob")], &["HELD by ann #1 for 3000 and another 7000, 0 waiting"]),
        (3_000, &[wait("cy", 5_000)], &["cy waits at 1 for 10000", "-> cy queued at 1"]),
        (4_000, &[acquire("bob")], &["HELD by ann #1 for 4000 and another 6000, 1 waiting"]),
    ]);
}

#[test]
fn a_later_grant_has_a_larger_token_whatever_the_resource() {
    check(&[
        (0, &[acquire("ann@a")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[acquire("bob@b")], &["bob held #2 for 10000", "-> bob #2 until 10000"]),
        (0, &[release("a", 1)], &["released", "-> ann released"]),
        (0, &[acquire("cy@a")], &["cy held #3 for 10000", "-> cy #3 until 10000"]),
    ]);
}

#[test]
fn a_token_never_comes_back_though_nothing_is_held_or_remembered() {
    let later = settings().ended_memory_ms + 20_000;
    let state = check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[release("lock", 1)], &["released", "-> ann released"]),
        (0, &[acquire("bob")], &["bob held #2 for 10000", "-> bob #2 until 10000"]),
        (10_000, &[PULSE], &["pulsed", "-> bob expired"]),
        (later, &[PULSE], &["pulsed"]),
    ]);
    assert_eq!((state.claims_len(), state.ended_len()), (0, 0));
    check_from(state, &[(later, &[acquire("cy")], &["cy held #3 for 10000", &granted(3, later)])]);
}

fn granted(number: u64, at: u64) -> String {
    format!("-> cy #{number} until {}", at + 10_000)
}

#[test]
fn a_release_hands_over_at_once_and_the_batch_goes_on_from_there() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (
            1_000,
            &[release("lock", 1), acquire("cy"), release("lock", 2), acquire("cy")],
            &[
                "released",
                "HELD by bob #2 for 0 and another 9000, 0 waiting",
                "released",
                "cy held #3 for 10000",
                "-> ann released",
                "-> bob #2 until 10000",
                "-> bob released",
                "-> cy #3 until 11000",
            ],
        ),
    ]);
}

#[test]
fn a_release_ends_that_very_lease_or_nothing() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (1, &[acquire("bob@door")], &["bob held #2 for 10000", "-> bob #2 until 10001"]),
        (2, &[release("lock", 2)], &["WRONG_RESOURCE of door"]),
        (3, &[release("lock", 3)], &["TOKEN_NOT_FOUND #3"]),
        (4, &[release("lock", u64::MAX)], &["TOKEN_NOT_FOUND #18446744073709551615"]),
        (5, &[release("lock", 1)], &["released", "-> ann released"]),
        (6, &[acquire("cy")], &["cy held #3 for 10000", "-> cy #3 until 10006"]),
        (7, &[release("lock", 1)], &["was not held"]),
        (7, &[release("door", 1)], &["was not held"]),
        (8, &[renew(&[3], &[])], &["cy held #3 for 10000"]),
    ]);
}

#[test]
fn a_lease_ends_at_its_deadline_and_not_a_millisecond_before() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (9_999, &[acquire("bob")], &["HELD by ann #1 for 9999 and another 1, 0 waiting"]),
        (
            10_000,
            &[acquire("cy")],
            &["cy held #2 for 10000", "-> ann expired", "-> cy #2 until 20000"],
        ),
    ]);
}

#[test]
fn a_renewal_counts_its_ttl_from_now_and_never_moves_a_deadline_back() {
    check(&[
        (5_000, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 15000"]),
        (9_000, &[renew(&[1], &["ann"])], &["ann held #1 for 10000, ann held #1 for 10000"]),
        // A leader behind the one before it: lease time stands still.
        (4_000, &[renew(&[1], &[])], &["ann held #1 for 10000"]),
        (18_999, &[PULSE], &["pulsed"]),
        (19_000, &[PULSE], &["pulsed", "-> ann expired"]),
    ]);
}

#[test]
fn renewals_in_batches_of_their_own_move_every_deadline_on() {
    // One state from batch to batch, as a node has it: what restores it finds every deadline anew.
    let mut state = LeaseState::new(settings());
    state.apply(LeaseTime(0), &[acquire("ann@a"), acquire("bob@b"), acquire("cy@c")]);
    state.apply(LeaseTime(4_000), &[renew(&[1], &[])]);
    state.apply(LeaseTime(5_000), &[renew(&[3], &[])]);
    for (holder, deadline) in [("bob", 10_000), ("ann", 14_000), ("cy", 15_000)] {
        assert_eq!(state.next_deadline(), Some(LeaseTime(deadline)));
        assert_eq!(state.apply(LeaseTime(deadline - 1), &[PULSE]).events, []);
        let ended = state.apply(LeaseTime(deadline), &[PULSE]).events;
        assert_eq!(ended.iter().map(|event| event.holder.as_str()).collect::<Vec<_>>(), [holder]);
    }
    assert_eq!(state.next_deadline(), None);
}

#[test]
fn a_stamp_from_the_past_moves_nothing_back() {
    check(&[
        (3_000, &[PULSE], &["pulsed"]),
        (10, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 13000"]),
    ]);
}

#[test]
fn a_slow_batch_does_not_end_a_claim_whose_renewal_sits_in_it() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 60_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (
            12_000,
            &[acquire("cy"), PULSE, renew(&[1], &["bob"])],
            &[
                "HELD by ann #1 for 12000 and another 10000, 1 waiting",
                "pulsed",
                "ann held #1 for 10000, bob waits at 1 for 10000",
            ],
        ),
    ]);
}

#[test]
fn a_bound_counts_from_the_attempt_that_it_answers() {
    // Sent at 0, the answer lost, repeated at 3: seven of the ten seconds are left.
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (3_000, &[acquire("ann")], &["ann held #1 for 7000"]),
        (10_000, &[acquire("ann")], &["ENDED expired", "-> ann expired"]),
    ]);
}

#[test]
fn a_claim_lives_from_its_stamp_so_a_stamp_must_be_younger_than_all_it_covers() {
    // A batch opened at 0 that ann joined at 200 is stamped 200 when it is closed, or later: she counts
    // from 200. With a stamp of 0 she would believe until 10200 what bob is granted at 10000.
    let [opened, closed] = [0, 200].map(|stamp| {
        let mut state = LeaseState::new(settings());
        state.apply(LeaseTime(stamp), &[PULSE, acquire("ann")]);
        state.next_deadline()
    });
    assert_eq!((opened, closed), (Some(LeaseTime(10_000)), Some(LeaseTime(10_200))));
}

#[test]
fn a_dead_holder_ends_after_its_ttl_however_often_the_leader_changes() {
    // An election every 0.9 s: each new leader starts where lease time stood at its first entry, here
    // up to 250 ms behind what the leader before it had counted.
    let mut state = check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 60_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
    ]);
    let (mut leaders, mut counted) = (0, 0);
    while state.next_token() == token(2) {
        let start = state.now().0;
        for elapsed in [0, 250, 500, 750] {
            let bob = renew(&[], &["bob"]);
            state.apply(LeaseTime(start + elapsed), &[bob]);
        }
        leaders += 1;
        counted += 900;
        assert!(leaders <= 14, "ann is dead and still holds");
    }
    assert!(counted <= 10_000 + leaders * 250, "one pulse per change of leader and no more");
}
