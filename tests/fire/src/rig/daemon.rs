//! One process of the run: a node, a store or a client, and what is needed to start it again.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// A process by name. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    log: PathBuf,
    child: Option<Child>,
    stopped: bool,
}

impl Daemon {
    /// Not started yet.
    pub(crate) fn new(name: &str, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        Self { name: name.to_owned(), log, child: None, stopped: false }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it with that command; what it says goes to its log.
    pub(crate) fn start(&mut self, mut command: Command) -> Outcome<()> {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let said = log.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(said).stderr(log).spawn()?;
        self.child = Some(child);
        self.stopped = false;
        Ok(())
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// Whether it was started and not waited for.
    pub(crate) fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Whether the run stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether it ended without being told to; it is then no longer up.
    pub(crate) fn ended_by_itself(&mut self) -> Outcome<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// SIGKILL, and gone when this returns. False when it was gone before.
    pub(crate) fn kill(&mut self) -> Outcome<bool> {
        let Some(mut child) = self.child.take() else { return Ok(false) };
        self.stopped = false;
        child.kill()?;
        let status = child.wait()?;
        Ok(std::os::unix::process::ExitStatusExt::signal(&status) == Some(9))
    }

    /// SIGSTOP, and stopped when this returns. False when it is gone.
    pub(crate) fn stop(&mut self) -> bool {
        let Some(pid) = self.pid() else { return false };
        if kill_process(pid, Signal::STOP).is_err() {
            return false;
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            match state(pid) {
                Some('T' | 't') => {
                    self.stopped = true;
                    return true;
                }
                None | Some('Z' | 'X') => return false,
                Some(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        false
    }

    /// SIGCONT.
    pub(crate) fn go_on(&mut self) {
        self.stopped = false;
        self.signal(Signal::CONT);
    }

    /// Whether it lies stopped, by whomever.
    pub(crate) fn lies_stopped(&self) -> bool {
        self.pid().and_then(state) == Some('T')
    }

    /// Sends a signal, if it is there to take it.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself, which the next look at it tells.
            let _ = kill_process(pid, signal);
        }
    }

    /// Everything it said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read(&self.log)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// The end of what it said.
    pub(crate) fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Whoever drops it has given up on it.
        let _ = self.kill();
    }
}

/// The state of a process as the kernel abbreviates it.
fn state(pid: Pid) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    text.rsplit(')').next()?.trim_start().chars().next()
}
