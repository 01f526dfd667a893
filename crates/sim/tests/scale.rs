//! Round trips and entries of a cluster without faults, exact in virtual time.

use std::time::Duration;

use leasehold_sim::simulation::{Cell, measure};

const ROUND_TRIP: Duration = Duration::from_millis(50);
const SYNC: Duration = Duration::from_micros(100);

fn cell(nodes: u64, clients: u64) -> Cell {
    Cell { nodes, clients, round_trip: ROUND_TRIP, sync: SYNC, round_trips: 100 }
}

#[test]
fn a_grant_takes_one_round_trip_to_the_leader_and_one_to_a_majority() {
    for nodes in [3, 5, 7] {
        let measured = measure(cell(nodes, 1));
        let least = 2 * ROUND_TRIP;
        assert!((least..least + 10 * SYNC).contains(&measured.half), "{nodes}: {measured:?}");
    }
}

#[test]
fn many_clients_share_entries_and_messages() {
    let (one, many) = (measure(cell(3, 1)), measure(cell(3, 64)));
    assert!(many.grants > 30 * one.grants, "{one:?} {many:?}");
    assert!(many.grants > 4 * many.entries, "{many:?}");
    assert!(many.messages * one.grants < one.messages * many.grants / 4, "{one:?} {many:?}");
}

#[test]
fn it_repeats() {
    assert_eq!(measure(cell(3, 16)), measure(cell(3, 16)));
}
