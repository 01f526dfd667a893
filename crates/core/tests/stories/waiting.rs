//! The queue: order, deadlines and waits of those who want a lease.

use leasehold_core::{Acquire, Command, LeaseState, Settings};

use super::support::tell::*;

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

/// Waits for a minute, with a ttl of so many ms.
fn short(who: &str, ms: u64) -> Command {
    let Command::Acquire(wish) = wait(who, 60_000) else { unreachable!() };
    Command::Acquire(Acquire { ttl: ttl(ms), ..wish })
}

#[test]
fn every_claim_that_is_due_ends_before_anything_is_handed_over() {
    // The holder is due at 5, the first waiter at 6, and time jumps to 10: the second waiter gets it.
    check(&[
        (0, &[short("ann", 5_000)], &["ann held #1 for 5000", "-> ann #1 until 5000"]),
        (0, &[short("bob", 6_000)], &["bob waits at 1 for 6000", "-> bob queued at 1"]),
        (0, &[short("cy", 20_000)], &["cy waits at 2 for 20000", "-> cy queued at 2"]),
        (10_000, &[PULSE], &["pulsed", "-> ann expired", "-> bob expired", "-> cy #2 until 20000"]),
    ]);
}

/// A state whose entries end one claim each.
fn one_by_one() -> LeaseState {
    LeaseState::new(Settings { ends_per_entry: 1, ..settings() })
}

#[test]
fn a_waiter_that_is_due_gets_nothing_before_its_turn_to_end_either() {
    let steps: &[Step<'_>] = &[
        (0, &[short("ann", 5_000)], &["ann held #1 for 5000", "-> ann #1 until 5000"]),
        (0, &[short("bob", 6_000)], &["bob waits at 1 for 6000", "-> bob queued at 1"]),
        (0, &[short("cy", 20_000)], &["cy waits at 2 for 20000", "-> cy queued at 2"]),
        // Due to the millisecond.
        (6_000, &[PULSE], &["pulsed", "-> ann expired", "-> bob expired", "-> cy #2 until 20000"]),
    ];
    check_from(one_by_one(), steps);
}

#[test]
fn whoever_comes_upon_a_claim_whose_turn_to_end_has_not_come_finds_it_ended() {
    let steps: &[Step<'_>] = &[
        (0, &[acquire("ann@a")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[acquire("bob@b")], &["bob held #2 for 10000", "-> bob #2 until 10000"]),
        (0, &[acquire("cy@c")], &["cy held #3 for 10000", "-> cy #3 until 10000"]),
        (10_000, &[PULSE], &["pulsed", "-> ann expired"]),
        (
            10_000,
            &[acquire("dan@c")],
            &["dan held #4 for 10000", "-> bob expired", "-> cy expired", "-> dan #4 until 20000"],
        ),
    ];
    check_from(one_by_one(), steps);
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
