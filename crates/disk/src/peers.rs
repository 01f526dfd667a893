//! What this node has seen of the others, so that one that forgot is not believed.
//!
//! A node cannot always find out itself that its disk was wiped, or is an old copy. Its peers can,
//! if they remember, durably, which disk it had and how often that was started. It takes one peer of
//! every majority to remember; each of them refuses for itself.
//!
//! What nobody can do is to know of a start that they were never told of. Three nodes: the third is
//! down while the second is started again and acknowledges with the first; then the first is lost and
//! the second comes back on a copy of its disk from before that start. The third never heard of it and
//! believes the copy. To close this, a start would have to be known to every node before it counts,
//! and one node that is down would keep the others from starting. Whoever puts back an old copy of a
//! disk must do as after a loss of that disk.
//!
//! A copy made while the node ran is told by its record stream: a peer also remembers the newest group
//! that a node said it had synced ([`Reached`]), and every later start of that disk must have found as
//! many. What a node acknowledges it says with that number, so whoever counted on it knows it. It is
//! kept in memory at every message, and in the file whenever that is written, so that no message waits
//! for a sync; the caller decides how much a lost process may forget of it ([`PeerMemory::is_due`]). A
//! refusal on that ground is durable before it is said.
//!
//! And a disk says of its last [`STARTS_KEPT`](crate::STARTS_KEPT) starts which runs they were, not of
//! all. A peer that remembers an older one believes: to refuse would keep out, for good, a node that was
//! started so often while no peer could hear it, as a watchdog does behind a cut cable. So an old copy
//! that is started that many times beyond what a peer knows of its disk is believed by that peer, if its
//! stream has grown by then beyond what the peer knows of that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::atomic::{ReadError, read_checked, replace_atomically};
use crate::bytes_le::{array_at, disk_id_at, u64_at};
use crate::disk::Disk;
use crate::error::DiskFault;
use crate::identity::{BootId, DiskId};
use crate::reached::Reached;
use crate::start::{Past, Start};

pub(crate) const FILE: &str = "peers";
/// Node id, disk id, incarnation, boot id, recovered and reached; the past follows, whose length the
/// incarnation says.
const FIXED_BYTES: usize = 64;

/// The durable memory of every peer's disk, its latest start and how far its stream had come. Grows by
/// one entry for each node id ever admitted: the caller asks about members only.
#[derive(Debug)]
pub struct PeerMemory {
    disk: Arc<dyn Disk>,
    seen: BTreeMap<u64, Seen>,
    fault: Option<DiskFault>,
}

#[derive(Debug)]
struct Seen {
    start: Start,
    reached: Reached,
    /// What the file says.
    noted: u64,
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
    /// A larger incarnation, but not after the one that was seen: an old copy of the disk, started often.
    #[error(
        "node {node_id} came with incarnation {presented}, and its incarnation {remembered} was not run {run}, which was seen: this is an old copy of its disk"
    )]
    OtherPast {
        /// The peer.
        node_id: u64,
        /// What it said.
        presented: u64,
        /// The largest it said before.
        remembered: u64,
        /// The run that was.
        run: BootId,
    },
    /// A later start that found less of its stream than the node had synced: an old copy of the disk,
    /// made while the node ran.
    #[error(
        "node {node_id} had synced its log up to group {remembered} and came back with {presented}: this is an old copy of its disk, or the end of its log was damaged; put the disk itself back, or replace this node by one with a new id and an empty data directory"
    )]
    ShorterLog {
        /// The peer.
        node_id: u64,
        /// The least that a start since then found.
        presented: u64,
        /// The newest group it said it had synced.
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

/// Makes an empty memory, before there is an identity: so it is never missing where there is one.
pub(crate) fn make_empty(disk: &dyn Disk) -> Result<(), DiskFault> {
    replace_atomically(disk, FILE, &[])
}

/// Whether `name` is a memory that remembers nobody.
pub(crate) fn is_empty_memory(disk: &dyn Disk, name: &str) -> Result<bool, ReadError> {
    Ok(name == FILE && read_checked(disk, FILE)?.is_some_and(|bytes| bytes.is_empty()))
}

impl PeerMemory {
    /// Reads the memory, which [`Identity::claim`](crate::Identity::claim) made empty at the first start.
    ///
    /// # Errors
    /// [`ReadError`], also where the file is missing: who was believed before is forgotten then.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, ReadError> {
        let bytes = read_checked(&*disk, FILE)?.ok_or_else(|| ReadError::Damaged {
            file: FILE.to_owned(),
            what: "it is missing, and with it what this node knew of its peers",
        })?;
        let seen = decode(&bytes).ok_or_else(|| ReadError::Damaged {
            file: FILE.to_owned(),
            what: "it does not end with a whole entry, or one contradicts itself",
        })?;
        Ok(Self { disk, seen, fault: None })
    }

    /// Believes a peer or not. What is new is durable before this returns, and so is what a peer is
    /// refused for.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn admit(&mut self, node_id: u64, presented: Start) -> Result<Admitted, AdmitError> {
        self.check_fault()?;
        let Some(seen) = self.seen.get(&node_id) else {
            self.remember(node_id, presented)?;
            return Ok(Admitted::Remembered);
        };
        if seen.start == presented {
            return Ok(Admitted::Known);
        }
        if let Err(refused) = check(node_id, seen, &presented) {
            if seen.reached.get() > seen.noted {
                self.note()?;
            }
            return Err(refused.into());
        }
        self.remember(node_id, presented)?;
        Ok(Admitted::Remembered)
    }

    /// Takes over what a believed peer knows of another node: a later start of the same disk, or a node
    /// never seen. What this node knows stands against anything else. True if that was news; then
    /// it is durable before this returns.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn hear(&mut self, node_id: u64, told: Start) -> Result<bool, DiskFault> {
        self.check_fault()?;
        let known = self.seen.get(&node_id);
        let news =
            known.is_none_or(|known| known.start != told && check(node_id, known, &told).is_ok());
        if news {
            self.remember(node_id, told)?;
        }
        Ok(news)
    }

    /// Every node seen or heard of, with its latest start.
    pub fn seen(&self) -> impl Iterator<Item = (u64, &Start)> {
        self.seen.iter().map(|(node_id, seen)| (*node_id, &seen.start))
    }

    /// How far the stream of a node had come, in its latest start known or before; to be raised by
    /// whatever that start says of itself. `None` for a node never seen.
    pub fn reached(&self, node_id: u64) -> Option<&Reached> {
        self.seen.get(&node_id).map(|seen| &seen.reached)
    }

    /// Whether the stream of a node grew by so many groups since the memory was last written.
    pub fn is_due(&self, node_id: u64, groups: u64) -> bool {
        self.seen.get(&node_id).is_some_and(|seen| seen.reached.get() - seen.noted >= groups)
    }

    /// Makes durable how far the stream of every node had come.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn note(&mut self) -> Result<(), DiskFault> {
        self.check_fault()?;
        self.write()
    }

    fn remember(&mut self, node_id: u64, start: Start) -> Result<(), DiskFault> {
        let before = self.seen.get(&node_id).map_or(0, |seen| seen.reached.get());
        let reached = Reached::new(before.max(start.recovered));
        self.seen.insert(node_id, Seen { start, reached, noted: 0 });
        self.write()
    }

    /// It is certain, from elsewhere, which disk a peer has: what was seen of another one is dropped.
    /// Durable with the next admission.
    pub fn settle(&mut self, node_id: u64, disk_id: DiskId) {
        if self.seen.get(&node_id).is_some_and(|seen| seen.start.disk_id != disk_id) {
            self.seen.remove(&node_id);
        }
    }

    fn check_fault(&self) -> Result<(), DiskFault> {
        self.fault.as_ref().map_or(Ok(()), |fault| Err(fault.latched()))
    }

    fn write(&mut self) -> Result<(), DiskFault> {
        self.seen.values_mut().for_each(|seen| seen.noted = seen.reached.get());
        replace_atomically(&*self.disk, FILE, &self.encode())
            .inspect_err(|fault| self.fault = Some(fault.clone()))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (node_id, Seen { start, noted, .. }) in &self.seen {
            bytes.extend_from_slice(&node_id.to_le_bytes());
            bytes.extend_from_slice(&start.disk_id.0);
            bytes.extend_from_slice(&start.incarnation.to_le_bytes());
            bytes.extend_from_slice(&start.boot_id.0);
            bytes.extend_from_slice(&start.recovered.to_le_bytes());
            bytes.extend_from_slice(&noted.to_le_bytes());
            bytes.extend_from_slice(start.past.bytes());
        }
        bytes
    }
}

fn decode(mut bytes: &[u8]) -> Option<BTreeMap<u64, Seen>> {
    let mut seen = BTreeMap::new();
    while !bytes.is_empty() {
        let (fixed, rest) = bytes.split_at_checked(FIXED_BYTES)?;
        let incarnation = u64_at(fixed, 24);
        let (past, rest) = rest.split_at_checked(Past::len_before(incarnation))?;
        let (disk_id, boot_id) = (disk_id_at(fixed, 8), BootId(array_at(fixed, 32)));
        let (recovered, noted) = (u64_at(fixed, 48), u64_at(fixed, 56));
        let past = Past::read(incarnation, past).filter(|_| recovered <= noted)?;
        let start = Start { disk_id, incarnation, boot_id, recovered, past };
        seen.insert(u64_at(fixed, 0), Seen { start, reached: Reached::new(noted), noted });
        bytes = rest;
    }
    Some(seen)
}

/// Only a later start of the same disk may differ from what is remembered.
fn check(node_id: u64, seen: &Seen, presented: &Start) -> Result<(), PeerRefused> {
    let (remembered, reached) = (&seen.start, seen.reached.get());
    if presented.disk_id != remembered.disk_id {
        let (presented, remembered) = (presented.disk_id, remembered.disk_id);
        return Err(PeerRefused::OtherDisk { node_id, presented, remembered });
    }
    let (run, incarnation) = (remembered.boot_id, remembered.incarnation);
    if presented.incarnation < incarnation {
        let (presented, remembered) = (presented.incarnation, incarnation);
        return Err(PeerRefused::OldIncarnation { node_id, presented, remembered });
    }
    if presented.incarnation == incarnation && presented.boot_id != run {
        let (presented, remembered) = (presented.boot_id, run);
        return Err(PeerRefused::TwoCopies { node_id, incarnation, presented, remembered });
    }
    if presented.comes_after(remembered) == Some(false) {
        let (presented, remembered) = (presented.incarnation, incarnation);
        return Err(PeerRefused::OtherPast { node_id, presented, remembered, run });
    }
    let least = presented.least_recovered_after(remembered);
    if presented.incarnation > incarnation && least < reached {
        let (presented, remembered) = (least, reached);
        return Err(PeerRefused::ShorterLog { node_id, presented, remembered });
    }
    Ok(())
}
