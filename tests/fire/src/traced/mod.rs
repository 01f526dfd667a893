//! One daemon under strace, which fails its calls or writes them down, and what it is asked meanwhile.

pub(crate) mod script;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::rig::cluster::{Machine, Size};
use crate::rig::network::Network;
use script::Script;

/// Longest time until a daemon serves, or has stopped.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Where such a daemon runs: a cluster of one beside one store, with many snapshots.
pub(crate) const ALONE: Size = Size { nodes: 1, stores: 1, clients: 0, snapshot_entries: 8 };

/// Runs a machine's program under strace. Its times count from the epoch: it knows no other clock.
pub(crate) fn command(
    network: &Network,
    machine: &Machine,
    log: &Path,
    options: &[&str],
) -> Command {
    let (program, arguments) = machine.program();
    let mut command = network.command(&machine.host, Path::new("strace"));
    command.args(["-f", "--seccomp-bpf", "-qq", "-ttt", "-o"]).arg(log).args(options);
    // When strace is killed, what it traced would go on.
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
    command
}

/// Which of the two machines of [`ALONE`] is asked.
pub(crate) fn machine_for(
    script: Script,
    network: &Network,
    directory: &Path,
    binary: &Path,
) -> Outcome<Machine> {
    let cluster = crate::rig::cluster::Cluster::prepare(ALONE, network, directory, binary)?;
    let machine = match script {
        Script::Lease => cluster.nodes.into_iter().next(),
        Script::Store => cluster.stores.into_iter().next(),
    };
    Ok(machine.ok_or("a cluster of one has one")?)
}

/// Kills what strace traces, and strace: in that order, or the first would outlive the second.
pub(crate) async fn end(machine: &mut Machine) -> Outcome<()> {
    if let Some(traced) = machine.daemon.pid().and_then(traced) {
        kill_process(traced, Signal::KILL)?;
        let deadline = Instant::now() + PATIENCE;
        while machine.daemon.ended_by_itself()?.is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    machine.kill().map(drop)
}

/// The process that a strace with this id traces: its only child.
fn traced(strace: Pid) -> Option<Pid> {
    let id = strace.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}
