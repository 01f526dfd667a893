//! One daemon as a child process that cannot outlive this one: its standard input is a pipe from
//! here, and it stops when that ends, which happens however this process dies.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};

use super::layout::{config_file, log_file};

/// How long a daemon that was asked to stop may take.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A running daemon, or one that has died.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    pid: Pid,
    child: Child,
    /// Held open for as long as the daemon shall run.
    _lifeline: Option<ChildStdin>,
}

impl Daemon {
    /// Starts `leasehold VERB` with the config of that name in `folder`. What it says goes to its log
    /// there.
    pub(crate) fn start(folder: &Path, verb: &str, name: &str) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log_file(folder, name))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(verb)
            .arg("--config")
            .arg(config_file(folder, name))
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for this process, which then stops them in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a child without an id"))?;
        let _lifeline = child.stdin.take();
        Ok(Self { name: name.to_owned(), pid, child, _lifeline })
    }

    /// `node-1` or `store`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Completes when it has ended, by itself or not. Cancel safe.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Whether it runs; a look, not a wait.
    pub(crate) fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Asks it to stop, waits, and kills it if it does not.
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // Not reaped, so the id is still its own. A stopped one hears TERM only once it goes on.
        kill_process(self.pid, Signal::TERM)?;
        kill_process(self.pid, Signal::CONT)?;
        match tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => self.child.kill().await,
        }
    }
}
