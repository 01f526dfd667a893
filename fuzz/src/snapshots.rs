//! Snapshots. A state that can be restored breaks no invariant, is written as the very bytes it was read
//! from, goes on working, and survives an operator's restore. The document around it, which goes to
//! disks and peers, says the same once it is written and read again.

use bytes::Bytes;
use leasehold_core::{Command, LeaseState};
use leasehold_raft::fuzz::{make_snapshot, open_snapshot};
use leasehold_raft::pb;
use leasehold_types::FencingToken;

/// The first byte says whether the others are a state, or a document behind its checksum.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((mode, body)) if mode % 2 == 0 => state(body),
        Some((_, body)) => document(body),
        None => {}
    }
}

fn state(body: &[u8]) {
    let Ok(mut state) = LeaseState::restore(body) else { return };
    assert_eq!(state.snapshot(), body);
    in_a_document(&state);
    reopened(state.clone());
    for _ in 0..3 {
        let at = state.next_deadline().unwrap_or(state.now());
        state.apply(at, &[Command::Pulse]);
        assert_eq!(state.broken_invariants(), Vec::<&str>::new());
    }
}

fn in_a_document(state: &LeaseState) {
    let log_id = Some(pb::LogId { term: 3, index: 9 });
    let head = pb::SnapshotHead {
        last_log_id: log_id,
        membership: Some(pb::Membership::default()),
        membership_log_id: log_id,
    };
    let document = make_snapshot(head, Some(state)).expect("a head");
    let (head, again) = open_snapshot(document).expect("just made");
    assert_eq!(head.last_log_id, log_id);
    assert_eq!(again.expect("founded").snapshot(), state.snapshot());
}

/// After an operator's restore every token is new and nothing is held.
fn reopened(state: LeaseState) {
    let (next, revision) = (state.next_token().get(), state.revision());
    let Some(above) = next.checked_add(7).and_then(FencingToken::new) else { return };
    let Ok(reopened) = state.reopen_after_restore(above) else {
        return assert_eq!(above.get(), u64::MAX, "the end of all tokens");
    };
    assert!(reopened.next_token() > above && reopened.revision() >= revision);
    assert_eq!((reopened.claims_len(), reopened.next_deadline()), (0, None));
    assert_eq!(reopened.broken_invariants(), Vec::<&str>::new());
    let restored = LeaseState::restore(&reopened.snapshot()).expect("as written");
    assert_eq!(restored.snapshot(), reopened.snapshot());
}

fn document(body: &[u8]) {
    let whole = [&crc32c::crc32c(body).to_le_bytes(), body].concat();
    let torn = [&(!crc32c::crc32c(body)).to_le_bytes(), body].concat();
    assert!(open_snapshot(Bytes::from(torn)).is_err());
    let Ok((head, state)) = open_snapshot(Bytes::from(whole)) else { return };
    let again = make_snapshot(head.clone(), state.as_ref()).expect("a head");
    let (same_head, same_state) = open_snapshot(again).expect("just made");
    assert_eq!(same_head, head);
    let bytes = |state: Option<LeaseState>| state.map(|state| state.snapshot());
    assert_eq!(bytes(same_state), bytes(state));
}
