//! The process between `leasehold lock` and its command. It owns the command's process group: it
//! starts it, is the only one to signal it, and reaps it.
//!
//! It exists because a lock that is killed or stopped cannot kill anything. It is told each bound as
//! it is proven, and stops the command when the last one comes near, when it is told to, or when the
//! socket to the lock closes, which no kind of death can prevent. It ignores the signals that a
//! terminal or an operator sends to everything called `leasehold`; the lock forwards those that the
//! command should have.
//!
//! What neither process can do is outlive a SIGKILL or SIGSTOP sent to both. The kernel then kills
//! the command itself on Linux, not what it started; the rest is the fenced store's work.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::time::Duration;

use leasehold_client::Moment;
use leasehold_clock::{Clock, MachineClock};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::signal::unix::{SignalKind, signal};

use super::gate;
use super::group::{Group, Leader};
use super::protocol::{ToSupervisor, ToWatchdog, line, parse, receive_descriptor};
use super::schedule::{Act, Cause, Schedule};
use crate::exit::{Exit, Failure};
use crate::supervise::signals;

/// Between two looks at what a command left behind: nobody reports the end of a grandchild.
const LEFTOVERS_LOOK_EVERY: Duration = Duration::from_millis(10);

/// The hidden verb.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchdogArgs {
    /// The lease's ttl in milliseconds.
    #[arg(long)]
    ttl_ms: u64,
    /// What to run.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the hidden verb.
pub(crate) fn run(args: &WatchdogArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::because)?;
    runtime
        .block_on(watch(args))
        .map(|()| Exit::Done)
        .map_err(|error| Failure::other(format!("watchdog: {error}")))
}

async fn watch(args: &WatchdogArgs) -> io::Result<()> {
    let _ignored = signals::shield()?;
    let socket = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdin = receive_descriptor(&socket)?;
    socket.set_nonblocking(true)?;
    let (reader, writer) = UnixStream::from_std(socket)?.into_split();
    let mut lines = BufReader::new(reader).lines();

    let Some(first) = lines.next_line().await? else { return Ok(()) };
    let ToWatchdog::Bound(bound) = parse(&first)? else {
        return Err(io::Error::other(format!("the first message must be a bound, not {first}")));
    };
    let mut child_news = signal(SignalKind::child())?;
    let group = gate::spawn(&args.command, Stdio::from(stdin))?;
    let schedule = Schedule::new(Duration::from_millis(args.ttl_ms), Moment::from(bound));
    let mut watchdog = Watchdog { clock: MachineClock, schedule, group, leaderless: false, writer };
    watchdog.tell(&ToSupervisor::Ready { group: watchdog.group.id() }).await;

    let mut supervisor_lives = true;
    while !watchdog.look().await? {
        tokio::select! {
            heard = lines.next_line(), if supervisor_lives => match heard {
                Ok(Some(text)) => watchdog.on_message(parse(&text)?)?,
                Ok(None) | Err(_) => {
                    supervisor_lives = false;
                    watchdog.stop(Cause::SupervisorGone)?;
                }
            },
            _ = child_news.recv() => {}
            () = tokio::time::sleep(watchdog.next_look()) => {}
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Watchdog {
    clock: MachineClock,
    schedule: Schedule,
    group: Group,
    leaderless: bool,
    writer: OwnedWriteHalf,
}

impl Watchdog {
    fn on_message(&mut self, message: ToWatchdog) -> io::Result<()> {
        match message {
            ToWatchdog::Bound(bound) => {
                self.schedule.extend(Moment::from(bound), &self.clock.read());
                Ok(())
            }
            ToWatchdog::Go => self.go(),
            ToWatchdog::Stop => self.stop(Cause::LeaseLost),
            ToWatchdog::Signal(number) => match Signal::from_named_raw(number) {
                Some(signal) => self.group.signal(signal),
                None => Ok(()),
            },
        }
    }

    /// Lets the command run, unless it is too late for that: the message may have been on its way
    /// for as long as its sender was stopped.
    fn go(&mut self) -> io::Result<()> {
        self.act_as_scheduled()?;
        if self.schedule.cause().is_none() { self.group.signal(Signal::CONT) } else { Ok(()) }
    }

    fn stop(&mut self, cause: Cause) -> io::Result<()> {
        let act = self.schedule.stop(cause, &self.clock.read());
        self.perform(act)
    }

    fn act_as_scheduled(&mut self) -> io::Result<()> {
        let act = self.schedule.tick(&self.clock.read());
        self.perform(act)
    }

    fn perform(&self, act: Option<Act>) -> io::Result<()> {
        match act {
            None => Ok(()),
            // A suspended process acts on TERM only once it is continued.
            Some(Act::Term) => {
                self.group.signal(Signal::TERM)?;
                self.group.signal(Signal::CONT)
            }
            Some(Act::Kill) => self.group.signal(Signal::KILL),
        }
    }

    /// Does what is due and tells what has happened. True when all is over.
    async fn look(&mut self) -> io::Result<bool> {
        self.act_as_scheduled()?;
        let status = match self.group.leader()? {
            Leader::Runs => return Ok(false),
            Leader::Suspended => {
                self.tell(&ToSupervisor::Suspended).await;
                return Ok(false);
            }
            Leader::Ended(status) => status,
        };
        self.leaderless = true;
        self.clear_leftovers()?;
        if !self.group.is_gone() {
            return Ok(false);
        }
        let stopped = self.schedule.cause().filter(|cause| *cause != Cause::CommandExited);
        self.tell(&ToSupervisor::Finished { status, stopped }).await;
        Ok(true)
    }

    /// The leader has ended: what it left in its group is asked to stop, then killed.
    fn clear_leftovers(&mut self) -> io::Result<()> {
        // Where nobody can say who is alive, what a finished command left is not waited for.
        let may_live = self.group.has_living_members();
        if may_live == Some(true) {
            self.stop(Cause::CommandExited)?;
        }
        let may_finish = match self.schedule.cause() {
            None | Some(Cause::CommandExited) => may_live == Some(true),
            Some(_) => may_live != Some(false),
        };
        if may_finish && !self.schedule.has_killed() {
            return Ok(());
        }
        self.group.kill_and_reap()
    }

    fn next_look(&self) -> Duration {
        let scheduled = self.schedule.next_look(&self.clock.read());
        if self.leaderless { scheduled.min(LEFTOVERS_LOOK_EVERY) } else { scheduled }
    }

    /// Nobody may be there to hear it; the end of the other direction tells.
    async fn tell(&mut self, message: &ToSupervisor) {
        if let Err(error) = self.writer.write_all(line(message).as_bytes()).await {
            tracing::debug!(%error, "the supervisor is gone");
        }
    }
}
