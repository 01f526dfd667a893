//! A daemon under strace, which answers one of its syncs with EIO and writes down when.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;

use crate::Outcome;
use crate::rig::cluster::Machine;
use crate::rig::network::Network;

/// Runs a machine's program so that each thread's n-th fsync, and n-th fdatasync, fails.
pub(super) fn command(network: &Network, machine: &Machine, log: &Path, call: u64) -> Command {
    let (program, arguments) = machine.program();
    let mut command = network.command(&machine.host, Path::new("strace"));
    command.args(["-f", "--seccomp-bpf", "-qq", "-ttt", "-o"]).arg(log);
    command.args(["-e", "trace=fsync,fdatasync"]);
    command.args(["-e", &format!("inject=fsync,fdatasync:error=EIO:when={call}")]);
    // When strace is killed, what it traced would go on.
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
    command
}

/// The process that a strace with this id traces: its only child.
pub(super) fn traced(strace: Pid) -> Option<Pid> {
    let id = strace.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

/// When errors were put in, since the epoch.
pub(super) fn errors(log: &Path) -> Outcome<Vec<Duration>> {
    let text = std::fs::read_to_string(log)?;
    text.lines().filter(|line| line.contains("(INJECTED)")).map(time).collect()
}

/// A line begins with the thread and the time.
fn time(line: &str) -> Outcome<Duration> {
    let time = line.split_whitespace().nth(1).ok_or_else(|| format!("no time in {line:?}"))?;
    Ok(Duration::try_from_secs_f64(time.parse()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_injected_errors_are_read_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let text = "71 1764334343.250000 fdatasync(9) = 0\n\
                    72 1764334344.500000 fsync(11) = -1 EIO (Input/output error) (INJECTED)\n";
        std::fs::write(&log, text).unwrap();
        assert_eq!(errors(&log).unwrap(), [Duration::from_millis(1_764_334_344_500)]);
    }
}
