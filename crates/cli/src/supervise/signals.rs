//! Signals, by number, without handlers of our own.
//!
//! A signal that was ignored when this program started stays ignored, here and in what it runs: that
//! is what `nohup` and a shell's background jobs rely on.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What is passed on to a command. CONT is among them: it resumes a job that Ctrl-Z has suspended.
const FORWARDED: [Signal; 7] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::CONT,
];

/// What asks this program to end.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// What asks a daemon to stop.
const STOPPING: [Signal; 2] = [Signal::INT, Signal::TERM];

/// A number of signals, caught from now on for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Signals(Vec<(Signal, Stream)>);

/// What a supervisor passes on to its command.
pub(crate) fn forwarded() -> io::Result<Signals> {
    Signals::catch(&FORWARDED)
}

/// What asks this program to end.
pub(crate) fn ending() -> io::Result<Signals> {
    Signals::catch(&ENDING)
}

/// What asks a daemon to stop.
pub(crate) fn stopping() -> io::Result<Signals> {
    Signals::catch(&STOPPING)
}

/// Catches what would end this process, and drops it: for processes that end when their work does.
pub(crate) fn shield() -> io::Result<Signals> {
    Signals::catch(&FORWARDED)
}

impl Signals {
    /// Catches these, except those that are ignored.
    pub(crate) fn catch(wanted: &[Signal]) -> io::Result<Self> {
        let ignored = ignored_at_start();
        let caught = wanted.iter().filter(|wanted| ignored & bit(**wanted) == 0);
        let streams = caught.map(|wanted| {
            let stream = signal(SignalKind::from_raw(wanted.as_raw()))?;
            Ok((*wanted, stream))
        });
        streams.collect::<io::Result<_>>().map(Self)
    }

    /// The next of them. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let arrived = self.0.iter_mut().find_map(|(signal, stream)| {
                matches!(stream.poll_recv(context), Poll::Ready(Some(()))).then_some(*signal)
            });
            arrived.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// What people call it.
pub(crate) fn name(signal: Signal) -> String {
    let name = match signal {
        Signal::HUP => "SIGHUP",
        Signal::INT => "SIGINT",
        Signal::QUIT => "SIGQUIT",
        Signal::TERM => "SIGTERM",
        Signal::USR1 => "SIGUSR1",
        Signal::USR2 => "SIGUSR2",
        Signal::CONT => "SIGCONT",
        other => return format!("signal {}", other.as_raw()),
    };
    name.to_owned()
}

fn bit(signal: Signal) -> u64 {
    u32::try_from(signal.as_raw() - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
}

/// One bit for each signal. Where there is no `/proc`, none is known to be ignored.
fn ignored_at_start() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

fn ignored_in(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_kernels_mask() {
        let ignored = ignored_in("Name:\tx\nSigBlk:\tffff\nSigIgn:\t0000000000001001\n");
        assert_ne!(ignored & bit(Signal::HUP), 0);
        assert_ne!(ignored & bit(Signal::PIPE), 0);
        assert_eq!(ignored & bit(Signal::TERM), 0);
        assert_eq!(ignored_in(""), 0);
    }
}
