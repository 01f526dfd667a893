//! One request id is one claim, however often and through whom it comes.

use leasehold_core::{Acquire, Command, LeaseState, Settings};
use leasehold_types::{Holder, RequestId};

use super::support::tell::*;

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
fn a_cancel_of_a_claim_granted_meanwhile_releases_it_to_the_next() {
    check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[wait("bob", 9_000)], &["bob waits at 1 for 10000", "-> bob queued at 1"]),
        (1, &[release("lock", 1)], &["released", "-> ann released", "-> bob #2 until 10000"]),
        (1, &[wait("cy", 9_000)], &["cy waits at 1 for 10000", "-> cy queued at 1"]),
        (2, &[cancel("bob")], &["cancelled #2", "-> bob cancelled", "-> cy #3 until 10001"]),
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
    let few = [(0, &[cancel("ann")][..], &["cancelled nothing"][..]), (600, &[PULSE], &["pulsed"])];
    let state = check(&few);
    assert_eq!(state.ended_memory_reach_ms(), state.settings().ended_memory_ms, "below its bound");
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
