//! The process group of a command: signalled as a whole, and only while its leader is not reaped.
//!
//! A group's id is its leader's process id. The kernel gives neither to anybody else while the leader
//! is running or a zombie, so as long as this process, its parent, has not reaped it, a signal can
//! reach nobody but the command and its descendants. That is why the leader's end is looked at with
//! `WNOWAIT`, and why nothing is sent any more once it was
//! reaped.

use std::io;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};

use super::protocol::Ended;
use crate::output::say;

/// A process group whose leader is a child of this process.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Pid,
    reaped: Option<Ended>,
}

/// What has become of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leader {
    /// It runs.
    Runs,
    /// The terminal stopped it since the last look: Ctrl-Z, or a read from the background. (A SIGSTOP
    /// is somebody else's business.)
    Suspended,
    /// It has ended.
    Ended(Ended),
}

impl Group {
    /// The group that `leader` leads; it must be a child of this process.
    pub(crate) fn new(leader: Pid) -> Self {
        Self { leader, reaped: None }
    }

    /// Its id.
    pub(crate) fn id(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    /// Sends a signal to every member. A group that is gone, or reaped, takes it silently. One that
    /// runs wholly as another user cannot be stopped, only watched.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.reaped.is_some() {
            return Ok(());
        }
        match kill_process_group(self.leader, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(Errno::PERM) => {
                say(&format!("leasehold: {signal:?}: the command runs as somebody else"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at the leader without waiting, and leaves its zombie where it is.
    pub(crate) fn leader(&self) -> io::Result<Leader> {
        if let Some(ended) = self.reaped {
            return Ok(Leader::Ended(ended));
        }
        let look = |options| waitid(WaitId::Pid(self.leader), options | WaitIdOptions::NOHANG);
        if let Some(status) = look(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)? {
            return Ok(Leader::Ended(Ended::from_wait(&status)));
        }
        let stopped_by = look(WaitIdOptions::STOPPED)?.and_then(|status| status.stopping_signal());
        let from_terminal = [Signal::TSTP, Signal::TTIN, Signal::TTOU].map(Signal::as_raw);
        match stopped_by {
            Some(signal) if from_terminal.contains(&signal) => Ok(Leader::Suspended),
            Some(_) | None => Ok(Leader::Runs),
        }
    }

    /// Whether anybody in the group is still running. `None` where this system cannot say: there, a
    /// signal to a zombie looks like one to the living.
    pub(crate) fn has_living_members(&self) -> Option<bool> {
        living_members(self.id())
    }

    /// Kills whatever is left of a group whose leader has ended, and only then reaps the leader.
    pub(crate) fn kill_and_reap(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        if self.reaped.is_none()
            && let Some(status) = waitid(WaitId::Pid(self.leader), WaitIdOptions::EXITED)?
        {
            self.reaped = Some(Ended::from_wait(&status));
        }
        Ok(())
    }

    /// Whether the group was reaped and nothing of it lives: a killed process takes a moment to die.
    pub(crate) fn is_gone(&self) -> bool {
        let nobody = || match self.has_living_members() {
            Some(living) => !living,
            None => test_kill_process_group(self.leader) == Err(Errno::SRCH),
        };
        self.reaped.is_some() && nobody()
    }
}

/// On Linux `/proc` tells zombies from the living.
#[cfg(target_os = "linux")]
fn living_members(group: i32) -> Option<bool> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let is_living_member = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        // A process that ends between the two looks is no member any more.
        is_process
            && std::fs::read_to_string(entry.path().join("stat"))
                .is_ok_and(|stat| is_living_member_of(group, &stat))
    };
    Some(processes.flatten().any(is_living_member))
}

#[cfg(not(target_os = "linux"))]
fn living_members(_group: i32) -> Option<bool> {
    None
}

/// Reads a line of `/proc/PID/stat`: `pid (name) state parent group ...`, where the name may hold
/// anything, closing brackets included.
#[cfg(target_os = "linux")]
fn is_living_member_of(group: i32, stat: &str) -> bool {
    let Some((_, after_name)) = stat.rsplit_once(')') else { return false };
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next();
    let member_of = fields.nth(1).and_then(|text| text.parse::<i32>().ok());
    member_of == Some(group) && !matches!(state, Some("Z" | "X"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn zombies_and_strangers_are_no_living_members() {
        assert!(is_living_member_of(42, "7 (sleep) S 1 42 42 0 -1"));
        assert!(is_living_member_of(42, "7 (a) b) R 1 42 42 0 -1"));
        assert!(!is_living_member_of(42, "7 (sleep) Z 1 42 42 0 -1"));
        assert!(!is_living_member_of(42, "7 (sleep) S 42 41 42 0 -1"));
        assert!(!is_living_member_of(42, ""));
    }
}
