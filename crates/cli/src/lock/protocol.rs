//! What supervisor and watchdog say to each other: one JSON object a line, over a socket pair that is
//! the watchdog's standard input.
//!
//! The supervisor's first line travels with a file descriptor, the terminal or pipe that the command
//! shall read from: the watchdog's own standard input is the socket. The end of the stream says that
//! the other side is gone; there is no other farewell.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use leasehold_client::Moment;
use leasehold_clock::Reading;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::WaitIdStatus;
use serde::{Deserialize, Serialize};

use super::schedule::Cause;
use crate::exit::Exit;

/// From the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToWatchdog {
    /// The lease is surely ours until then.
    Bound(WireMoment),
    /// Let the command run.
    Go,
    /// The lease is lost: stop it.
    Stop,
    /// Send this signal, by number, to the command's group.
    Signal(i32),
}

/// From the watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToSupervisor {
    /// The command's process exists, in a group of its own, and has not started yet.
    Ready {
        /// Its id, which is also the group's.
        group: i32,
    },
    /// The command was stopped, by Ctrl-Z for instance.
    Suspended,
    /// The whole group is gone.
    Finished {
        /// How the command ended.
        status: Ended,
        /// Why it was stopped, if it was.
        stopped: Option<Cause>,
    },
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// It exited with this status.
    Exited(u8),
    /// This signal ended it.
    Signalled(i32),
}

impl Ended {
    /// Reads it from what `waitid` tells of a process that ended.
    pub(crate) fn from_wait(status: &WaitIdStatus) -> Self {
        match status.exit_status() {
            Some(code) => Self::Exited(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
            None => Self::Signalled(status.terminating_signal().unwrap_or(0)),
        }
    }

    /// How this process ends if that is how its command ended.
    pub(crate) fn as_exit(self) -> Exit {
        match self {
            Self::Exited(status) => Exit::Command(status),
            Self::Signalled(signal) => Exit::signalled(signal),
        }
    }
}

/// A [`Moment`] on the wire: so many nanoseconds after a reading, never "so many from now", since a
/// message may sit in the socket for as long as its sender is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireMoment {
    monotonic: u64,
    raw: u64,
    boot: u64,
    after: u64,
}

impl WireMoment {
    /// Expresses a moment as so long after `now`.
    pub(crate) fn seen_from(now: &Reading, moment: &Moment) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            monotonic: nanos(now.monotonic),
            raw: nanos(now.raw),
            boot: nanos(now.boot),
            after: nanos(moment.remaining(now)),
        }
    }
}

impl From<WireMoment> for Moment {
    fn from(wire: WireMoment) -> Self {
        let WireMoment { monotonic, raw, boot, after } = wire;
        let from = Reading {
            monotonic: Duration::from_nanos(monotonic),
            raw: Duration::from_nanos(raw),
            boot: Duration::from_nanos(boot),
        };
        Self::new(from, Duration::from_nanos(after))
    }
}

/// A message as a line.
pub(crate) fn line<M: Serialize>(message: &M) -> String {
    let mut text = serde_json::to_string(message).expect("these types always serialize");
    text.push('\n');
    text
}

/// A line as a message.
pub(crate) fn parse<M: for<'a> Deserialize<'a>>(line: &str) -> io::Result<M> {
    serde_json::from_str(line).map_err(io::Error::from)
}

/// Sends one byte, and with it a descriptor: before anything else is said.
pub(crate) fn send_descriptor(socket: impl AsFd, descriptor: impl AsFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(socket, &[io::IoSlice::new(b"\n")], &mut ancillary, SendFlags::empty())?;
    Ok(())
}

/// Receives that byte and that descriptor.
pub(crate) fn receive_descriptor(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0_u8; 1];
    let mut parts = [io::IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let received = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    received.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no descriptor came"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Reading {
        let time = Duration::from_secs(seconds);
        Reading { monotonic: time, raw: time, boot: time + time }
    }

    #[test]
    fn a_bound_is_the_same_moment_after_the_wire_however_long_that_took() {
        let bound = Moment::new(at(10), Duration::from_secs(10));
        let text = line(&ToWatchdog::Bound(WireMoment::seen_from(&at(12), &bound)));
        let Ok(ToWatchdog::Bound(wire)) = parse(&text) else { panic!("{text}") };
        for seconds in [12, 15, 19, 20, 30] {
            let now = at(seconds);
            assert_eq!(Moment::from(wire).remaining(&now), bound.remaining(&now));
        }
    }

    #[test]
    fn a_signal_is_told_as_a_shell_tells_it() {
        assert_eq!(Ended::Signalled(9).as_exit(), Exit::Command(137));
        assert_eq!(Ended::Exited(7).as_exit(), Exit::Command(7));
    }
}
