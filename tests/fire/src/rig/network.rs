//! A network of the run's own: one namespace a host, and one with the bridge between them.
//!
//! The run itself lives in the bridge's namespace, so its own questions pass no cut. A host knows the
//! others by name, and each name is an address on its own loopback: a [`proxy`](super::proxy) listens
//! there, which is how every directed link gets a place where it can be disturbed. Between two hosts
//! packets carry the hosts' real addresses, which is what a [`partition`](super::partition) drops.
//!
//! Names carry the process id of the run, and everything is removed when this is dropped.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::dates::Dates;
use crate::Outcome;

/// Every namespace's name begins so, and goes on with the process id of its run.
const PREFIX: &str = "leasehold-fire-";

/// A machine of the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Host {
    /// What the others call it, such as `node-1`.
    pub(crate) name: String,
    /// The last byte of its address.
    pub(crate) octet: u8,
}

impl Host {
    /// Its address on the bridge.
    pub(crate) fn address(&self) -> String {
        format!("10.77.0.{}", self.octet)
    }

    /// Where the others find the way to it: on their own loopback.
    pub(crate) fn loopback(&self) -> String {
        format!("127.0.1.{}", self.octet)
    }
}

/// The namespaces.
#[derive(Debug)]
pub(crate) struct Network {
    prefix: String,
    hosts: Vec<Host>,
    /// Without them every host has the machine's date.
    pub(crate) dates: Option<Dates>,
}

impl Network {
    /// Makes the namespaces, and moves this thread into the bridge's. Threads started later follow.
    pub(crate) fn create(hosts: Vec<Host>) -> Outcome<Self> {
        sweep()?;
        let network =
            Self { prefix: format!("{PREFIX}{}", std::process::id()), hosts, dates: None };
        let bridge = network.bridge();
        ip(&["netns", "add", &bridge], "")?;
        ip(
            &["-n", &bridge, "-batch", "-"],
            "link set lo up\nlink add br0 type bridge forward_delay 0\n\
             addr add 10.77.0.1/16 dev br0\nlink set br0 up\n",
        )?;
        for host in &network.hosts {
            network.attach(host)?;
        }
        enter(&bridge)?;
        Ok(network)
    }

    fn bridge(&self) -> String {
        format!("{}-bridge", self.prefix)
    }

    /// The namespace of a host.
    pub(crate) fn namespace(&self, host: &Host) -> String {
        format!("{}-{}", self.prefix, host.name)
    }

    pub(crate) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    fn attach(&self, host: &Host) -> Outcome<()> {
        let (namespace, bridge) = (self.namespace(host), self.bridge());
        let Host { octet, .. } = host;
        std::fs::create_dir_all(names_of(&namespace))?;
        let mut names = String::from("127.0.0.1 localhost\n");
        for other in &self.hosts {
            names += &format!("{} {}\n", other.loopback(), other.name);
        }
        std::fs::write(names_of(&namespace).join("hosts"), names)?;
        ip(&["netns", "add", &namespace], "")?;
        let bridge_side = format!(
            "link add p{octet} type veth peer name eth0 netns {namespace}\n\
             link set p{octet} master br0\nlink set p{octet} up\n"
        );
        ip(&["-n", &bridge, "-batch", "-"], &bridge_side)?;
        let host_side =
            format!("link set lo up\naddr add {}/16 dev eth0\nlink set eth0 up\n", host.address());
        ip(&["-n", &namespace, "-batch", "-"], &host_side)
    }

    /// A command that runs on a host, and dies with this process.
    pub(crate) fn command(&self, host: &Host, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]);
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        if let Some(dates) = &self.dates {
            dates.tell(host, &mut command);
        }
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let namespaces = self.hosts.iter().map(|host| self.namespace(host)).chain([self.bridge()]);
        for namespace in namespaces {
            // What was never made cannot be removed, and nobody is left to be told.
            let _ = ip(&["netns", "delete", &namespace], "");
            let _ = std::fs::remove_dir_all(names_of(&namespace));
        }
    }
}

/// Removes what runs left behind that were killed themselves.
fn sweep() -> Outcome<()> {
    // Before the first namespace of a machine there is no such directory.
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return Ok(()) };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| !PathBuf::from("/proc").join(id).exists()) {
            ip(&["netns", "delete", &name], "")?;
            let _ = std::fs::remove_dir_all(names_of(&name));
        }
    }
    Ok(())
}

/// `ip netns exec` shows a host the files in here in place of those in `/etc`.
fn names_of(namespace: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(namespace)
}

/// Moves this thread into a namespace.
pub(crate) fn enter(namespace: &str) -> Outcome<()> {
    let file = File::open(PathBuf::from("/run/netns").join(namespace))?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

fn ip(arguments: &[&str], input: &str) -> Outcome<()> {
    feed("ip", arguments, input).map(|_| ())
}

/// Runs a tool on some input, and gives what it printed.
pub(crate) fn feed(tool: &str, arguments: &[&str], input: &str) -> Outcome<String> {
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{tool}: {error}"))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{tool} {}: {}", arguments.join(" "), said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
