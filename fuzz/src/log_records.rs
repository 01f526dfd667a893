//! The records of the log. One by one: what is read is written as the same bytes. As a whole log, read
//! back by a node that starts: what a naive replay gives, or a refusal where that finds a hole; the same
//! again at the next start.

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, RecordRef, RecordStream, StreamOptions};
use leasehold_raft::fuzz::{self, RecoveredLog};
use leasehold_raft::pb;

use crate::input::pieces;

const OPTIONS: StreamOptions = StreamOptions {
    segment_bytes: 40_960,
    step_bytes: 8_192,
    ..StreamOptions::new(DiskId([5; 16]))
};
const RECORDS_MAX: usize = 64;

/// The first byte says whether the others are one record, or many with their lengths in front. A
/// record's first byte is its kind.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((mode, body)) if mode % 2 == 0 => one(body),
        Some((_, body)) => whole_log(body),
        None => {}
    }
}

fn one(body: &[u8]) {
    let Some((kind, payload)) = body.split_first() else { return };
    let Ok(read) = fuzz::log_record(*kind, payload.to_vec().into()) else { return };
    assert_eq!(read.kind, *kind);
    let again = fuzz::log_record(read.kind, read.payload.clone());
    assert_eq!(again.as_ref(), Ok(&read), "one spelling");
    if !is_membership(*kind, payload) {
        assert_eq!(read.payload[..], *payload);
    }
}

/// A membership is a message, and messages have several spellings.
fn is_membership(kind: u8, payload: &[u8]) -> bool {
    kind == 2 && payload.get(16) == Some(&2)
}

fn whole_log(body: &[u8]) {
    let disk = FakeDisk::new(1);
    let records: Vec<(u8, &[u8])> = pieces(body)
        .filter_map(|piece| piece.split_first().map(|(kind, payload)| (*kind, payload)))
        .filter(|(kind, _)| *kind <= RecordStream::KIND_MAX)
        .take(RECORDS_MAX)
        .collect();
    let (mut stream, _, _) = RecordStream::open(disk.mount(), OPTIONS).expect("an empty disk");
    for group in records.chunks(4) {
        let group: Vec<RecordRef<'_>> =
            group.iter().map(|(kind, payload)| RecordRef { kind: *kind, payload }).collect();
        stream.append_group(&group, Vec::new, false).expect("the disk is well");
    }
    drop(stream);
    let read: Option<Vec<Read>> =
        records.iter().map(|(kind, payload)| Read::new(*kind, payload)).collect();
    let expected = read.and_then(|records| replay(&records));
    let found = fuzz::recover(disk.mount(), OPTIONS);
    assert_eq!(found.as_ref().ok().map(Shape::of), expected, "{found:?}");
    assert_eq!(fuzz::recover(disk.mount(), OPTIONS), found, "the same at the next start");
}

/// As much of a record as a replay needs; numbers are read where the table says they are.
enum Read {
    Vote([u8; 17]),
    Entry((u64, u64)),
    TruncatedAfter(Option<(u64, u64)>),
    Purged((u64, u64)),
    Committed(Option<(u64, u64)>),
}

impl Read {
    fn new(kind: u8, payload: &[u8]) -> Option<Self> {
        fuzz::log_record(kind, payload.to_vec().into()).ok()?;
        let id = |at: usize| Some((number(payload, at)?, number(payload, at + 8)?));
        let optional = || if payload[0] == 0 { None } else { id(1) };
        match kind {
            1 => payload.try_into().ok().map(Self::Vote),
            2 => id(0).map(Self::Entry),
            3 => Some(Self::TruncatedAfter(optional())),
            4 => id(0).map(Self::Purged),
            _ => Some(Self::Committed(optional())),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// What can be compared of a log.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    vote: Option<(u64, u64, bool)>,
    committed: Option<(u64, u64)>,
    purged: Option<(u64, u64)>,
    entries: Vec<(u64, u64)>,
}

impl Shape {
    fn of(log: &RecoveredLog) -> Self {
        let id = |id: &pb::LogId| (id.term, id.index);
        Self {
            vote: log.vote.as_ref().map(|vote| (vote.term, vote.node_id, vote.committed)),
            committed: log.committed.as_ref().map(id),
            purged: log.purged.as_ref().map(id),
            entries: log.entries.iter().filter_map(|entry| entry.log_id.as_ref().map(id)).collect(),
        }
    }
}

/// The rules, on a list; `None` where there is a hole.
fn replay(records: &[Read]) -> Option<Shape> {
    let mut log = Shape::default();
    for record in records {
        match record {
            Read::Vote(bytes) => {
                log.vote = Some((number(bytes, 0)?, number(bytes, 8)?, bytes[16] == 1));
            }
            Read::Entry(id) => {
                let follows =
                    log.entries.last().is_none_or(|last| last.1.checked_add(1) == Some(id.1));
                if !follows {
                    return None;
                }
                log.entries.push(*id);
            }
            Read::TruncatedAfter(last) => {
                log.entries.retain(|id| last.is_some_and(|last| id.1 <= last.1));
            }
            Read::Purged(upto) => {
                log.entries.retain(|id| id.1 > upto.1);
                log.purged = log.purged.max(Some(*upto));
            }
            Read::Committed(upto) => log.committed = log.committed.max(*upto),
        }
    }
    let next = log.purged.map_or(Some(0), |purged| purged.1.checked_add(1));
    let first = log.entries.first().map(|id| id.1);
    (first.is_none() || first == next).then_some(log)
}
