//! Bytes that lie on disks for years and bytes from strangers.

mod support;

use leasehold_core::{
    Answer, Batch, ClaimAnswer, DecodeError, Document, LeaseState, Outcome, Standing,
    decode_commands, decode_outcomes, encode_commands, encode_outcomes,
};
use leasehold_types::{
    EndReason, HeldBy, Holder, LeaseTime, Refusal, RequestId, Revision, WaitLimit,
};
use proptest::prelude::*;
use proptest::sample::Index;
use support::tell::*;

const ONE_OF_EACH: &str = "0101 ac02 05 \
    01 046c6f636b 03616e6e 616e6e20202020202020202020202020 904e 8827 \
    02 02 01 ffffffffffffffffff01 01 626f6220202020202020202020202020 \
    03 046c6f636b 07 \
    04 616e6e20202020202020202020202020 \
    05";

fn one_of_each() -> Batch {
    let commands = vec![
        wait("ann", 5_000),
        renew(&[1, u64::MAX], &["bob"]),
        release("lock", 7),
        cancel("ann"),
        PULSE,
    ];
    Batch { at: LeaseTime(300), commands }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let bytes = (0..digits.len()).step_by(2);
    bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn a_log_entry_of_format_1_reads_the_same_for_ever() {
    assert_eq!(one_of_each().encode(), hex(ONE_OF_EACH));
    assert_eq!(Batch::decode(&hex(ONE_OF_EACH)), Ok(one_of_each()));
}

#[test]
fn a_snapshot_of_format_2_reads_the_same_for_ever() {
    let mut state = LeaseState::new(settings());
    let [ann, bob, eve] = [acquire("ann"), wait("bob", 30_000), cancel("eve")];
    state.apply(LeaseTime(1_000), &[ann, bob, eve]);
    let golden = "0402 \
        80897a a08d06 e807 e0d403 e0d403 c0843d fa01 8002 \
        e807 00 04 02 00 \
        02 \
        046c6f636b 03616e6e 616e6e20202020202020202020202020 01 904e 904e f855 02 01 e807 \
        046c6f636b 03626f62 626f6220202020202020202020202020 03 904e 904e f855 01 e807 98f201 \
        01 \
        65766520202020202020202020202020 02 e807";
    assert_eq!(state.snapshot(), hex(golden));
    assert_eq!(LeaseState::restore(&hex(golden)).expect("it reads").snapshot(), hex(golden));
}

#[test]
fn every_first_byte_of_a_command_is_a_kind_or_refused() {
    let known: Vec<u8> = one_of_each()
        .commands
        .iter()
        .map(|command| encode_commands(std::slice::from_ref(command))[3])
        .collect();
    assert_eq!(known, [1, 2, 3, 4, 5]);
    for byte in (0..=u8::MAX).filter(|byte| !known.contains(byte)) {
        let refused = decode_commands(&[2, 1, 1, byte]).expect_err("no such kind");
        assert_eq!(refused, DecodeError::BadValue { what: "command", got: byte.to_string() });
    }
}

#[test]
fn a_document_is_not_taken_for_another_and_a_later_format_is_named() {
    let batch = one_of_each().encode();
    let other = |expected, kind, format| DecodeError::OtherDocument { expected, kind, format };
    assert_eq!(decode_commands(&batch), Err(other(Document::Commands, 1, 1)));
    assert_eq!(decode_outcomes(&batch), Err(other(Document::Outcomes, 1, 1)));
    assert_eq!(LeaseState::restore(&batch).err(), Some(other(Document::Snapshot, 1, 1)));
    let refused = Batch::decode(&[1, 2, 0, 0]).expect_err("a later format");
    assert_eq!(
        refused.to_string(),
        "expected a batch (document 1 in format 1), found document 1 in format 2"
    );
}

#[test]
fn what_is_cut_short_or_goes_on_is_refused() {
    let state = check(&[
        (0, &[acquire("ann")], &["ann held #1 for 10000", "-> ann #1 until 10000"]),
        (0, &[cancel("bob")], &["cancelled nothing"]),
    ]);
    let outcomes = every_outcome();
    let (batch, snapshot, outcomes) =
        (one_of_each().encode(), state.snapshot(), encode_outcomes(&outcomes));
    let refused = |bytes: &[u8]| {
        Batch::decode(bytes).is_err()
            && LeaseState::restore(bytes).is_err()
            && decode_outcomes(bytes).is_err()
    };
    for document in [batch, snapshot, outcomes] {
        assert!((0..document.len()).all(|end| refused(&document[..end])));
        assert!(refused(&[&document[..], &[0]].concat()));
    }
}

#[test]
fn a_list_longer_than_its_bytes_is_refused_before_anything_is_reserved() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let lists = [&[2, 1][..], &[2, 1, 1, 2], &[2, 1, 1, 2, 0], &[2, 1, 1, 1]];
    for list in lists {
        let refused = decode_commands(&[list, &huge].concat()).expect_err("too long");
        assert!(matches!(refused, DecodeError::Truncated { .. }), "{refused}");
    }
}

/// One of every answer and refusal.
fn every_outcome() -> Vec<Outcome> {
    let (lock, holder) = (resource_name("lock"), Holder::new("ann").expect("a holder"));
    let claim = |standing| ClaimAnswer {
        resource: lock.clone(),
        holder: holder.clone(),
        request: RequestId::from_bytes([9; 16]),
        ttl: ttl(10_000),
        standing,
        valid_for_ms: 1 << 40,
    };
    let by = HeldBy {
        holder: holder.clone(),
        token: token(7),
        held_for_ms: 1,
        ends_in_ms: 2,
        queue_length: 3,
    };
    let reasons =
        [EndReason::Released, EndReason::Cancelled, EndReason::Expired, EndReason::WaitOver];
    let mut refusals = vec![
        Refusal::Held { resource: lock.clone(), by },
        Refusal::WaitOver,
        Refusal::RequestReused { field: "ttl".into() },
        Refusal::NotHolder { token: token(1) },
        Refusal::TokenNotFound { token: token(u64::MAX) },
        Refusal::WrongResource { token: token(2), asked: lock.clone(), actual: lock.clone() },
        Refusal::TooManyClaims { limit: 3 },
        Refusal::TooManyWaiters { resource: lock.clone(), limit: 4 },
        Refusal::Embargo { remaining_ms: 5 },
        Refusal::Exhausted,
    ];
    refusals.extend(reasons.map(|why| Refusal::Ended { why }));
    let (waiting, held) = (Standing::Waiting { place: 3 }, Standing::Held { token: token(4) });
    let mut items: Vec<_> = refusals.iter().cloned().map(Err).collect();
    items.extend([Ok(claim(waiting)), Ok(claim(held))]);
    let mut answers = vec![
        Answer::Claim(claim(waiting)),
        Answer::Renewed(items),
        Answer::Renewed(Vec::new()),
        Answer::Released { was_held: true },
        Answer::Released { was_held: false },
        Answer::Cancelled { ended: None },
        Answer::Cancelled { ended: Some(None) },
        Answer::Cancelled { ended: Some(Some(token(5))) },
        Answer::Pulsed,
    ];
    answers.extend(refusals.into_iter().map(Answer::Refused));
    let outcome = |answer| Outcome { revision: Revision(u64::MAX), at: LeaseTime(1), answer };
    answers.into_iter().map(outcome).collect()
}

#[test]
fn every_outcome_survives_its_bytes() {
    assert_eq!(decode_outcomes(&encode_outcomes(&every_outcome())), Ok(every_outcome()));
}

/// A state with leases, queues and remembered ids.
fn busy_state() -> LeaseState {
    let mut state = LeaseState::new(settings());
    for number in 0..12 {
        let who = format!("h{number}@r{}", number % 4);
        let commands = [wait(&who, 30_000), cancel(&format!("x{number}"))];
        state.apply(LeaseTime(number * 900), &commands);
    }
    state
}

/// Damage that may well leave something readable.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Swap(Index, Index),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Swap(a, b)),
    ];
    prop::collection::vec(one, 1..4)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let at = |index: &Index| index.index(bytes.len());
        match damage {
            Damage::Set(index, byte) => *index.get_mut(&mut bytes) = *byte,
            Damage::Flip(index, bit) => *index.get_mut(&mut bytes) ^= 1 << bit,
            Damage::Insert(index, byte) => bytes.insert(at(index), *byte),
            Damage::Remove(index) => drop(bytes.remove(at(index))),
            Damage::Swap(a, b) => {
                let (a, b) = (at(a), at(b));
                bytes.swap(a, b);
            }
        }
    }
    bytes
}

/// Reads bytes as everything there is. What is accepted must encode to the same bytes, and a state
/// must be fit for use.
fn read_as_anything(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(batch) = Batch::decode(bytes) {
        prop_assert_eq!(batch.encode(), bytes);
    }
    if let Ok(commands) = decode_commands(bytes) {
        prop_assert_eq!(encode_commands(&commands), bytes);
    }
    if let Ok(outcomes) = decode_outcomes(bytes) {
        prop_assert_eq!(encode_outcomes(&outcomes), bytes);
    }
    if let Ok(mut state) = LeaseState::restore(bytes) {
        prop_assert_eq!(state.snapshot(), bytes);
        let next = state.next_deadline().unwrap_or(state.now());
        for at in [state.now(), next, next.plus_ms(60_000)] {
            state.apply(at, &[wait("new", 9_000), renew(&[1, 2, 3], &["h1"]), release("r0", 1)]);
            prop_assert_eq!(state.broken_invariants(), Vec::<&str>::new());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_are_refused_or_read_as_exactly_themselves(
        (kind, rest) in (1..5_u8, any::<Vec<u8>>()),
    ) {
        read_as_anything(&rest)?;
        read_as_anything(&[&[kind, 1], &rest[..]].concat())?;
    }

    #[test]
    fn damaged_documents_are_refused_or_read_as_exactly_themselves(damage in damage()) {
        let outcomes = encode_outcomes(&every_outcome());
        for document in [one_of_each().encode(), busy_state().snapshot(), outcomes] {
            read_as_anything(&damaged(document, &damage))?;
        }
    }
}

#[test]
fn a_wait_without_end_does_not_survive_its_bytes() {
    let mut bytes = encode_commands(&[acquire("ann")]);
    assert_eq!(bytes.pop(), Some(0), "the wait is the last field");
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    let refused = decode_commands(&bytes).expect_err("more than a day");
    assert!(matches!(refused, DecodeError::BadValue { what: "wait", .. }), "{refused}");
    assert!(u64::from(u32::MAX) > WaitLimit::MAX.as_ms());
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused_by_the_name_of_what_it_breaks() {
    let mut state = LeaseState::new(settings());
    state.apply(
        LeaseTime(1_000),
        &[acquire("ann"), wait("bob", 30_000), acquire("cy@door"), cancel("eve")],
    );
    let good = state.snapshot();
    let breaks = |from: &str, to: &str| {
        let (from, to) = (hex(from), hex(to));
        let at = good.windows(from.len()).position(|window| window == from).expect("it is there");
        let bad = [&good[..at], &to, &good[at + from.len()..]].concat();
        match LeaseState::restore(&bad) {
            Err(DecodeError::BrokenInvariant { name }) => name[..2].to_owned(),
            other => format!("{other:?}"),
        }
    };
    let padding = "20202020202020202020202020";
    // Ann's deadline is now, or a ttl and a millisecond from now.
    assert_eq!(breaks("01 904e 904e f855", "01 904e 904e e807"), "I1");
    assert_eq!(breaks("01 904e 904e f855", "01 904e 904e f955"), "I1");
    // Bob has waited long enough.
    assert_eq!(breaks("01 e807 98f201", "01 e807 e807"), "I1");
    // A token not issued yet; a token issued twice.
    assert_eq!(breaks("02 01 e807", "02 03 e807"), "I2");
    assert_eq!(breaks("02 02 e807", "02 01 e807"), "I2");
    // Cy with bob's id; eve, who ended, with bob's id.
    assert_eq!(
        breaks(&format!("026379 637920 {padding}"), &format!("026379 626f62 {padding}")),
        "I4"
    );
    assert_eq!(breaks(&format!("657665 {padding}"), &format!("626f62 {padding}")), "I4");
    // Cy came before bob; eve ended after now.
    assert_eq!(breaks("04 904e 904e f855", "03 904e 904e f855"), "I5");
    assert_eq!(
        breaks(&format!("657665 {padding} 02 e807"), &format!("657665 {padding} 02 e907")),
        "I5"
    );
    // Cy holds lock too; bob waits for what nobody holds.
    assert_eq!(breaks("04646f6f72", "046c6f636b"), "I6");
    assert_eq!(breaks("046c6f636b 03626f62", "0477616c6c 03626f62"), "I7");
}

#[test]
fn a_token_counter_at_its_end_fails_closed_whatever_the_revision() {
    let fresh = LeaseState::new(settings()).snapshot();
    // Behind the settings: now 0, revision 0, next token 1, no embargo, no claims, no ended ids.
    let settings_end = fresh.len() - 6;
    assert_eq!(fresh[settings_end..], [0, 0, 1, 0, 0, 0]);
    let largest = hex("00 00 ffffffffffffffffff01 00 00 00");
    let snapshot = [&fresh[..settings_end], &largest].concat();
    let state = LeaseState::restore(&snapshot).expect("a state with all tokens issued");
    let state = check_from(state, &[(0, &[acquire("ann"), PULSE], &["EXHAUSTED"; 2])]);
    assert_eq!(state.snapshot(), snapshot);
}
