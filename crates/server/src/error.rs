//! Why a node does not serve.

use std::net::SocketAddr;
use std::path::PathBuf;

use leasehold_disk::{IdentityError, OpenDiskError};
use leasehold_raft::{NodeFailure, StartError};

/// Why a node does not serve, or serves no more.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {address}")]
    Bind {
        /// The key in the config.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// The data directory cannot be opened.
    #[error(transparent)]
    OpenDisk(#[from] OpenDiskError),
    /// The data directory is not this node's.
    #[error("the data directory {} cannot be used", path.display())]
    Identity {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: IdentityError,
    },
    /// The node did not start.
    #[error("the node did not start")]
    Start(#[source] StartError),
    /// The node stopped for good by itself.
    #[error("the node stopped by itself")]
    Failed(#[source] NodeFailure),
    /// A task that everything relies on has ended.
    #[error("a task of the node has ended")]
    Task(#[source] Option<tokio::task::JoinError>),
    /// A port is not served any more.
    #[error("{port} are not served any more")]
    Port {
        /// Clients or peers.
        port: &'static str,
        /// What went wrong, where that is known.
        #[source]
        source: Option<tonic::transport::Error>,
    },
}
