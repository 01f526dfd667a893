//! The folder of a development cluster: a config file for each daemon, its data beside it, and
//! `cluster.toml`, which remembers ids and ports, so that a second run finds the same cluster again.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Where free ports are looked for: below the range from which systems hand out ports by themselves,
/// so that a port found free is not taken by somebody's outgoing connection.
const PORTS: std::ops::Range<u16> = 18_000..32_000;

/// Who is where. Written once, when the folder is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// The cluster's id.
    pub(crate) cluster_id: String,
    /// Where the store listens.
    pub(crate) store_address: String,
    /// The lease nodes.
    pub(crate) members: Vec<Member>,
}

/// One lease node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Its id, from 1.
    pub(crate) node_id: u64,
    /// Where clients reach it.
    pub(crate) client_address: String,
    /// Where its peers reach it.
    pub(crate) peer_address: String,
}

#[derive(Debug, Serialize)]
struct ServerFile<'a> {
    cluster_id: &'a str,
    node_id: u64,
    data_dir: &'a Path,
    client_listen: &'a str,
    peer_listen: &'a str,
    runtime_threads: usize,
    members: &'a [Member],
}

#[derive(Debug, Serialize)]
struct StoreFile<'a> {
    data_dir: &'a Path,
    listen: &'a str,
    cluster_id: &'a str,
    runtime_threads: usize,
}

impl Layout {
    /// The cluster in `folder`: the one that is there, or a new one of that many nodes.
    ///
    /// # Errors
    /// When the one that is there has another number of nodes, cannot be read or written.
    pub(crate) fn open_or_create(folder: &Path, nodes: Option<u16>) -> Result<Self, Failure> {
        let file = folder.join("cluster.toml");
        let layout = match fs::read_to_string(&file) {
            Ok(text) => Self::read(&file, &text, nodes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::create(nodes.unwrap_or(3))?
            }
            Err(error) => return Err(at(&file)(error)),
        };
        layout.write(folder)?;
        Ok(layout)
    }

    fn read(file: &Path, text: &str, nodes: Option<u16>) -> Result<Self, Failure> {
        let layout: Self = toml::from_str(text)
            .map_err(|error| Failure::config(format!("{}: {error}", file.display())))?;
        match nodes {
            Some(nodes) if usize::from(nodes) != layout.members.len() => {
                let found = layout.members.len();
                Err(Failure::usage(format!("--nodes {nodes}: {} has {found}", file.display())))
            }
            _ => Ok(layout),
        }
    }

    fn create(nodes: u16) -> Result<Self, Failure> {
        let mut ports = free_ports(2 * usize::from(nodes) + 1)?.into_iter();
        let mut address = || {
            let port = ports.next().expect("two for each node and one for the store");
            format!("127.0.0.1:{port}")
        };
        let store_address = address();
        let members = (1..=u64::from(nodes)).map(|node_id| Member {
            node_id,
            client_address: address(),
            peer_address: address(),
        });
        let cluster_id = format!("dev-{:016x}", getrandom::u64().map_err(Failure::because)?);
        Ok(Self { cluster_id, members: members.collect(), store_address })
    }

    /// Each daemon's file, every time, since the folder may have been moved; and last the one that
    /// says that the folder is whole.
    fn write(&self, folder: &Path) -> Result<(), Failure> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let folder = &fs::canonicalize(folder).map_err(at(folder))?;
        for member in &self.members {
            let text = toml::to_string(&ServerFile {
                cluster_id: &self.cluster_id,
                node_id: member.node_id,
                data_dir: &folder.join(node_name(member.node_id)),
                client_listen: &member.client_address,
                peer_listen: &member.peer_address,
                runtime_threads: 1,
                members: &self.members,
            });
            save(&config_file(folder, &node_name(member.node_id)), text)?;
        }
        let text = toml::to_string(&StoreFile {
            data_dir: &folder.join("store"),
            listen: &self.store_address,
            cluster_id: &self.cluster_id,
            runtime_threads: 1,
        });
        save(&config_file(folder, "store"), text)?;
        save(&folder.join("cluster.toml"), toml::to_string(self))
    }

    /// The nodes' client addresses, as `--endpoints` takes them.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.client_address.clone()).collect()
    }
}

/// `node-1`.
pub(crate) fn node_name(node_id: u64) -> String {
    format!("node-{node_id}")
}

/// Where a daemon's config is.
pub(crate) fn config_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

/// Where a daemon's log is.
pub(crate) fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn save(file: &Path, text: Result<String, toml::ser::Error>) -> Result<(), Failure> {
    let text = text.map_err(Failure::because)?;
    fs::write(file, format!("# Written by `leasehold dev`.\n{text}")).map_err(at(file))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::other(format!("{}: {error}", path.display()))
}

/// Ports on which nothing listens, each free at the same moment as all the others.
fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let width = u32::from(PORTS.end - PORTS.start);
    let mut listeners: Vec<(u16, TcpListener)> = Vec::new();
    for _ in 0..100 * count {
        if listeners.len() == count {
            break;
        }
        let offset = getrandom::u32().map_err(Failure::because)? % width;
        let port = PORTS.start + u16::try_from(offset).expect("less than the width of a u16 range");
        // One that we hold already is refused like anybody else's.
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            listeners.push((port, listener));
        }
    }
    match listeners.len() == count {
        true => Ok(listeners.into_iter().map(|(port, _)| port).collect()),
        false => Err(Failure::other(format!("fewer than {count} free ports on 127.0.0.1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_finds_the_cluster_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Layout::open_or_create(folder.path(), Some(3)).expect("new");
        let second = Layout::open_or_create(folder.path(), None).expect("there already");
        assert_eq!(first, second);
        assert_eq!(first.members.len(), 3);
    }

    #[test]
    fn a_cluster_does_not_change_its_size() {
        let folder = tempfile::tempdir().expect("a folder");
        Layout::open_or_create(folder.path(), Some(1)).expect("new");
        let refused = Layout::open_or_create(folder.path(), Some(3)).expect_err("it has one node");
        assert_eq!(refused.code, crate::exit::USAGE);
    }

    #[test]
    fn no_two_daemons_share_an_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::open_or_create(folder.path(), Some(5)).expect("new");
        let mut all: Vec<_> = layout.endpoints();
        all.extend(layout.members.iter().map(|member| member.peer_address.clone()));
        all.push(layout.store_address);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 11);
    }
}
