//! What one node makes of another's messages: everything is read into the consensus library's words and
//! written back unchanged, a membership in its one spelling; a snapshot's chunks are put together as
//! naively as can be, or refused. A sealed message is told from everything that is one bit away from it.

use std::fmt::Debug;

use bytes::Bytes;
use leasehold_api::{seal, unseal};
use leasehold_raft::{fuzz, pb};
use leasehold_types::Fault;
use prost::Message;

use crate::input::pieces;
use crate::lease_requests::read;

const SNAPSHOT_BYTES_MAX: u64 = 4_096;
/// Of a message with more bits, so many are flipped, spread over it.
const FLIPS_MAX: usize = 256;

/// The first byte says which message the others are.
pub fn check(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 9 {
        0 => read(body, append),
        // How far a peer has come is for the gatekeeper.
        1 => read(body, |raw| back(pb::AppendReply { reached: 0, ..raw }, fuzz::append_reply)),
        2 => read(body, |raw| back(raw, fuzz::vote_request)),
        3 => read(body, |raw| back(raw, fuzz::vote_reply)),
        4 => read(body, |raw| back(raw, fuzz::transfer_request)),
        5 => read(body, |raw| back(raw, fuzz::transfer_reply)),
        6 => read(body, fault),
        7 => snapshot(body),
        _ => sealed(body),
    }
}

/// As it comes off the wire; and then as its sender would have sealed it.
fn sealed(raw: &[u8]) {
    let naive = raw.split_last_chunk::<4>().and_then(|(message, checksum)| {
        let fits = crc32c::crc32c(message).to_le_bytes() == *checksum;
        fits.then(|| pb::AppendRequest::decode(message).ok()).flatten()
    });
    assert_eq!(unseal(Bytes::copy_from_slice(raw)), naive);
    let Ok(message) = pb::AppendRequest::decode(raw) else { return };
    let sealed = seal(&message);
    assert_eq!(unseal(Bytes::copy_from_slice(&sealed)).as_ref(), Some(&message));
    let bits = sealed.len() * 8;
    for bit in (0..bits).step_by(bits.div_ceil(FLIPS_MAX)) {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unseal::<pb::AppendRequest>(flipped.into()), None, "bit {bit} of {bits}");
    }
}

/// Comes back as it was, or is refused.
fn back<M: Clone + PartialEq + Debug>(raw: M, there_and_back: impl Fn(M) -> Result<M, String>) {
    if let Ok(again) = there_and_back(raw.clone()) {
        assert_eq!(again, raw);
    }
}

fn append(raw: pb::AppendRequest) {
    let whole = raw.vote.is_some() && follows(&raw);
    let Ok(once) = fuzz::append_request(raw.clone()) else {
        let members = raw.entries.iter().any(is_membership);
        return assert!(!whole || members, "refused without a reason: {raw:?}");
    };
    assert!(whole);
    assert_eq!(fuzz::append_request(once.clone()).as_ref(), Ok(&once), "one spelling");
    once.entries.iter().filter_map(membership).for_each(every_voter_is_a_member);
    assert_eq!(without_spelling(once), without_spelling(raw));
}

/// Every entry has the index after the one before it.
fn follows(request: &pb::AppendRequest) -> bool {
    let mut due = request.previous.as_ref().map_or(Some(0), |last| last.index.checked_add(1));
    request.entries.iter().all(|entry| {
        let index = entry.log_id.as_ref().map(|id| id.index);
        let in_line = index.is_some() && index == due;
        due = index.and_then(|index| index.checked_add(1));
        in_line
    })
}

fn membership(entry: &pb::Entry) -> Option<&pb::Membership> {
    match entry.payload.as_ref()? {
        pb::entry::Payload::Membership(members) => Some(members),
        _ => None,
    }
}

fn is_membership(entry: &pb::Entry) -> bool {
    membership(entry).is_some()
}

fn every_voter_is_a_member(members: &pb::Membership) {
    let ids: Vec<u64> = members.members.iter().map(|member| member.node_id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    let voters = members.voter_sets.iter().flat_map(|set| &set.node_ids);
    voters.for_each(|id| assert!(ids.contains(id), "{id} votes and is no member"));
}

/// Without what has several spellings, and without what is for the gatekeeper.
fn without_spelling(mut request: pb::AppendRequest) -> pb::AppendRequest {
    request.known.clear();
    request.others.clear();
    request.reached = 0;
    for entry in request.entries.iter_mut().filter(|entry| is_membership(entry)) {
        entry.payload = Some(pb::entry::Payload::Membership(pb::Membership::default()));
    }
    request
}

/// What a leader says of a fault is told on, and a word nobody knows is not knowing.
fn fault(raw: pb::ForwardFault) {
    let (fault, again) = fuzz::forward_fault(raw.clone());
    let known = ["NO_LEADER", "QUEUE_FULL", "SHUTTING_DOWN"].contains(&raw.reason.as_str());
    match fault {
        Fault::OutcomeUnknown { why } => {
            assert!(!known && why.contains(&raw.reason), "{why}");
        }
        Fault::QueueFull { limit } => assert_eq!((known, limit), (true, raw.limit)),
        Fault::NoLeader { leader_address } => {
            assert!(known && (leader_address.is_none() || leader_address == raw.leader_address));
        }
        other => panic!("{other} is not told on"),
    }
    assert_ne!(again.reason, "SHUTTING_DOWN", "it is not this node that stops");
}

fn snapshot(body: &[u8]) {
    let chunks: Vec<pb::SnapshotChunk> =
        pieces(body).filter_map(|piece| pb::SnapshotChunk::decode(piece).ok()).collect();
    let gathered = fuzz::gather(chunks.clone(), SNAPSHOT_BYTES_MAX).ok();
    assert_eq!(gathered, put_together(&chunks));
}

fn put_together(chunks: &[pb::SnapshotChunk]) -> Option<(pb::Vote, Bytes)> {
    let first = chunks.first()?;
    let mut whole = Vec::new();
    for chunk in chunks {
        if chunk.offset != whole.len() as u64 {
            return None;
        }
        whole.extend_from_slice(&chunk.data);
    }
    let good = whole.len() as u64 == first.size && first.size <= SNAPSHOT_BYTES_MAX;
    good.then_some((first.vote?, whole.into()))
}
