//! What this node has seen of the others, so that one that forgot is not believed.
//!
//! A node cannot always find out itself that its disk was wiped, or is an old copy. Its peers can,
//! if they remember, durably, which disk it had and how often that was started. It takes one peer of
//! every majority to remember; each of them refuses for itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::atomic::{ReadError, read_checked, replace_atomically};
use crate::bytes_le::{array_at, disk_id_at, u64_at};
use crate::disk::Disk;
use crate::error::DiskFault;
use crate::identity::{BootId, DiskId};

const FILE: &str = "peers";
/// Node id, disk id, incarnation and boot id.
const ENTRY_BYTES: usize = 48;

/// The durable memory of every peer's disk, largest incarnation and run. Grows by one entry for
/// each node id ever admitted: the caller asks about members only.
#[derive(Debug)]
pub struct PeerMemory {
    disk: Arc<dyn Disk>,
    seen: BTreeMap<u64, Seen>,
    fault: Option<DiskFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    disk_id: DiskId,
    incarnation: u64,
    boot_id: BootId,
}

/// What an admission changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// As remembered.
    Known,
    /// Seen for the first time, or in a larger incarnation; now remembered, durably.
    Remembered,
}

/// Why a peer is not believed. It must neither vote nor store for this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefused {
    /// Another disk under a known id: the node was wiped, or its id reused.
    #[error(
        "node {node_id} came with disk {presented}, its disk was {remembered}: it was wiped or its id was reused"
    )]
    OtherDisk {
        /// The peer.
        node_id: u64,
        /// What it said.
        presented: DiskId,
        /// What it said before.
        remembered: DiskId,
    },
    /// A smaller incarnation: an old copy of the disk.
    #[error(
        "node {node_id} came with incarnation {presented}, it had {remembered}: this is an old copy of its disk"
    )]
    OldIncarnation {
        /// The peer.
        node_id: u64,
        /// What it said.
        presented: u64,
        /// The largest it ever said.
        remembered: u64,
    },
    /// Another run in the same incarnation: two copies of one disk are running.
    #[error(
        "node {node_id} incarnation {incarnation} came as run {presented}, it was {remembered}: two copies of its disk are running"
    )]
    TwoCopies {
        /// The peer.
        node_id: u64,
        /// The incarnation of both.
        incarnation: u64,
        /// What it said.
        presented: BootId,
        /// What it said before.
        remembered: BootId,
    },
}

/// A refusal, or not knowing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdmitError {
    /// The peer must not be believed.
    #[error(transparent)]
    Refused(#[from] PeerRefused),
    /// The memory could not be made durable, now or earlier; the peer may not be believed on that ground either.
    #[error(transparent)]
    Fault(#[from] DiskFault),
}

impl PeerMemory {
    /// Reads the memory; empty if there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, ReadError> {
        let bytes = read_checked(&*disk, FILE)?.unwrap_or_default();
        let (entries, []) = bytes.as_chunks::<ENTRY_BYTES>() else {
            return Err(ReadError::Damaged { file: FILE.to_owned(), what: "its length is wrong" });
        };
        let seen = entries.iter().map(|entry| (u64_at(entry, 0), Seen::decode(entry))).collect();
        Ok(Self { disk, seen, fault: None })
    }

    /// Believes a peer or not. What is new is durable before this returns.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn admit(
        &mut self,
        node_id: u64,
        disk_id: DiskId,
        incarnation: u64,
        boot_id: BootId,
    ) -> Result<Admitted, AdmitError> {
        if let Some(fault) = &self.fault {
            return Err(fault.latched().into());
        }
        let presented = Seen { disk_id, incarnation, boot_id };
        match self.seen.get(&node_id) {
            Some(remembered) if *remembered == presented => return Ok(Admitted::Known),
            Some(remembered) => remembered.check(node_id, &presented)?,
            None => {}
        }
        self.seen.insert(node_id, presented);
        replace_atomically(&*self.disk, FILE, &self.encode())
            .inspect_err(|fault| self.fault = Some(fault.clone()))?;
        Ok(Admitted::Remembered)
    }

    /// It is certain, from elsewhere, which disk a peer has: what was seen of another one is dropped.
    /// Durable with the next admission.
    pub fn settle(&mut self, node_id: u64, disk_id: DiskId) {
        if self.seen.get(&node_id).is_some_and(|seen| seen.disk_id != disk_id) {
            self.seen.remove(&node_id);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.seen.len() * ENTRY_BYTES);
        for (node_id, seen) in &self.seen {
            bytes.extend_from_slice(&node_id.to_le_bytes());
            bytes.extend_from_slice(&seen.disk_id.0);
            bytes.extend_from_slice(&seen.incarnation.to_le_bytes());
            bytes.extend_from_slice(&seen.boot_id.0);
        }
        bytes
    }
}

impl Seen {
    fn decode(entry: &[u8; ENTRY_BYTES]) -> Self {
        Self {
            disk_id: disk_id_at(entry, 8),
            incarnation: u64_at(entry, 24),
            boot_id: BootId(array_at(entry, 32)),
        }
    }

    /// Only a later start of the same disk may differ from what is remembered.
    fn check(&self, node_id: u64, presented: &Self) -> Result<(), PeerRefused> {
        if presented.disk_id != self.disk_id {
            let (presented, remembered) = (presented.disk_id, self.disk_id);
            return Err(PeerRefused::OtherDisk { node_id, presented, remembered });
        }
        if presented.incarnation < self.incarnation {
            let (presented, remembered) = (presented.incarnation, self.incarnation);
            return Err(PeerRefused::OldIncarnation { node_id, presented, remembered });
        }
        if presented.incarnation == self.incarnation && presented.boot_id != self.boot_id {
            let (presented, remembered) = (presented.boot_id, self.boot_id);
            let incarnation = self.incarnation;
            return Err(PeerRefused::TwoCopies { node_id, incarnation, presented, remembered });
        }
        Ok(())
    }
}
