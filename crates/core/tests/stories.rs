//! Scripted stories: what happens, told in one line per answer and event.

mod support;

use leasehold_core::{Acquire, Command, LeaseState, Settings};
use leasehold_types::{Holder, LeaseTime, RequestId};
use support::tell::*;

// Granting, refusing, releasing.

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

// Deadlines and lease time.

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

// Waiting.

#[test]
fn waiters_are_granted_in_order_of_arrival() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (1, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (2, &[wait("cy", 9_000)], &["cy waits at 2 for 10000", "-> cy queued at 2"]),
        (3, &[wait("dan", 9_000)], &["dan waits at 3 for 10000", "-> dan queued at 3"]),
        (4, &[cancel("cy")], &["cancelled a waiter", "-> cy cancelled"]),
        (5, &[renew(&[], &["dan"])], &["dan waits at 2 for 10000"]),
        (6, &[release("lock", 1)], &["released", "-> ann released", "-> bob #2 until 10001"]),
        (7, &[release("lock", 2)], &["released", "-> bob released", "-> dan #3 until 10005"]),
    ]);
}

#[test]
fn a_promotion_does_not_move_the_deadline() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (2_000, &[wait("bob", 60_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (9_000, &[release("lock", 1)], &["released", "-> ann released", "-> bob #2 until 12000"]),
        (9_500, &[acquire("bob")], &["bob held #2 for 2500"]),
        (12_000, &[PULSE], &["pulsed", "-> bob expired"]),
    ]);
}

#[test]
fn a_waiter_that_nobody_renews_drops_out_and_is_granted_nothing() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 60_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (5_000, &[renew(&[1], &[])], &["ann held #1 for 10000"]),
        (10_000, &[release("lock", 1)], &["released", "-> bob expired", "-> ann released"]),
    ]);
}

#[test]
fn every_claim_that_is_due_ends_before_anything_is_handed_over() {
    // The holder is due at 5, the first waiter at 6, and time jumps to 10: the second waiter gets it.
    let short = |who: &str, ms| {
        let Command::Acquire(wish) = wait(who, 60_000) else { unreachable!() };
        Command::Acquire(Acquire { ttl: ttl(ms), ..wish })
    };
    check(&[
        (0, &[short("ann", 5_000)], &["ann held #1 for 5000", "-> ann #1 until 5000"]),
        (0, &[short("bob", 6_000)], &["bob waits at 1 for 6000", "-> bob queued at 1"]),
        (0, &[short("cy", 20_000)], &["cy waits at 2 for 20000", "-> cy queued at 2"]),
        (10_000, &[PULSE], &["pulsed", "-> ann expired", "-> bob expired", "-> cy #2 until 20000"]),
    ]);
}

#[test]
fn what_is_due_together_ends_by_deadline_and_then_by_age() {
    let of = |who: &str, ms| Command::Acquire(Acquire { ttl: ttl(ms), ..wish(who) });
    let queue = |who: &str| wait(who, 60_000);
    check(&[
        (0, &[of("ann@z", 5_000)], &["ann held #1 for 5000", "-> ann #1 until 5000"]),
        (0, &[of("bob@a", 5_000)], &["bob held #2 for 5000", "-> bob #2 until 5000"]),
        (0, &[of("cy@m", 4_000)], &["cy held #3 for 4000", "-> cy #3 until 4000"]),
        (
            0,
            &[queue("dan@a"), queue("eve@m"), queue("fay@z")],
            &[
                "dan waits at 1 for 10000",
                "eve waits at 1 for 10000",
                "fay waits at 1 for 10000",
                "-> dan queued at 1",
                "-> eve queued at 1",
                "-> fay queued at 1",
            ],
        ),
        (
            5_000,
            &[PULSE],
            &[
                "pulsed",
                "-> cy expired",
                "-> ann expired",
                "-> bob expired",
                "-> eve #4 until 10000",
                "-> fay #5 until 10000",
                "-> dan #6 until 10000",
            ],
        ),
    ]);
}

#[test]
fn a_wait_ends_when_that_much_lease_time_has_passed() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (1_000, &[wait("bob", 3_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (3_999, &[renew(&[1], &["bob"])], &["ann held #1 for 10000, bob waits at 1 for 10000"]),
        // A renewal keeps the claim alive; it does not make it wait longer.
        (4_000, &[renew(&[], &["bob"])], &["bob waits at 1 for 10000", "-> bob wait over"]),
        (4_001, &[renew(&[], &["bob"])], &["ENDED wait over"]),
        (4_001, &[wait("bob", 3_000)], &["ENDED wait over"]),
    ]);
}

#[test]
fn a_repeated_acquire_can_lengthen_the_wait_and_nothing_else() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (1_000, &[wait("bob", 3_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (
            2_000,
            &[wait("bob", 3_000), wait("bob", 1), acquire("bob")],
            &["bob waits at 1 for 9000"; 3],
        ),
        (3_000, &[wait("bob", 5_000)], &["bob waits at 1 for 8000"]),
        (5_999, &[PULSE], &["pulsed"]),
        (6_000, &[PULSE], &["pulsed", "-> bob wait over"]),
    ]);
}

#[test]
fn whoever_waited_as_long_as_it_asked_is_told_so_even_where_its_deadline_passed_too() {
    check(&[
        (
            0,
            &[acquire("ann"), renew(&[1], &[])],
            &["ann held #1 for 10000", "NOT_HOLDER #1", "-> ann #1 until 10000"],
        ),
        (0, &[wait("bob", 10_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (0, &[wait("cy", 10_001)], &["cy waits at 2 for 10000", "-> cy queued at 2"]),
        (20_000, &[PULSE], &["pulsed", "-> ann expired", "-> bob wait over", "-> cy expired"]),
    ]);
}

// Request ids.

#[test]
fn one_request_id_is_one_claim_through_whichever_node_it_comes() {
    // The call through one node broke, the same id was granted through another: all see one lease.
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (
            0,
            &[wait("bob", 60_000), wait("bob", 60_000)],
            &["bob waits at 1 for 10000", "bob waits at 1 for 10000", "-> bob queued at 1"],
        ),
        (1_000, &[release("lock", 1)], &["released", "-> ann released", "-> bob #2 until 10000"]),
        (2_000, &[wait("bob", 60_000)], &["bob held #2 for 8000"]),
        (2_000, &[wait("ann", 60_000)], &["ENDED released"]),
    ]);
}

#[test]
fn a_request_id_used_for_something_else_is_refused_by_the_first_field_that_differs() {
    let ann = wish("ann");
    let other = |change: fn(&mut Acquire)| {
        let mut wish = ann.clone();
        change(&mut wish);
        Command::Acquire(wish)
    };
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (
            1_000,
            &[
                acquire("ann@door"),
                other(|wish| wish.holder = Holder::new("bob").expect("a holder")),
                other(|wish| wish.ttl = ttl(10_001)),
                acquire("ann"),
            ],
            &[
                "REQUEST_REUSED resource",
                "REQUEST_REUSED holder",
                "REQUEST_REUSED ttl",
                "ann held #1 for 9000",
            ],
        ),
    ]);
}

#[test]
fn a_clamped_ttl_is_compared_as_it_was_asked_for() {
    let of = |ms| Command::Acquire(Acquire { ttl: ttl(ms), ..wish("ann") });
    check(&[
        (0, &[of(70_000)], &["ann held #1 for 60000", "-> ann #1 until 60000"]),
        (1, &[of(70_000), of(60_000)], &["ann held #1 for 59999", "REQUEST_REUSED ttl"]),
        (2, &[release("lock", 1)], &["released", "-> ann released"]),
        (
            3,
            &[Command::Acquire(Acquire { ttl: ttl(1), ..wish("bob") })],
            &["bob held #2 for 1000", "-> bob #2 until 1003"],
        ),
    ]);
}

#[test]
fn an_acquire_that_its_cancel_overtook_is_refused() {
    check(&[
        (0, &[cancel("ann")], &["cancelled nothing"]),
        (1_000, &[acquire("ann")], &["ENDED cancelled"]),
        (1_000, &[cancel("ann")], &["cancelled nothing"]),
        // The second Cancel did not make the memory longer.
        (59_999, &[acquire("ann")], &["ENDED cancelled"]),
        (60_000, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 70000"]),
    ]);
}

#[test]
fn a_cancel_of_a_claim_granted_meanwhile_releases_it() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (1, &[release("lock", 1)], &["released", "-> ann released", "-> bob #2 until 10000"]),
        (2, &[cancel("bob")], &["cancelled #2", "-> bob cancelled"]),
        (3, &[renew(&[2], &["bob"])], &["NOT_HOLDER #2, ENDED cancelled"]),
    ]);
}

#[test]
fn a_refused_id_is_not_remembered_until_its_client_cancels_it() {
    let refused = "HELD by ann #1 for 1000 and another 9000, 0 waiting";
    let until_release: [Step<'_>; 2] = [
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (1_000, &[acquire("bob")], &[refused]),
    ];
    let release: Step<'_> = (2_000, &[release("lock", 1)], &["released", "-> ann released"]);
    let [first, second] = until_release;
    // A copy of the refused attempt that sat in a stopped node can still be granted,
    let granted = &["bob held #2 for 10000", "-> bob #2 until 12000"][..];
    check(&[first, second, release, (2_000, &[acquire("bob")], granted)]);
    // unless the client, told no while that attempt was open, cancels before it says a definite no.
    let cancel: Step<'_> = (1_500, &[cancel("bob")], &["cancelled nothing"]);
    check(&[first, second, cancel, release, (2_000, &[acquire("bob")], &["ENDED cancelled"])]);
}

#[test]
fn a_lost_push_is_repaired_by_the_next_renewal() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (1, &[release("lock", 1)], &["released", "-> ann released", "-> bob #2 until 10000"]),
        (3_000, &[renew(&[], &["bob"])], &["bob held #2 for 10000"]),
    ]);
}

#[test]
fn ended_ids_are_remembered_for_their_time() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (5_000, &[release("lock", 1)], &["released", "-> ann released"]),
        (64_999, &[acquire("ann")], &["ENDED released"]),
        // Past the memory a late copy is a new request. It never gets the old token.
        (65_000, &[renew(&[], &["ann"])], &["ENDED expired"]),
        (65_000, &[acquire("ann")], &["ann held #2 for 10000", "-> ann #2 until 75000"]),
    ]);
}

#[test]
fn ended_ids_are_remembered_up_to_their_number_and_the_oldest_goes_first() {
    let state = LeaseState::new(Settings { ended_memory_max: 2, ..settings() });
    let state = check_from(
        state,
        &[
            (0, &[cancel("ann"), cancel("bob")], &["cancelled nothing", "cancelled nothing"]),
            (500, &[cancel("cy")], &["cancelled nothing"]),
            (500, &[acquire("cy"), acquire("bob")], &["ENDED cancelled", "ENDED cancelled"]),
            (600, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10600"]),
        ],
    );
    assert_eq!((state.ended_len(), state.ended_memory_reach_ms()), (2, 600));
}

// Bounds.

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

// Revisions.

#[test]
fn two_events_of_one_batch_have_revisions_between_which_a_watch_can_be_cut() {
    let mut state = LeaseState::new(settings());
    let first = state.apply(LeaseTime(0), &[acquire("ann"), wait("bob", 60_000), renew(&[1], &[])]);
    let revisions = |applied: &leasehold_core::Applied| {
        let of_outcomes = applied.outcomes.iter().map(|outcome| outcome.revision.0).collect();
        let of_events = applied.events.iter().map(|event| event.revision.0).collect();
        (of_outcomes, of_events)
    };
    // The renewal is applied first: 1. Acquire and its grant: 2, 3. Joining the queue: 4.
    assert_eq!(revisions(&first), (vec![3, 4, 1], vec![3, 4]));
    let second = state.apply(LeaseTime(1), &[PULSE, release("lock", 1), PULSE]);
    // Pulse: 5. Release, the end and the grant that it causes: 6, 7, 8. Pulse: 9.
    assert_eq!(revisions(&second), (vec![5, 8, 9], vec![7, 8]));
    let third = state.apply(LeaseTime(20_000), &[PULSE]);
    // What time ends comes before the commands.
    assert_eq!(revisions(&third), (vec![11], vec![10]));
    assert_eq!(state.revision().0, 11);
}

// Reading.

#[test]
fn resources_are_listed_in_byte_order_by_prefix_and_page() {
    let mut state = LeaseState::new(settings());
    let names = ["jobs/b", "jobs/a", "job", "jobs/a/1", "jobz", "jobs0", "jobs/é"];
    for (index, name) in names.iter().enumerate() {
        state.apply(LeaseTime(index as u64), &[acquire(&format!("h{index}@{name}"))]);
    }
    state.apply(LeaseTime(10), &[wait("late@jobs/a", 60_000)]);
    let names = |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        let views = state.list(prefix, after, limit);
        views.iter().map(|view| view.lease.resource.to_string()).collect()
    };
    assert_eq!(names("jobs/", None, 9), ["jobs/a", "jobs/a/1", "jobs/b", "jobs/é"]);
    assert_eq!(names("jobs/", None, 2), ["jobs/a", "jobs/a/1"]);
    assert_eq!(names("jobs/", Some("jobs/a/1"), 2), ["jobs/b", "jobs/é"]);
    assert_eq!(names("jobs/", Some("a"), 1), ["jobs/a"]);
    assert_eq!(names("jobs/", Some("k"), 9), [""; 0]);
    assert_eq!(
        names("", None, 9),
        ["job", "jobs/a", "jobs/a/1", "jobs/b", "jobs/é", "jobs0", "jobz"]
    );
    assert_eq!(names("nobody", None, 9), [""; 0]);

    let view = state.get("jobs/a").expect("it is held");
    assert_eq!((view.held_for_ms, view.queue_length, view.lease.valid_for_ms), (9, 1, 9_991));
    assert_eq!(state.get("jobs"), None);
}

#[test]
fn stamps_are_needed_while_a_claim_lives_or_an_id_is_remembered() {
    let mut state = LeaseState::new(settings());
    let mut needed_after = |at, command: Command| {
        state.apply(LeaseTime(at), &[command]);
        state.has_live_claims_or_memory()
    };
    assert!(!needed_after(0, PULSE));
    assert!(needed_after(1, acquire("ann")));
    assert!(needed_after(2, release("lock", 1)));
    assert!(needed_after(60_001, PULSE));
    assert!(!needed_after(60_002, PULSE));
}

// Restore from a backup.

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
    assert!(state.revision() > revision && state.claims_len() == 0);
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

// Determinism.

#[test]
fn a_snapshot_does_not_depend_on_which_slots_a_node_uses() {
    let batches: Vec<Vec<Command>> = (0..200)
        .map(|number: u64| {
            let who = format!("h{number}@r{}", number % 7);
            let token = number.saturating_sub(number % 5).max(1);
            vec![wait(&who, 30_000), release(&format!("r{}", token % 7), token)]
        })
        .collect();
    let mut straight = LeaseState::new(settings());
    let mut restarted = straight.clone();
    for (at, batch) in (0..).step_by(300).map(LeaseTime).zip(&batches) {
        straight.apply(at, batch);
        restarted.apply(at, batch);
        if at.0 % 2_100 == 0 {
            restarted = LeaseState::restore(&restarted.snapshot()).expect("a snapshot");
        }
        assert_eq!(straight.snapshot(), restarted.snapshot(), "at {at}");
    }
    assert!(straight.claims_len() > 7, "somebody waits");
}

#[test]
fn a_stranger_id_is_as_good_as_any() {
    // Nothing is special about a request id of zeros or ones.
    for byte in [0, 0xff] {
        let request = RequestId::from_bytes([byte; 16]);
        let wish = Command::Acquire(Acquire { request, ..wish("ann") });
        check(&[
            (0, &[wish], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
            (0, &[Command::Cancel { request }], &["cancelled #1", "-> ann cancelled"]),
        ]);
    }
}
