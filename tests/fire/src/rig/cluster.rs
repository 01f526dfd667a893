//! The machines of a run: nodes, stores and clients, each on its host.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::Daemon;
use super::network::{Host, Network};
use crate::Outcome;

pub(crate) const CLIENT_PORT: u16 = 7100;
pub(crate) const PEER_PORT: u16 = 7200;
pub(crate) const STORE_PORT: u16 = 7300;

/// How many of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: u8,
    pub(crate) stores: u8,
    pub(crate) clients: u8,
    /// Log entries from one snapshot to the next.
    pub(crate) snapshot_entries: u32,
}

impl Size {
    /// Their hosts, nodes first, then stores, then clients.
    pub(crate) fn hosts(self) -> Vec<Host> {
        let of = |kind: &str, count: u8, first: u8| {
            let host = |at| Host { name: format!("{kind}-{at}"), octet: first + at };
            (1..=count).map(host).collect::<Vec<_>>()
        };
        let mut hosts = of("node", self.nodes, 10);
        hosts.extend(of("store", self.stores, 30));
        hosts.extend(of("client", self.clients, 50));
        hosts
    }
}

/// A node or a store.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) daemon: Daemon,
    pub(crate) data: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
}

impl Machine {
    /// Starts it where it belongs.
    pub(crate) fn start(&mut self, network: &Network) -> Outcome<()> {
        let command = self.command(network);
        self.daemon.start(command)
    }

    /// The command that [`Self::start`] runs.
    pub(crate) fn command(&self, network: &Network) -> Command {
        let mut command = network.command(&self.host, &self.program);
        command.args(&self.arguments);
        command
    }

    /// Its program with its arguments, for whoever runs it under another one.
    pub(crate) fn program(&self) -> (&Path, &[String]) {
        (&self.program, &self.arguments)
    }

    /// SIGKILL. False when it was gone before.
    pub(crate) fn kill(&mut self) -> Outcome<bool> {
        self.daemon.kill()
    }
}

/// All daemons. Clients are kept by whoever gives them work.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Machine>,
    pub(crate) stores: Vec<Machine>,
}

impl Cluster {
    /// Writes every config file below `directory`; starts nothing.
    pub(crate) fn prepare(
        size: Size,
        network: &Network,
        directory: &Path,
        binary: &Path,
    ) -> Outcome<Self> {
        let hosts = network.hosts();
        let (nodes, rest) = hosts.split_at(usize::from(size.nodes));
        let stores = &rest[..usize::from(size.stores)];
        let members: String = (1..).zip(nodes).map(|(id, host)| member(id, host)).collect();
        let machine = |host: &Host, verb: &str, text: String| -> Outcome<Machine> {
            let config = directory.join(format!("{}.toml", host.name));
            std::fs::write(&config, text)?;
            Ok(Machine {
                host: host.clone(),
                daemon: Daemon::new(&host.name, directory),
                data: data(directory, host),
                program: binary.to_owned(),
                arguments: vec![verb.into(), "--config".into(), config.display().to_string()],
            })
        };
        let nodes = (1..).zip(nodes).map(|(id, host): (u64, _)| {
            machine(
                host,
                "server",
                node_config(id, host, &data(directory, host), &members, size.snapshot_entries),
            )
        });
        let stores = stores.iter().map(|host| {
            let listen = format!("{}:{STORE_PORT}", host.address());
            machine(
                host,
                "store",
                format!(
                    "data_dir = \"{}\"\nlisten = \"{listen}\"\n",
                    data(directory, host).display()
                ),
            )
        });
        Ok(Self { nodes: nodes.collect::<Outcome<_>>()?, stores: stores.collect::<Outcome<_>>()? })
    }

    /// Starts whatever does not run.
    pub(crate) fn start_all(&mut self, network: &Network) -> Outcome<()> {
        for machine in self.machines_mut().filter(|machine| !machine.daemon.is_up()) {
            machine.start(network)?;
        }
        Ok(())
    }

    pub(crate) fn machines_mut(&mut self) -> impl Iterator<Item = &mut Machine> {
        self.nodes.iter_mut().chain(&mut self.stores)
    }

    pub(crate) fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.nodes.iter().chain(&self.stores)
    }

    /// Where the run itself reaches the nodes, without a proxy in between.
    pub(crate) fn node_addresses(&self) -> Vec<String> {
        let address = |node: &Machine| format!("{}:{CLIENT_PORT}", node.host.address());
        self.nodes.iter().map(address).collect()
    }

    /// The same for the stores.
    pub(crate) fn store_addresses(&self) -> Vec<String> {
        let address = |store: &Machine| format!("{}:{STORE_PORT}", store.host.address());
        self.stores.iter().map(address).collect()
    }
}

/// Two levels below, so that a daemon has more than one directory to make.
fn data(directory: &Path, host: &Host) -> PathBuf {
    directory.join(&host.name).join("data")
}

fn member(id: u64, host: &Host) -> String {
    let name = &host.name;
    format!(
        "[[members]]\nnode_id = {id}\nclient_address = \"{name}:{CLIENT_PORT}\"\n\
         peer_address = \"{name}:{PEER_PORT}\"\n"
    )
}

/// Elections are quick, so that many fit into a run, and snapshots frequent, so that many are taken.
fn node_config(id: u64, host: &Host, data: &Path, members: &str, entries: u32) -> String {
    let (address, keep, data) = (host.address(), entries / 8, data.display());
    format!(
        "cluster_id = \"fire\"\nnode_id = {id}\ndata_dir = \"{data}\"\n\
         client_listen = \"{address}:{CLIENT_PORT}\"\npeer_listen = \"{address}:{PEER_PORT}\"\n\
         {members}\n\
         [timing]\nheartbeat = \"75ms\"\nelection_min = \"250ms\"\nelection_max = \"500ms\"\n\
         client_keepalive = \"2s\"\nclient_keepalive_timeout = \"2s\"\nwatch_progress = \"1s\"\n\
         [snapshots]\nentries = {entries}\nkeep = {keep}\n"
    )
}
