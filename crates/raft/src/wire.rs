//! Between the consensus library's words and those of `peer.proto`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use leasehold_disk::DiskId;
use openraft::entry::EntryPayload;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft_rt::AsyncRuntime;

use crate::pb;
use crate::type_config::{Entry, Leadership, Listed, LogData, LogId, Membership, Types, Vote};

/// A message that lacks something or contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is missing or contradicts itself")]
pub(crate) struct BadMessage {
    /// The field.
    pub(crate) field: &'static str,
}

/// A field that must be there.
pub(crate) fn present<T>(value: Option<T>, field: &'static str) -> Result<T, BadMessage> {
    value.ok_or(BadMessage { field })
}

pub(crate) fn log_id_to_wire(id: LogId) -> pb::LogId {
    pb::LogId { term: id.leader_id.term, index: id.index }
}

pub(crate) fn log_id_from_wire(id: pb::LogId) -> LogId {
    LogId::new(Leadership::new(id.term), id.index)
}

pub(crate) fn vote_to_wire(vote: &Vote) -> pb::Vote {
    pb::Vote {
        term: vote.leader_id.term,
        node_id: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub(crate) fn vote_from_wire(vote: Option<pb::Vote>) -> Result<Vote, BadMessage> {
    let pb::Vote { term, node_id, committed } = present(vote, "vote")?;
    Ok(if committed { Vote::new_committed(term, node_id) } else { Vote::new(term, node_id) })
}

pub(crate) fn membership_to_wire(members: &Membership) -> pb::Membership {
    let voter_sets = members
        .get_joint_config()
        .iter()
        .map(|voters| pb::VoterSet { node_ids: voters.iter().copied().collect() })
        .collect();
    let members = members
        .nodes()
        .map(|(id, member)| pb::Member {
            node_id: *id,
            client_address: member.client_address.clone(),
            peer_address: member.peer_address.clone(),
            disk_id: Bytes::copy_from_slice(&member.disk_id.0),
        })
        .collect();
    pb::Membership { voter_sets, members }
}

pub(crate) fn membership_from_wire(message: pb::Membership) -> Result<Membership, BadMessage> {
    let voter_sets: Vec<BTreeSet<u64>> =
        message.voter_sets.into_iter().map(|set| set.node_ids.into_iter().collect()).collect();
    let listed = |member: pb::Member| {
        let pb::Member { node_id, client_address, peer_address, disk_id } = member;
        let disk_id = disk_id.as_ref().try_into();
        let disk_id = DiskId(disk_id.map_err(|_| BadMessage { field: "member.disk_id" })?);
        Ok((node_id, Listed { client_address, peer_address, disk_id }))
    };
    let members: BTreeMap<u64, Listed> =
        message.members.into_iter().map(listed).collect::<Result<_, BadMessage>>()?;
    if voter_sets.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(voter_sets, members).map_err(|_| BadMessage { field: "membership" })
}

pub(crate) fn entry_to_wire(entry: Entry) -> pb::Entry {
    use pb::entry::Payload;
    let payload = match entry.payload {
        EntryPayload::Blank => None,
        EntryPayload::Normal(LogData::Batch(bytes)) => Some(Payload::Batch(bytes)),
        EntryPayload::Normal(LogData::Founding(bytes)) => Some(Payload::Founding(bytes)),
        EntryPayload::Membership(members) => {
            Some(Payload::Membership(membership_to_wire(&members)))
        }
    };
    pb::Entry { log_id: Some(log_id_to_wire(entry.log_id)), payload }
}

pub(crate) fn entry_from_wire(entry: pb::Entry) -> Result<Entry, BadMessage> {
    use pb::entry::Payload;
    let log_id = log_id_from_wire(present(entry.log_id, "entry.log_id")?);
    let payload = match entry.payload {
        None => EntryPayload::Blank,
        Some(Payload::Batch(bytes)) => EntryPayload::Normal(LogData::Batch(bytes)),
        Some(Payload::Founding(bytes)) => EntryPayload::Normal(LogData::Founding(bytes)),
        Some(Payload::Membership(members)) => {
            EntryPayload::Membership(membership_from_wire(members)?)
        }
    };
    Ok(Entry { log_id, payload })
}

pub(crate) fn append_to_wire<RT: AsyncRuntime>(
    request: AppendEntriesRequest<Types<RT>>,
) -> pb::AppendRequest {
    pb::AppendRequest {
        vote: Some(vote_to_wire(&request.vote)),
        previous: request.prev_log_id.map(log_id_to_wire),
        entries: request.entries.into_iter().map(entry_to_wire).collect(),
        committed: request.leader_commit.map(log_id_to_wire),
        known: Vec::new(),
        reached: 0,
        others: Vec::new(),
    }
}

pub(crate) fn append_from_wire<RT: AsyncRuntime>(
    request: pb::AppendRequest,
) -> Result<AppendEntriesRequest<Types<RT>>, BadMessage> {
    let prev_log_id = request.previous.map(log_id_from_wire);
    let entries: Vec<Entry> =
        request.entries.into_iter().map(entry_from_wire).collect::<Result<_, _>>()?;
    let first = prev_log_id.map_or(Some(0), |previous| previous.index.checked_add(1));
    let due = |at: u64| first.and_then(|first| first.checked_add(at));
    if !(0..).zip(&entries).all(|(at, entry)| due(at) == Some(entry.log_id.index)) {
        return Err(BadMessage { field: "entries" });
    }
    Ok(AppendEntriesRequest {
        vote: vote_from_wire(request.vote)?,
        prev_log_id,
        entries,
        leader_commit: request.committed.map(log_id_from_wire),
    })
}

pub(crate) fn append_reply_to_wire<RT: AsyncRuntime>(
    reply: StreamAppendResult<Types<RT>>,
) -> pb::AppendReply {
    use pb::append_reply::Outcome;
    let outcome = match reply {
        Ok(matched) => Outcome::Matched(pb::Matched { log_id: matched.map(log_id_to_wire) }),
        Err(StreamAppendError::Conflict(at)) => Outcome::Conflict(log_id_to_wire(at)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(vote_to_wire(&vote)),
    };
    pb::AppendReply { outcome: Some(outcome), reached: 0 }
}

pub(crate) fn append_reply_from_wire<RT: AsyncRuntime>(
    reply: pb::AppendReply,
) -> Result<StreamAppendResult<Types<RT>>, BadMessage> {
    use pb::append_reply::Outcome;
    Ok(match present(reply.outcome, "outcome")? {
        Outcome::Matched(matched) => Ok(matched.log_id.map(log_id_from_wire)),
        Outcome::Conflict(at) => Err(StreamAppendError::Conflict(log_id_from_wire(at))),
        Outcome::HigherVote(vote) => {
            Err(StreamAppendError::HigherVote(vote_from_wire(Some(vote))?))
        }
    })
}

pub(crate) fn vote_request_to_wire<RT: AsyncRuntime>(
    request: &VoteRequest<Types<RT>>,
) -> pb::VoteRequest {
    pb::VoteRequest {
        vote: Some(vote_to_wire(&request.vote)),
        last_log_id: request.last_log_id.map(log_id_to_wire),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request_from_wire<RT: AsyncRuntime>(
    request: pb::VoteRequest,
) -> Result<VoteRequest<Types<RT>>, BadMessage> {
    let vote = vote_from_wire(request.vote)?;
    let mut checked = VoteRequest::new(vote, request.last_log_id.map(log_id_from_wire));
    checked.leadership_transfer = request.leadership_transfer;
    Ok(checked)
}

pub(crate) fn vote_reply_to_wire<RT: AsyncRuntime>(
    reply: &VoteResponse<Types<RT>>,
) -> pb::VoteReply {
    pb::VoteReply {
        vote: Some(vote_to_wire(&reply.vote)),
        granted: reply.vote_granted,
        last_log_id: reply.last_log_id.map(log_id_to_wire),
    }
}

pub(crate) fn vote_reply_from_wire<RT: AsyncRuntime>(
    reply: pb::VoteReply,
) -> Result<VoteResponse<Types<RT>>, BadMessage> {
    let vote = vote_from_wire(reply.vote)?;
    Ok(VoteResponse::new(vote, reply.last_log_id.map(log_id_from_wire), reply.granted))
}

pub(crate) fn transfer_to_wire<RT: AsyncRuntime>(
    request: &TransferLeaderRequest<Types<RT>>,
) -> pb::TransferLeaderRequest {
    pb::TransferLeaderRequest {
        from_leader: Some(vote_to_wire(request.from_leader())),
        to_node_id: *request.to_node_id(),
        last_log_id: request.last_log_id().copied().map(log_id_to_wire),
    }
}

pub(crate) fn transfer_from_wire<RT: AsyncRuntime>(
    request: pb::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<Types<RT>>, BadMessage> {
    let from = vote_from_wire(request.from_leader)?;
    Ok(TransferLeaderRequest::new(
        from,
        request.to_node_id,
        request.last_log_id.map(log_id_from_wire),
    ))
}

pub(crate) fn transfer_reply_to_wire<RT: AsyncRuntime>(
    reply: TransferLeaderResponse<Types<RT>>,
) -> pb::TransferLeaderReply {
    use pb::transfer_leader_reply::Outcome;
    let outcome = match reply {
        Ok(()) => Outcome::Accepted(pb::Accepted {}),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Outcome::VoteChanged(pb::VoteChanged {
                expected: Some(vote_to_wire(&expected)),
                actual: Some(vote_to_wire(&actual)),
            })
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Outcome::LogNotFlushed(pb::LogNotFlushed {
                expected: expected.map(log_id_to_wire),
                actual: actual.map(log_id_to_wire),
            })
        }
    };
    pb::TransferLeaderReply { outcome: Some(outcome) }
}

pub(crate) fn transfer_reply_from_wire<RT: AsyncRuntime>(
    reply: pb::TransferLeaderReply,
) -> Result<TransferLeaderResponse<Types<RT>>, BadMessage> {
    use pb::transfer_leader_reply::Outcome;
    Ok(match present(reply.outcome, "outcome")? {
        Outcome::Accepted(pb::Accepted {}) => Ok(()),
        Outcome::VoteChanged(votes) => Err(TransferLeaderError::VoteChanged {
            expected: vote_from_wire(votes.expected)?,
            actual: vote_from_wire(votes.actual)?,
        }),
        Outcome::LogNotFlushed(ids) => Err(TransferLeaderError::LogNotFlushed {
            expected: ids.expected.map(log_id_from_wire),
            actual: ids.actual.map(log_id_from_wire),
        }),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft_rt_tokio::TokioRuntime;

    use super::*;

    fn request(previous: Option<u64>, indexes: &[u64]) -> pb::AppendRequest {
        let entry = |index: &u64| Entry {
            log_id: LogId::new(Leadership::new(3), *index),
            payload: EntryPayload::Normal(LogData::Batch(Bytes::new())),
        };
        append_to_wire(AppendEntriesRequest::<Types<TokioRuntime>> {
            vote: Vote::new_committed(3, 1),
            prev_log_id: previous.map(|index| LogId::new(Leadership::new(3), index)),
            entries: indexes.iter().map(entry).collect(),
            leader_commit: None,
        })
    }

    #[test]
    fn entries_that_do_not_follow_what_they_should_follow_are_refused() {
        let read =
            |request| append_from_wire::<TokioRuntime>(request).map(|read| read.entries.len());
        assert_eq!(read(request(Some(4), &[5, 6])), Ok(2));
        assert_eq!(read(request(None, &[0, 1])), Ok(2));
        assert_eq!(read(request(Some(4), &[])), Ok(0));
        let hole = BadMessage { field: "entries" };
        assert_eq!(read(request(Some(4), &[7, 8])), Err(hole));
        assert_eq!(read(request(Some(4), &[5, 7])), Err(hole));
        assert_eq!(read(request(Some(u64::MAX), &[u64::MAX])), Err(hole));
        assert_eq!(read(request(Some(u64::MAX - 1), &[u64::MAX, 0])), Err(hole));
    }
}
