//! A door for `fuzz/`: what a node makes of the bytes of its peers and of its own disk, without a
//! node. Behind the feature `fuzz`; not part of the library.
//!
//! Everything is read into this crate's own words and written back, so that a caller can compare
//! without knowing those words.
#![allow(missing_docs, reason = "for one caller, where each is explained")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use leasehold_core::LeaseState;
use leasehold_disk::{Disk, OwnedRecord, StreamOptions};
use leasehold_types::Fault;
use openraft::LogIdOptionExt;
use openraft_rt_tokio::TokioRuntime as RT;
use prost::Message;

use crate::log::fuzz::{LogRecord, recover as recover_log};
use crate::peers::fuzz::{fault_from_wire, fault_to_wire, gather as gather_chunks};
use crate::snapshot::{self, Document};
use crate::{pb, wire};

pub fn append_request(message: pb::AppendRequest) -> Result<pb::AppendRequest, String> {
    wire::append_from_wire::<RT>(message).map(wire::append_to_wire::<RT>).map_err(told)
}

pub fn append_reply(message: pb::AppendReply) -> Result<pb::AppendReply, String> {
    wire::append_reply_from_wire::<RT>(message).map(wire::append_reply_to_wire::<RT>).map_err(told)
}

pub fn vote_request(message: pb::VoteRequest) -> Result<pb::VoteRequest, String> {
    let read = wire::vote_request_from_wire::<RT>(message).map_err(told)?;
    Ok(wire::vote_request_to_wire::<RT>(&read))
}

pub fn vote_reply(message: pb::VoteReply) -> Result<pb::VoteReply, String> {
    let read = wire::vote_reply_from_wire::<RT>(message).map_err(told)?;
    Ok(wire::vote_reply_to_wire::<RT>(&read))
}

pub fn transfer_request(
    message: pb::TransferLeaderRequest,
) -> Result<pb::TransferLeaderRequest, String> {
    let read = wire::transfer_from_wire::<RT>(message).map_err(told)?;
    Ok(wire::transfer_to_wire::<RT>(&read))
}

pub fn transfer_reply(message: pb::TransferLeaderReply) -> Result<pb::TransferLeaderReply, String> {
    let read = wire::transfer_reply_from_wire::<RT>(message).map_err(told)?;
    Ok(wire::transfer_reply_to_wire::<RT>(read))
}

/// A leader's fault as a follower tells it to its client, and what a leader would send for that.
pub fn forward_fault(message: pb::ForwardFault) -> (Fault, pb::ForwardFault) {
    let fault = fault_from_wire(message);
    (fault.clone(), fault_to_wire(fault))
}

/// The snapshot that these chunks are.
pub fn gather(chunks: Vec<pb::SnapshotChunk>, size_max: u64) -> Result<(pb::Vote, Bytes), String> {
    let chunks = stream::iter(chunks.into_iter().map(Ok)).boxed();
    let gathered = gather_chunks(chunks, size_max).now_or_never().expect("nothing to wait for");
    gathered.map(|(vote, bytes)| (wire::vote_to_wire(&vote), bytes)).map_err(told)
}

/// A record of the log, read and written again.
pub fn log_record(kind: u8, payload: Bytes) -> Result<OwnedRecord, String> {
    LogRecord::decode(kind, payload).map(|record| record.encode()).map_err(told)
}

/// A log that was read back.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveredLog {
    pub vote: Option<pb::Vote>,
    pub committed: Option<pb::LogId>,
    pub purged: Option<pb::LogId>,
    pub next_index_after_purged: u64,
    pub entries: Vec<pb::Entry>,
}

pub fn recover(disk: Arc<dyn Disk>, options: StreamOptions) -> Result<RecoveredLog, String> {
    let memory = recover_log(disk, options).map_err(|error| crate::chain::one_line(&error))?.memory;
    Ok(RecoveredLog {
        vote: memory.vote.as_ref().map(wire::vote_to_wire),
        committed: memory.committed.map(wire::log_id_to_wire),
        purged: memory.purged().map(wire::log_id_to_wire),
        next_index_after_purged: memory.purged().next_index(),
        entries: memory.range(..).cloned().map(wire::entry_to_wire).collect(),
    })
}

/// A snapshot document taken apart: its head, and the state if the cluster was founded.
pub fn open_snapshot(bytes: Bytes) -> Result<(pb::SnapshotHead, Option<LeaseState>), String> {
    let one_line = |error: snapshot::BadSnapshot| crate::chain::one_line(&error);
    let document = Document::open(bytes).map_err(one_line)?;
    let state = document.restore().map_err(one_line)?;
    Ok((snapshot::head_of(&document.meta), state))
}

/// The document of such a snapshot.
pub fn make_snapshot(head: pb::SnapshotHead, state: Option<&LeaseState>) -> Result<Bytes, String> {
    let meta = snapshot::read_head(head.encode_to_vec().into()).ok_or("not a head")?;
    Ok(snapshot::encode(&meta, state.map(LeaseState::freeze).as_ref()))
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
