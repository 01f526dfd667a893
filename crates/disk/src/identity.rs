//! Who this disk belongs to.
//!
//! Raft is only safe while a node remembers its votes. A node started on an empty disk under an old
//! id, on another node's disk, or on a copy of its own disk, forgot some; the identity file is how it
//! finds out about the first two, and the starts it lists are how its peers find out about the third (see
//! [`PeerMemory`](crate::PeerMemory)).
//!
//! The payload of the file (see [`Past`] for how long a past is):
//!
//! ```text
//!  0  node id u64    8  disk id, 16 bytes   24  incarnation u64   32  boot id, 16 bytes
//! 48  recovered u64
//! 56  past, 12 bytes for each start before this one, the oldest kept first
//!     cluster id, the rest
//! ```

use std::fmt;

use crate::atomic::{
    ReadError, TEMPORARY_SUFFIX, read_checked, remove_temporaries, replace_atomically,
};
use crate::bytes_le::{array_at, disk_id_at, u64_at};
use crate::damage::ADVICE;
use crate::disk::Disk;
use crate::error::{DiskFault, Operation};
use crate::peers;
use crate::start::{Past, Start};

const FILE: &str = "identity";
const CLUSTER_ID_BYTES_MAX: usize = 256;
/// Node id, disk id, incarnation, boot id and recovered; past and cluster id follow.
const FIXED_BYTES: usize = 56;

/// 128 random bits that name one data directory for as long as it lives. The caller brings the randomness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskId(pub [u8; 16]);

/// 128 random bits that name one run of a process. The caller brings the randomness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub [u8; 16]);

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskId({self})")
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

/// Whose disk this is, and how often and as which runs it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, 1..=256 bytes of text.
    pub cluster_id: String,
    /// The node.
    pub node_id: u64,
    /// This start. The disk id is made at the first and never again, the incarnation is 1 there and
    /// one more at every later start. How far the stream is comes with [`Identity::opened`].
    pub start: Start,
}

/// Why a data directory cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The cluster id given is not 1..=256 bytes.
    #[error("cluster id is {bytes} bytes long, allowed are 1..=256")]
    BadClusterId {
        /// Its length.
        bytes: usize,
    },
    /// The directory belongs to another cluster.
    #[error(
        "the data directory belongs to cluster {found:?}, this node is configured for {configured:?}; check `cluster_id` and `data_dir`"
    )]
    OtherCluster {
        /// In the configuration.
        configured: String,
        /// In the directory.
        found: String,
    },
    /// The directory belongs to another node of the cluster.
    #[error(
        "the data directory belongs to node {found}, this node is configured as {configured}; check `node_id` and `data_dir`"
    )]
    OtherNode {
        /// In the configuration.
        configured: u64,
        /// In the directory.
        found: u64,
    },
    /// There are files but no identity: the node forgot who it was and must not vote.
    #[error(
        "the data directory holds {example:?} but no identity file: check `data_dir`, and if it was this node's: {ADVICE}"
    )]
    Forgotten {
        /// One of the files.
        example: String,
    },
    /// The incarnation counter is at its end.
    #[error("the incarnation counter is exhausted")]
    Exhausted,
    /// The identity file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk failed.
    #[error(transparent)]
    Fault(#[from] DiskFault),
}

impl Identity {
    /// Claims the disk for this start, before anything else is read or written on it: makes the identity on an empty
    /// directory, with `fresh_disk_id` and incarnation 1; else checks it and raises the incarnation. Durable on return:
    /// no peer can have heard of a start that the disk does not know itself.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn claim(
        disk: &dyn Disk,
        cluster_id: &str,
        node_id: u64,
        fresh_disk_id: DiskId,
        boot_id: BootId,
    ) -> Result<Self, IdentityError> {
        if !(1..=CLUSTER_ID_BYTES_MAX).contains(&cluster_id.len()) {
            return Err(IdentityError::BadClusterId { bytes: cluster_id.len() });
        }
        let identity = match read_checked(disk, FILE)? {
            Some(bytes) => Self::decode(&bytes)?.claimed_again(cluster_id, node_id, boot_id)?,
            None => {
                require_empty(disk)?;
                remove_temporaries(disk)?;
                peers::make_empty(disk)?;
                let cluster_id = cluster_id.to_owned();
                let (disk_id, past) = (fresh_disk_id, Past::default());
                let recovered = Start::UNOPENED;
                let start = Start { disk_id, incarnation: 1, boot_id, recovered, past };
                Self { cluster_id, node_id, start }
            }
        };
        remove_temporaries(disk)?;
        replace_atomically(disk, FILE, &identity.encode())?;
        Ok(identity)
    }

    /// Notes, durably, how far the stream was when this run opened it. Before anything is appended to
    /// it, and before any peer hears of this start: so every later start of this disk can say it.
    ///
    /// # Errors
    /// [`DiskFault`].
    pub fn opened(&mut self, disk: &dyn Disk, recovered: u64) -> Result<(), DiskFault> {
        self.start.recovered = recovered;
        replace_atomically(disk, FILE, &self.encode())
    }

    fn claimed_again(
        self,
        cluster_id: &str,
        node_id: u64,
        boot_id: BootId,
    ) -> Result<Self, IdentityError> {
        if self.cluster_id != cluster_id {
            let configured = cluster_id.to_owned();
            return Err(IdentityError::OtherCluster { configured, found: self.cluster_id });
        }
        if self.node_id != node_id {
            return Err(IdentityError::OtherNode { configured: node_id, found: self.node_id });
        }
        let Start { disk_id, incarnation, boot_id: last, recovered, past } = self.start;
        let incarnation = incarnation.checked_add(1).ok_or(IdentityError::Exhausted)?;
        let (past, recovered) = (past.and_then(last, recovered), Start::UNOPENED);
        let start = Start { disk_id, incarnation, boot_id, recovered, past };
        Ok(Self { start, ..self })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.node_id.to_le_bytes());
        bytes.extend_from_slice(&self.start.disk_id.0);
        bytes.extend_from_slice(&self.start.incarnation.to_le_bytes());
        bytes.extend_from_slice(&self.start.boot_id.0);
        bytes.extend_from_slice(&self.start.recovered.to_le_bytes());
        bytes.extend_from_slice(self.start.past.bytes());
        bytes.extend_from_slice(self.cluster_id.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let damaged = |what| ReadError::Damaged { file: FILE.to_owned(), what };
        let too_short = || damaged("its payload is too short");
        let (fixed, rest) = bytes.split_at_checked(FIXED_BYTES).ok_or_else(too_short)?;
        let (node_id, incarnation) = (u64_at(fixed, 0), u64_at(fixed, 24));
        let past_bytes = Past::len_before(incarnation);
        let (past, cluster_id) = rest.split_at_checked(past_bytes).ok_or_else(too_short)?;
        let past = Past::read(incarnation, past).ok_or_else(|| damaged("its incarnation is 0"))?;
        let cluster_id = str::from_utf8(cluster_id)
            .map_err(|_| damaged("its cluster id is not UTF-8"))?
            .to_owned();
        let (disk_id, boot_id) = (disk_id_at(fixed, 8), BootId(array_at(fixed, 32)));
        let start = Start { disk_id, incarnation, boot_id, recovered: u64_at(fixed, 48), past };
        Ok(Self { cluster_id, node_id, start })
    }
}

/// A first start needs a directory in which nobody ever started; that an earlier first start was
/// interrupted does no harm.
fn require_empty(disk: &dyn Disk) -> Result<(), IdentityError> {
    let names = disk.list().map_err(|e| DiskFault::new(Operation::List, "the directory", e))?;
    for name in names {
        let temporary =
            [FILE, peers::FILE].map(Some).contains(&name.strip_suffix(TEMPORARY_SUFFIX));
        if !temporary && !peers::is_empty_memory(disk, &name)? {
            return Err(IdentityError::Forgotten { example: name });
        }
    }
    Ok(())
}
