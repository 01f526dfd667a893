//! The hosts: nodes and the store, as they are shipped, on simulated machines.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, DiskId};
use leasehold_raft::Execution;
use leasehold_server::{Config, Listeners, Machine, serve_with};

use crate::machine::HostClock;
use crate::network::{Links, SimConnector, listen};
use crate::runtime::SeededTokio;

/// The nodes' names.
pub(crate) const NODES: [&str; 3] = ["node1", "node2", "node3"];
/// The store's name.
pub(crate) const STORE: &str = "store";
/// Where it and its clients meet.
pub(crate) const STORE_ADDRESS: &str = "store:7200";

/// Where clients reach a node.
pub(crate) fn client_address(node: &str) -> String {
    format!("{node}:7100")
}

/// One node's machine.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) number: u8,
    pub(crate) disk: FakeDisk,
    pub(crate) clock: HostClock,
    pub(crate) links: Links,
}

impl Node {
    /// One run of the node, until it is crashed.
    pub(crate) async fn run(self, boot: u128) -> turmoil::Result {
        let machine = Machine {
            disk: self.disk.mount(),
            fresh_disk: DiskId([self.number; 16]),
            boot: BootId(boot.to_le_bytes()),
            clock: Arc::new(self.clock),
            connector: Arc::new(SimConnector(self.links.clone())),
            execution: Execution::Tasks { sync: Duration::from_millis(1) },
        };
        let client = listen(7100, &self.links).await?;
        let peer = listen(7101, &self.links).await?;
        let listeners = Listeners { client, peer };
        serve_with::<SeededTokio>(self.config(), machine, listeners, pending()).await?;
        Ok(())
    }

    fn config(&self) -> Config {
        let members: String = (1..=NODES.len())
            .map(|number| {
                format!(
                    "[[members]]\nnode_id = {number}\n\
                     client_address = \"node{number}:7100\"\npeer_address = \"node{number}:7101\"\n"
                )
            })
            .collect();
        let text = format!(
            r#"
            cluster_id = "simulated"
            node_id = {}
            data_dir = "not-used"
            client_listen = "0.0.0.0:7100"
            peer_listen = "0.0.0.0:7101"
            {members}
            [timing]
            heartbeat = "50ms"
            election_min = "150ms"
            election_max = "300ms"
            client_keepalive = "1s"
            client_keepalive_timeout = "1s"
            [cluster]
            ttl_min = "1s"
            stamp_interval = "200ms"
            "#,
            self.number
        );
        Config::parse(&text).expect("a good config")
    }
}

/// One run of the store, until it is crashed.
pub(crate) async fn store(data_dir: PathBuf, links: Links) -> turmoil::Result {
    let config = leasehold_store::Config { data_dir, ..Default::default() };
    let execution = leasehold_store::Execution::Tasks { commit: Duration::from_millis(10) };
    let connections = listen(7200, &links).await?;
    leasehold_store::serve_on(config, execution, connections, pending()).await?;
    Ok(())
}
