//! What a node stands on.

use std::sync::Arc;

use leasehold_clock::{Clock, MachineClock};
use leasehold_disk::{BootId, Disk, DiskId, MachineDisk};
use leasehold_net::{Connector, TcpConnector};
use leasehold_raft::Execution;

use crate::config::Config;
use crate::error::ServeError;

/// Everything of its machine that a node uses, but for the connections that come in
/// ([`Listeners`](crate::Listeners)) and the tokio runtime it is started in.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where everything durable lives.
    pub disk: Arc<dyn Disk>,
    /// The name of the disk, if it has none yet: random.
    pub fresh_disk: DiskId,
    /// The name of this start: random.
    pub boot: BootId,
    /// Where readings come from.
    pub clock: Arc<dyn Clock>,
    /// How connections to peers are made.
    pub connector: Arc<dyn Connector>,
    /// Where work runs that blocks.
    pub execution: Execution,
}

impl Machine {
    /// This machine: the data directory of the config, the system's clocks, TCP, threads.
    ///
    /// # Errors
    /// [`ServeError::OpenDisk`], [`ServeError::Random`].
    pub fn open(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            disk: Arc::new(MachineDisk::open(&config.data_dir)?),
            fresh_disk: DiskId(random()?),
            boot: BootId(random()?),
            clock: Arc::new(MachineClock),
            connector: Arc::new(TcpConnector),
            execution: Execution::Threads,
        })
    }
}

fn random() -> Result<[u8; 16], ServeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(ServeError::Random)?;
    Ok(bytes)
}
