//! What is written to disk: five kinds of records. Their numbers and layouts are pinned; append,
//! never renumber.
//!
//! Numbers are little endian. A log id is `term u64, index u64`, an optional one has a byte 0 or 1 in
//! front.
//!
//! | kind | record          | layout                                                        |
//! |------|-----------------|---------------------------------------------------------------|
//! | 1    | vote            | `term u64, node u64, committed u8`                            |
//! | 2    | entry           | `log id, what u8, bytes`; what: 0 blank, 1 batch, 2 members, 3 founding |
//! | 3    | truncated after | optional log id                                               |
//! | 4    | purged          | log id                                                        |
//! | 5    | committed       | optional log id                                               |

use bytes::{Buf, BufMut, Bytes, BytesMut};
use leasehold_disk::OwnedRecord;
use openraft::entry::EntryPayload;
use prost::Message;

use super::memory::log_id;
use crate::pb;
use crate::type_config::{Entry, LogData, LogId, Vote};
use crate::wire;

/// One thing that happened to the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LogRecord {
    /// This vote was given, or won.
    Vote(Vote),
    /// This entry was appended.
    Entry(Entry),
    /// Everything after this was removed.
    TruncatedAfter(Option<LogId>),
    /// Everything up to this is in a snapshot and was forgotten.
    Purged(LogId),
    /// Everything up to this is committed.
    Committed(Option<LogId>),
}

/// A record that this program did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} of a record of kind {kind} is not what was written")]
pub(crate) struct BadRecord {
    /// The record's kind.
    pub(crate) kind: u8,
    /// What is wrong.
    pub(crate) what: &'static str,
}

const VOTE: u8 = 1;
const ENTRY: u8 = 2;
const TRUNCATED_AFTER: u8 = 3;
const PURGED: u8 = 4;
const COMMITTED: u8 = 5;

const BLANK: u8 = 0;
const BATCH: u8 = 1;
const MEMBERSHIP: u8 = 2;
const FOUNDING: u8 = 3;

impl LogRecord {
    /// The record's bytes.
    pub(crate) fn encode(&self) -> OwnedRecord {
        let mut out = BytesMut::new();
        let kind = match self {
            Self::Vote(vote) => {
                out.put_u64_le(vote.leader_id.term);
                out.put_u64_le(vote.leader_id.voted_for);
                out.put_u8(u8::from(vote.committed));
                VOTE
            }
            Self::Entry(entry) => {
                put_entry(&mut out, entry);
                ENTRY
            }
            Self::TruncatedAfter(last) => {
                put_optional(&mut out, *last);
                TRUNCATED_AFTER
            }
            Self::Purged(upto) => {
                put_log_id(&mut out, *upto);
                PURGED
            }
            Self::Committed(upto) => {
                put_optional(&mut out, *upto);
                COMMITTED
            }
        };
        OwnedRecord { kind, payload: out.freeze() }
    }

    /// Reads a record back.
    pub(crate) fn decode(kind: u8, mut bytes: Bytes) -> Result<Self, BadRecord> {
        let read = Self::read(kind, &mut bytes).map_err(|what| BadRecord { kind, what })?;
        if bytes.has_remaining() {
            return Err(BadRecord { kind, what: "the length" });
        }
        Ok(read)
    }

    fn read(kind: u8, bytes: &mut Bytes) -> Result<Self, &'static str> {
        match kind {
            VOTE => {
                let (term, node) = (number(bytes)?, number(bytes)?);
                let committed = flag(bytes)?;
                Ok(Self::Vote(if committed {
                    Vote::new_committed(term, node)
                } else {
                    Vote::new(term, node)
                }))
            }
            ENTRY => Ok(Self::Entry(get_entry(bytes)?)),
            TRUNCATED_AFTER => Ok(Self::TruncatedAfter(get_optional(bytes)?)),
            PURGED => Ok(Self::Purged(get_log_id(bytes)?)),
            COMMITTED => Ok(Self::Committed(get_optional(bytes)?)),
            _ => Err("the kind"),
        }
    }
}

fn put_entry(out: &mut BytesMut, entry: &Entry) {
    let frame = |out: &mut BytesMut, what: u8, len: usize| {
        out.reserve(17 + len);
        put_log_id(out, entry.log_id);
        out.put_u8(what);
    };
    match &entry.payload {
        EntryPayload::Blank => frame(out, BLANK, 0),
        EntryPayload::Normal(data) => {
            let what = match data {
                LogData::Batch(_) => BATCH,
                LogData::Founding(_) => FOUNDING,
            };
            frame(out, what, data.bytes().len());
            out.put_slice(data.bytes());
        }
        EntryPayload::Membership(members) => {
            let message = wire::membership_to_wire(members);
            frame(out, MEMBERSHIP, message.encoded_len());
            out.put_slice(&message.encode_to_vec());
        }
    }
}

fn get_entry(bytes: &mut Bytes) -> Result<Entry, &'static str> {
    let log_id = get_log_id(bytes)?;
    let what = bytes.try_get_u8().map_err(|_| "the length")?;
    let rest = bytes.split_to(bytes.len());
    let payload = match what {
        BLANK if rest.is_empty() => EntryPayload::Blank,
        BATCH => EntryPayload::Normal(LogData::Batch(rest)),
        FOUNDING => EntryPayload::Normal(LogData::Founding(rest)),
        MEMBERSHIP => {
            let message = pb::Membership::decode(rest).map_err(|_| "the membership")?;
            EntryPayload::Membership(
                wire::membership_from_wire(message).map_err(|_| "the membership")?,
            )
        }
        _ => return Err("what the entry holds"),
    };
    Ok(Entry { log_id, payload })
}

fn put_log_id(out: &mut BytesMut, id: LogId) {
    out.put_u64_le(id.leader_id.term);
    out.put_u64_le(id.index);
}

fn get_log_id(bytes: &mut Bytes) -> Result<LogId, &'static str> {
    let (term, index) = (number(bytes)?, number(bytes)?);
    // The log counts on from every index it reads.
    if index == u64::MAX {
        return Err("an index");
    }
    Ok(log_id(term, index))
}

fn put_optional(out: &mut BytesMut, id: Option<LogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        put_log_id(out, id);
    }
}

fn get_optional(bytes: &mut Bytes) -> Result<Option<LogId>, &'static str> {
    if flag(bytes)? { get_log_id(bytes).map(Some) } else { Ok(None) }
}

fn number(bytes: &mut Bytes) -> Result<u64, &'static str> {
    bytes.try_get_u64_le().map_err(|_| "the length")
}

fn flag(bytes: &mut Bytes) -> Result<bool, &'static str> {
    match bytes.try_get_u8() {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        Ok(_) => Err("a flag"),
        Err(_) => Err("the length"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::type_config::{Listed, Membership};
    use leasehold_disk::DiskId;

    fn normal(data: LogData) -> LogRecord {
        LogRecord::Entry(Entry { log_id: log_id(3, 9), payload: EntryPayload::Normal(data) })
    }

    fn examples() -> Vec<LogRecord> {
        let member = |id: u8| Listed {
            client_address: format!("a:{id}"),
            peer_address: format!("b:{id}"),
            disk_id: DiskId([id; 16]),
        };
        let members = BTreeMap::from([(1, member(1)), (2, member(2))]);
        let voters = vec![BTreeSet::from([1, 2]), BTreeSet::from([1])];
        let members = Membership::new(voters, members).expect("every voter is a member");
        vec![
            LogRecord::Vote(Vote::new(7, 2)),
            LogRecord::Vote(Vote::new_committed(8, 1)),
            LogRecord::Entry(Entry { log_id: log_id(3, 8), payload: EntryPayload::Blank }),
            normal(LogData::Batch(Bytes::from_static(b"batch"))),
            normal(LogData::Founding(Bytes::from_static(b"state"))),
            LogRecord::Entry(Entry {
                log_id: log_id(0, 0),
                payload: EntryPayload::Membership(members),
            }),
            LogRecord::TruncatedAfter(None),
            LogRecord::TruncatedAfter(Some(log_id(3, 7))),
            LogRecord::Purged(log_id(2, 5)),
            LogRecord::Committed(Some(log_id(3, 6))),
        ]
    }

    #[test]
    fn every_record_reads_back_as_it_was_written() {
        for record in examples() {
            let OwnedRecord { kind, payload } = record.encode();
            assert_eq!(LogRecord::decode(kind, payload), Ok(record));
        }
    }

    #[test]
    fn a_shortened_or_lengthened_record_is_refused() {
        for record in examples() {
            let OwnedRecord { kind, payload } = record.encode();
            // What a batch holds is the state machine's business, so its end is not checked here.
            let fixed = !matches!(record, LogRecord::Entry(_));
            let cuts = if fixed { payload.len() } else { 16 };
            for len in 0..cuts {
                assert!(
                    LogRecord::decode(kind, payload.slice(..len)).is_err(),
                    "{record:?} cut to {len}"
                );
            }
            if fixed {
                let longer = [payload.as_ref(), b"x"].concat();
                assert!(
                    LogRecord::decode(kind, Bytes::from(longer)).is_err(),
                    "{record:?} and more"
                );
            }
        }
    }

    #[test]
    fn an_index_that_nothing_can_follow_is_refused() {
        let last = log_id(3, u64::MAX);
        let entry = Entry { log_id: last, payload: EntryPayload::Blank };
        for record in [
            LogRecord::Entry(entry),
            LogRecord::TruncatedAfter(Some(last)),
            LogRecord::Purged(last),
            LogRecord::Committed(Some(last)),
        ] {
            let OwnedRecord { kind, payload } = record.encode();
            assert_eq!(LogRecord::decode(kind, payload), Err(BadRecord { kind, what: "an index" }));
        }
    }

    #[test]
    fn every_kind_is_known_or_refused() {
        let known: Vec<u8> = examples().iter().map(|record| record.encode().kind).collect();
        for kind in 0..=u8::MAX {
            let unknown = LogRecord::decode(kind, Bytes::from_static(&[0; 17]));
            assert!(known.contains(&kind) || unknown == Err(BadRecord { kind, what: "the kind" }));
        }
    }

    #[test]
    fn the_layout_on_disk_stays_as_it_was() {
        let golden = |record: LogRecord| {
            let OwnedRecord { kind, payload } = record.encode();
            (kind, payload.to_vec())
        };
        let vote = golden(LogRecord::Vote(Vote::new_committed(0x0102, 3)));
        assert_eq!(vote, (1, vec![2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1]));
        let batch = golden(normal(LogData::Batch(Bytes::from_static(b"z"))));
        assert_eq!(batch, (2, vec![3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, b'z']));
        assert_eq!(golden(LogRecord::TruncatedAfter(None)), (3, vec![0]));
        assert_eq!(golden(LogRecord::Purged(log_id(1, 2))).0, 4);
        assert_eq!(golden(LogRecord::Committed(None)), (5, vec![0]));
    }
}
