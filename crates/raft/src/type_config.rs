//! The consensus library's types, filled in. One leader per term, as in Raft (Ongaro and Ousterhout,
//! 2014), so that the term alone names a leadership.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use leasehold_core::Outcome;
use leasehold_disk::DiskId;
use openraft::RaftTypeConfig;
use openraft::entry::EntryPayload;
use openraft::impls::{InlineBatch, ProgressResponder};
use openraft::vote::leader_id_std;
use openraft_rt::AsyncRuntime;

use crate::Member;

/// The type configuration on the runtime `RT`.
pub(crate) struct Types<RT>(PhantomData<fn() -> RT>);

/// A leadership before it is won.
pub(crate) type LeaderId = leader_id_std::LeaderId<u64, u64>;
/// A leadership.
pub(crate) type Leadership = leader_id_std::CommittedLeaderId<u64>;
/// A place in the log.
pub(crate) type LogId = openraft::LogId<Leadership>;
/// A vote, asked for or won.
pub(crate) type Vote = openraft::Vote<LeaderId>;
/// What an entry holds.
pub(crate) type Payload = EntryPayload<LogData, u64, Listed>;
/// An entry.
pub(crate) type Entry = openraft::Entry<Leadership, Payload>;
/// Who votes.
pub(crate) type Membership = openraft::Membership<u64, Listed>;
/// Who votes, and since which entry.
pub(crate) type StoredMembership = openraft::StoredMembership<Leadership, u64, Listed>;
/// Which log and members a snapshot covers.
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<Leadership, u64, Listed>;

impl<RT: AsyncRuntime> RaftTypeConfig for Types<RT> {
    type D = LogData;
    type R = Outcomes;
    type NodeId = u64;
    type Node = Listed;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = RT;
    type Responder<T>
        = ProgressResponder<Self, T>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type ErrorSource = openraft::AnyError;
}

/// A member as the log lists it: where it is reached, and the disk it was founded with. Its id is the
/// library's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) client_address: String,
    pub(crate) peer_address: String,
    pub(crate) disk_id: DiskId,
}

impl Listed {
    pub(crate) fn new(member: &Member, disk_id: DiskId) -> Self {
        let (client_address, peer_address) =
            (member.client_address.clone(), member.peer_address.clone());
        Self { client_address, peer_address, disk_id }
    }
}

/// What this system puts into the log. Encoded once, by the leader; the same bytes go to the disk,
/// to the peers and into `apply`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum LogData {
    /// An encoded [`leasehold_core::Batch`]: one stamp, many commands.
    Batch(Bytes),
    /// The encoded state a cluster is founded with; only the first one counts. So every node has the
    /// settings that the log says, not those of its own config.
    Founding(Bytes),
}

impl LogData {
    /// The bytes, whatever they mean.
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Batch(bytes) | Self::Founding(bytes) => bytes,
        }
    }
}

impl fmt::Display for LogData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(bytes) => write!(f, "batch of {} bytes", bytes.len()),
            Self::Founding(bytes) => write!(f, "founding state of {} bytes", bytes.len()),
        }
    }
}

impl fmt::Debug for LogData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What applying an entry made of its commands, by position. Empty for entries without commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes(pub(crate) Vec<Outcome>);

// Written by hand: a derive would ask `RT` for what only the marker needs.
impl<RT> Clone for Types<RT> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<RT> Copy for Types<RT> {}
impl<RT> Default for Types<RT> {
    fn default() -> Self {
        Self(PhantomData)
    }
}
impl<RT> fmt::Debug for Types<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}
impl<RT> PartialEq for Types<RT> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<RT> Eq for Types<RT> {}
impl<RT> PartialOrd for Types<RT> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<RT> Ord for Types<RT> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_the_log_shows_its_size_and_not_its_bytes() {
        assert_eq!(LogData::Batch(Bytes::from_static(b"abc")).to_string(), "batch of 3 bytes");
    }
}
