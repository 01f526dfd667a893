//! Who may read the terminal. A command in a process group of its own would be stopped at its first
//! read, so it is made the terminal's foreground group while it runs, as a shell does with a job.
//!
//! Only where both input and output are that terminal, and only if it is ours to give: in
//! `leasehold lock x -- report | less` the pager, in our group, needs the keyboard.

use std::io::{self, IsTerminal};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::process::{Pid, getpgrp};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// The terminal, while it is this process group's to give away.
#[derive(Debug)]
pub(crate) struct Terminal {
    ours: Pid,
}

impl Terminal {
    /// The terminal that this process reads and writes, if its group is in the foreground there.
    pub(crate) fn in_foreground() -> Option<Self> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        if !stdin.is_terminal() || !stdout.is_terminal() {
            return None;
        }
        let ours = getpgrp();
        tcgetpgrp(stdin).ok().filter(|foreground| *foreground == ours).map(|_| Self { ours })
    }

    /// Whether this process's group is in the foreground now.
    pub(crate) fn is_ours(&self) -> bool {
        tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground == self.ours)
    }

    /// Puts another group in the foreground.
    pub(crate) fn give_to(&self, group: Pid) {
        set_foreground(group);
    }

    /// Puts this process's group there again.
    pub(crate) fn take_back(&self) {
        set_foreground(self.ours);
    }
}

/// A terminal that was hung up has no foreground, and whoever is supervised needs none.
fn set_foreground(group: Pid) {
    if let Err(error) = try_set_foreground(group) {
        tracing::debug!(%error, "the terminal's foreground cannot be set");
    }
}

/// A background group that asks for the terminal is stopped by SIGTTOU, unless it blocks that signal.
fn try_set_foreground(group: Pid) -> io::Result<()> {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let outcome = tcsetpgrp(io::stdin(), group);
    before.thread_set_mask()?;
    Ok(outcome?)
}
