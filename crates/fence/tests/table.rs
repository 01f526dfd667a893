//! Every ordering of a mark and a presented (token, sequence), written out.

use leasehold_fence::{Admitted, Floor, Mark, Stale};
use leasehold_types::FencingToken;

fn token(value: u64) -> FencingToken {
    FencingToken::new(value).expect("the table has no token 0")
}

fn mark(token: u64, sequence: u64) -> Mark {
    Mark::from_parts(token, sequence).expect("the table has no damaged mark")
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Accept(u64, u64),
    Repeat,
    StaleToken,
    StaleSequence,
}
use Expected::{Accept, Repeat, StaleSequence, StaleToken};

const MAX: u64 = u64::MAX;

type Pair = (u64, u64);

#[rustfmt::skip]
const TABLE: &[(Pair, Pair, Expected)] = &[
    // The mark,  presented,  what follows.
    // Nothing seen: everything is accepted.
    ((0, 0),      (1, 0),     Accept(1, 0)),
    ((0, 0),      (1, 1),     Accept(1, 1)),
    ((0, 0),      (MAX, MAX), Accept(MAX, MAX)),
    // A smaller token, whatever the sequences.
    ((5, 0),      (4, 0),     StaleToken),
    ((5, 0),      (4, 1),     StaleToken),
    ((5, 3),      (4, 0),     StaleToken),
    ((5, 3),      (4, 2),     StaleToken),
    ((5, 3),      (4, 3),     StaleToken),
    ((5, 3),      (4, MAX),   StaleToken),
    ((MAX, 0),    (MAX - 1, MAX), StaleToken),
    // The same token, the mark without a sequence.
    ((5, 0),      (5, 0),     Accept(5, 0)),
    ((5, 0),      (5, 1),     Accept(5, 1)),
    ((5, 0),      (5, MAX),   Accept(5, MAX)),
    // The same token, the mark with a sequence.
    ((5, 3),      (5, 0),     Accept(5, 3)),
    ((5, 3),      (5, 1),     StaleSequence),
    ((5, 3),      (5, 2),     StaleSequence),
    ((5, 3),      (5, 3),     Repeat),
    ((5, 3),      (5, 4),     Accept(5, 4)),
    ((5, 3),      (5, 9),     Accept(5, 9)),
    ((5, MAX),    (5, MAX - 1), StaleSequence),
    ((5, MAX),    (5, MAX),   Repeat),
    ((5, MAX),    (5, 0),     Accept(5, MAX)),
    // A larger token, whatever the sequences.
    ((5, 0),      (6, 0),     Accept(6, 0)),
    ((5, 0),      (6, 1),     Accept(6, 1)),
    ((5, 3),      (6, 0),     Accept(6, 0)),
    ((5, 3),      (6, 2),     Accept(6, 2)),
    ((5, 3),      (6, 3),     Accept(6, 3)),
    ((5, 3),      (6, 4),     Accept(6, 4)),
    ((5, MAX),    (MAX, 0),   Accept(MAX, 0)),
];

#[test]
fn every_ordering_of_mark_and_write_has_the_verdict_of_the_table() {
    for &((t, s), (presented, sequence), expected) in TABLE {
        let before = mark(t, s);
        let found = match before.admit(token(presented), sequence) {
            Ok(Admitted::Accept(mark)) => {
                let (token, sequence) = mark.to_parts();
                Accept(token, sequence)
            }
            Ok(Admitted::Repeat) => Repeat,
            Err(Stale::Token { presented: named, mark }) => {
                assert_eq!((named, mark), (token(presented), before));
                StaleToken
            }
            Err(Stale::Sequence { presented: named, mark }) => {
                assert_eq!((named, mark), (sequence, before));
                StaleSequence
            }
            Err(Stale::BelowFloor { .. }) => panic!("no floor was asked"),
        };
        assert_eq!(found, expected, "mark {before}, presented ({presented}, {sequence})");
    }
}

#[test]
fn a_read_raises_the_mark_exactly_as_a_write_without_a_sequence_would() {
    for &((t, s), (presented, _), _) in TABLE {
        let before = mark(t, s);
        let written = before.admit(token(presented), 0);
        let read = before.raise(token(presented)).map(Admitted::Accept);
        assert_eq!(read, written, "mark {before}, presented {presented}");
    }
}

#[test]
fn a_floor_refuses_only_what_is_below_it() {
    let floor = Floor::new(10);
    assert_eq!(floor.admit(token(9)), Err(Stale::BelowFloor { presented: token(9), floor }));
    assert_eq!(floor.admit(token(10)), Ok(()));
    assert_eq!(Floor::NONE.admit(token(1)), Ok(()));
    assert_eq!(Floor::new(u64::MAX).admit(token(u64::MAX)), Ok(()));
}

#[test]
fn a_floor_is_never_lowered() {
    assert_eq!(Floor::new(10).raised_to(Floor::new(9)), Floor::new(10));
    assert_eq!(Floor::new(10).raised_to(Floor::NONE), Floor::new(10));
    assert_eq!(Floor::new(10).raised_to(Floor::new(11)), Floor::new(11));
}

#[test]
fn a_sequence_without_a_token_is_no_mark() {
    assert_eq!(Mark::from_parts(0, 0), Some(Mark::NONE));
    assert_eq!(Mark::from_parts(0, 1), None);
}

#[test]
fn a_refusal_says_what_came_and_what_was_seen() {
    let stale = mark(34, 2).admit(token(33), 7).expect_err("33 is below 34");
    let said = "token 33 is stale: (34, 2) is the highest (token, sequence) seen";
    assert_eq!(stale.to_string(), said);
    let below = Floor::new(8).admit(token(7)).expect_err("7 is below 8");
    assert_eq!(below.to_string(), "token 7 is below the floor 8");
}

#[test]
fn what_a_mark_and_a_floor_were_made_of_is_read_back() {
    let read = |mark: Mark| (mark.token(), mark.sequence(), mark.to_parts());
    assert_eq!(read(Mark::new(token(34), 7)), (Some(token(34)), 7, (34, 7)));
    assert_eq!(read(Mark::NONE), (None, 0, (0, 0)));
    assert_eq!([Floor::NONE, Floor::new(8)].map(Floor::get), [0, 8]);
}
