//! What a node is told at its start.
//!
//! Two kinds of values. Most belong to **this node** and may differ from node to node. The
//! `[cluster]` section belongs to the **cluster**: it counts once, when the cluster is founded, and
//! from then on lives in the replicated state, because `apply` depends on it and two nodes that
//! clamp a ttl differently are two clusters.
//!
//! Two steps: text becomes [`sections`] (unknown keys and wrong types refused), sections become a
//! [`Config`] (every bound and every relation checked). After [`Config::load`] nothing is left to
//! refuse but what only the machine can know: a port in use, a disk that fails.

mod address;
mod check;
mod error;
mod sections;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use leasehold_core::Settings;
use leasehold_raft::{Member, SnapshotPolicy};

pub use error::ConfigError;
pub use sections::{LimitsSection, LogFormat, LogSection, TimingSection};

/// A node's configuration, every value checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The cluster: 1 to 256 bytes without control characters. Written to the data directory at the
    /// first start and never changed.
    pub cluster_id: String,
    /// This node: 1 or more, one of `members`, never reused.
    pub node_id: u64,
    /// Where everything durable lives. Made with mode 0700 when it is not there.
    pub data_dir: PathBuf,
    /// Where clients are listened for.
    pub client_listen: SocketAddr,
    /// Where peers are listened for. Must not be reachable by others.
    pub peer_listen: SocketAddr,
    /// Threads of the runtime: 1 to 64. The caller of [`crate::serve()`] makes the runtime.
    pub runtime_threads: usize,
    /// The members that found the cluster, by id.
    pub members: BTreeMap<u64, Member>,
    /// Durations.
    pub timing: TimingSection,
    /// Bounds of this node.
    pub limits: LimitsSection,
    /// When snapshots are taken.
    pub snapshots: SnapshotPolicy,
    /// The replicated settings that a new cluster is founded with.
    pub cluster: Settings,
    /// How the caller of [`crate::serve()`] shall log.
    pub log: LogSection,
}

impl Config {
    /// Reads and checks a file. Binds nothing, creates nothing.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and, where a value is at fault, its key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source: Box::new(source) })
    }

    /// Checks a text.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let raw: sections::Raw = toml::from_str(text)?;
        Ok(Self::try_from(raw)?)
    }

    /// This node's own entry in `members`.
    pub fn own_member(&self) -> &Member {
        self.members.get(&self.node_id).expect("the node's id was checked to be among the members")
    }
}
