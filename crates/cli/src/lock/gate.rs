//! The process that becomes the command: it stops itself, and turns into the command when continued.
//!
//! So there is a process, with an id that watchdog and supervisor both know, before a single
//! instruction of the command has run. If the watchdog dies first, the kernel kills this process (on
//! Linux, where it asks for that, and the wish outlives the exec) or hangs it up (POSIX: a stopped
//! group that becomes orphaned).

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process, waitid};

use super::group::Group;
use crate::exit::{self, Exit, Failure};

/// The hidden verb.
#[derive(Debug, clap::Args)]
pub(crate) struct GateArgs {
    /// The process that started this one; if it is not the parent any more, it is dead.
    #[arg(long)]
    parent: i32,
    /// What to become.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Starts the gate in a group of its own and waits until it stands still. The command reads from
/// `stdin`, and writes where this process does.
pub(crate) fn spawn(command: &[OsString], stdin: Stdio) -> io::Result<Group> {
    let child = Command::new(std::env::current_exe()?)
        .arg("gate")
        .arg("--parent")
        .arg(getpid().as_raw_nonzero().to_string())
        .arg("--")
        .args(command)
        .stdin(stdin)
        .process_group(0)
        .spawn()?;
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let leader = leader.ok_or_else(|| io::Error::other("a process id that is none"))?;
    let news = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(leader), news)? {
        Some(status) if status.stopped() => {
            // Take the news that was only looked at: it must not read as "suspended" later.
            waitid(WaitId::Pid(leader), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?;
            Ok(Group::new(leader))
        }
        _ => Err(io::Error::other("it ended before it began")),
    }
}

/// Runs the hidden verb.
pub(crate) fn run(args: &GateArgs) -> Result<Exit, Failure> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| {
        Failure::other(format!("cannot tie the command to its watchdog: {error}"))
    })?;
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(args.parent) {
        return Err(Failure::other("the watchdog is gone"));
    }
    kill_process(getpid(), Signal::STOP)
        .map_err(|error| Failure::other(format!("cannot wait for the lease: {error}")))?;
    let (program, arguments) = args.command.split_first().expect("clap requires one");
    let error = Command::new(program).args(arguments).exec();
    let status = match error.kind() {
        io::ErrorKind::NotFound => exit::COMMAND_NOT_FOUND,
        _ => exit::COMMAND_NOT_RUNNABLE,
    };
    eprintln!("leasehold: cannot run {}: {error}", program.display());
    Ok(Exit::Command(status))
}
