//! One process of a cluster, and what tests do to processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for a state that must come. Generous: it bounds a failure, it measures nothing.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_leasehold"))
}

/// One server or store process and what is needed to start it again.
pub struct Daemon {
    pub(super) name: String,
    pub(super) verb: &'static str,
    pub(super) config: PathBuf,
    pub(super) log: PathBuf,
    pub(super) child: Option<Child>,
}

impl Daemon {
    pub(super) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new(binary())
            .args([self.verb, "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary was built for this test");
        self.child = Some(child);
    }

    pub(super) fn pid(&self) -> Pid {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        Pid::from_child(child)
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is ours and not yet reaped");
    }

    /// SIGKILL, and gone when this returns.
    pub(super) fn kill(&mut self) {
        let mut child = self.child.take().unwrap_or_else(|| panic!("{} does not run", self.name));
        child.kill().expect("ours");
        child.wait().expect("ours");
    }

    /// SIGTERM, and its exit status.
    pub(super) fn terminate(&mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("signalled just now");
        wait_for(&format!("{} to stop after SIGTERM", self.name), || child.try_wait().unwrap())
    }

    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// SIGSTOP, and stopped when this returns.
pub fn pause(pid: Pid) {
    kill_process(pid, Signal::STOP).expect("ours");
    let status = format!("/proc/{}/stat", pid.as_raw_nonzero());
    wait_for("the process to stop", || {
        let text = std::fs::read_to_string(&status).ok()?;
        let state = text.rsplit(')').next()?.split_whitespace().next()?.to_owned();
        (state == "T").then_some(())
    });
}

/// Whether a process with this id runs (a zombie does not).
pub fn runs(pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !matches!(text.rsplit(')').next().and_then(|t| t.split_whitespace().next()), Some("Z" | "X"))
}

/// Polls until there is a value, for at most [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
