//! Snapshots: the state as a whole, on disk and on its way to a peer.
//!
//! One document serves both. It says which log it covers and who the members were, and carries its
//! own checksum, because on its way to a peer nothing else guards it from end to end:
//!
//! ```text
//! 0   CRC-32C of everything behind it   u32
//! 4   format                            u8    (1)
//! 5   founded                           u8    (0: the cluster has no state yet, the document ends with its head)
//! 6   length of the head                u32
//! 10  head: which log, which members    (`SnapshotHead` of peer.proto)
//! ..  the encoded state, to the end
//! ```
//!
//! There is one snapshot file, replaced atomically, so there is never an older one to clean up. A
//! restored state is checked against the invariants before anybody sees it, in release builds too.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use leasehold_core::{DecodeError, FrozenState, LeaseState};
use leasehold_disk::{ADVICE, Disk, DiskFault, ReadError, read_checked, replace_atomically};
use prost::Message;

use crate::type_config::{LogId, SnapshotMeta, StoredMembership};
use crate::{pb, wire};

/// Name of the one snapshot file.
const FILE: &str = "snapshot";

const FORMAT: u8 = 1;

/// Why a document is not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSnapshot {
    /// Bytes changed since it was written.
    #[error("the snapshot's checksum is {found:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// As written.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// It was written by another version of this program.
    #[error("the snapshot has format {found}, this program reads {FORMAT}")]
    Format {
        /// Its format.
        found: u8,
    },
    /// It ends too early, or its head is not one.
    #[error("the snapshot's head is not what was written")]
    Head,
    /// The state in it.
    #[error("the state in the snapshot cannot be restored")]
    State(#[from] DecodeError),
}

/// A snapshot taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Which log it covers.
    pub(crate) meta: SnapshotMeta,
    /// The encoded state; `None` before the cluster is founded.
    state: Option<Bytes>,
}

impl Document {
    /// Checks a document from end to end and takes it apart.
    pub(crate) fn open(mut bytes: Bytes) -> Result<Self, BadSnapshot> {
        let found = bytes.try_get_u32_le().map_err(|_| BadSnapshot::Head)?;
        let computed = crc32c::crc32c(&bytes);
        if found != computed {
            return Err(BadSnapshot::Checksum { found, computed });
        }
        let format = bytes.try_get_u8().map_err(|_| BadSnapshot::Head)?;
        if format != FORMAT {
            return Err(BadSnapshot::Format { found: format });
        }
        let founded = bytes.try_get_u8().map_err(|_| BadSnapshot::Head)? != 0;
        let head_len = bytes.try_get_u32_le().map_err(|_| BadSnapshot::Head)? as usize;
        if head_len > bytes.len() {
            return Err(BadSnapshot::Head);
        }
        let head = bytes.split_to(head_len);
        let meta = read_head(head).ok_or(BadSnapshot::Head)?;
        Ok(Self { meta, state: founded.then_some(bytes) })
    }

    /// The state in it, its invariants checked.
    pub(crate) fn restore(&self) -> Result<Option<LeaseState>, BadSnapshot> {
        self.state
            .as_ref()
            .map(|bytes| LeaseState::restore(bytes))
            .transpose()
            .map_err(BadSnapshot::State)
    }
}

/// Makes a document. Takes long for a large state.
pub(crate) fn encode(meta: &SnapshotMeta, frozen: Option<&FrozenState>) -> Bytes {
    let head = head_of(meta).encode_to_vec();
    let state = frozen.map(FrozenState::encode);
    let mut out = BytesMut::with_capacity(10 + head.len() + state.as_ref().map_or(0, Vec::len));
    out.put_u32_le(0);
    out.put_u8(FORMAT);
    out.put_u8(u8::from(state.is_some()));
    out.put_u32_le(u32::try_from(head.len()).expect("the members of a cluster fit into 4 GiB"));
    out.put_slice(&head);
    out.put_slice(state.as_deref().unwrap_or_default());
    let checksum = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out.freeze()
}

pub(crate) fn head_of(meta: &SnapshotMeta) -> pb::SnapshotHead {
    pb::SnapshotHead {
        last_log_id: meta.last_log_id.map(wire::log_id_to_wire),
        membership: Some(wire::membership_to_wire(meta.last_membership.membership())),
        membership_log_id: meta.last_membership.log_id().map(wire::log_id_to_wire),
    }
}

pub(crate) fn read_head(bytes: Bytes) -> Option<SnapshotMeta> {
    let head = pb::SnapshotHead::decode(bytes).ok()?;
    let membership = wire::membership_from_wire(head.membership?).ok()?;
    Some(SnapshotMeta {
        last_log_id: head.last_log_id.map(wire::log_id_from_wire),
        last_membership: StoredMembership::new(
            head.membership_log_id.map(wire::log_id_from_wire),
            membership,
        ),
    })
}

/// Why the snapshot on disk cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is in it.
    #[error("the file {FILE} cannot be used; {ADVICE}")]
    Bad(#[from] BadSnapshot),
}

/// The snapshot file. Several tasks may hold one; an older snapshot never replaces a newer one.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    disk: Arc<dyn Disk>,
    newest: Arc<Mutex<Option<LogId>>>,
}

impl SnapshotFile {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, newest: Arc::default() }
    }

    /// The snapshot on disk, checked, and its bytes.
    pub(crate) fn load(&self) -> Result<Option<(Document, Bytes)>, LoadError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = read_checked(&*self.disk, FILE)? else {
            return Ok(None);
        };
        let bytes = Bytes::from(bytes);
        let document = Document::open(bytes.clone())?;
        *newest = document.meta.last_log_id;
        Ok(Some((document, bytes)))
    }

    /// Makes `document` the snapshot on disk, durably, unless a newer one is there.
    pub(crate) fn store(&self, covers: Option<LogId>, document: &[u8]) -> Result<(), DiskFault> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_some() && covers <= *newest {
            return Ok(());
        }
        replace_atomically(&*self.disk, FILE, document)?;
        *newest = covers;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use leasehold_core::Settings;
    use leasehold_disk::DiskId;
    use leasehold_disk::fake::FakeDisk;

    use super::*;
    use crate::type_config::{Leadership, Listed, Membership};

    fn log_id(index: u64) -> LogId {
        LogId::new(Leadership::new(2), index)
    }

    fn meta(index: u64) -> SnapshotMeta {
        let member = |id: u8| Listed {
            client_address: String::new(),
            peer_address: String::new(),
            disk_id: DiskId([id; 16]),
        };
        let members = BTreeMap::from([(1, member(1)), (2, member(2))]);
        let members =
            Membership::new(vec![BTreeSet::from([1, 2])], members).expect("voters are members");
        let last_membership = StoredMembership::new(Some(log_id(0)), members);
        SnapshotMeta { last_log_id: Some(log_id(index)), last_membership }
    }

    fn document(index: u64) -> Bytes {
        encode(&meta(index), Some(&LeaseState::new(Settings::default()).freeze()))
    }

    #[test]
    fn a_snapshot_says_what_it_covers_and_restores_the_state() {
        let opened = Document::open(document(7)).expect("as written");
        assert_eq!(opened.meta, meta(7));
        let state = opened.restore().expect("as written").expect("founded");
        assert_eq!(state.snapshot(), LeaseState::new(Settings::default()).snapshot());
        let unfounded = Document::open(encode(&meta(1), None)).expect("as written");
        assert!(unfounded.restore().expect("as written").is_none());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = document(7);
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Document::open(damaged.into()).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(Document::open(whole.slice(..len)).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn an_older_snapshot_never_replaces_a_newer_one() {
        let disk = FakeDisk::new(1);
        let file = SnapshotFile::new(disk.mount());
        for index in [5, 9, 7] {
            file.store(Some(log_id(index)), &document(index)).expect("the disk works");
        }
        let again = SnapshotFile::new(disk.mount());
        let (loaded, _) = again.load().expect("as written").expect("there is one");
        assert_eq!(loaded.meta.last_log_id, Some(log_id(9)));
        again.store(Some(log_id(8)), &document(8)).expect("the disk works");
        let (loaded, _) = again.load().expect("as written").expect("there is one");
        assert_eq!(loaded.meta.last_log_id, Some(log_id(9)));
    }
}
