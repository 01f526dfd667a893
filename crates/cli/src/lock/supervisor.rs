//! The part of `leasehold lock` that holds the lease while its watchdog runs the command.
//!
//! It tells the watchdog each new bound, forwards signals, and says "stop" when the lease is lost.
//! The watchdog does the rest, so that there is one owner of the process group; only if the watchdog
//! itself dies, or stands still past the moment to kill, does this kill the group instead.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use leasehold_client::{LeaseGuard, LeaseState, Moment};
use leasehold_clock::{Clock, MachineClock, Reading};
use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::protocol::{Ended, ToSupervisor, ToWatchdog, WireMoment, line, parse, send_descriptor};
use super::schedule::{Cause, Schedule};
use super::terminal::Terminal;
use crate::output::{human, say};
use crate::supervise::signals::Signals;

/// How long a new watchdog has to put up its command.
const WATCHDOG_START: Duration = Duration::from_secs(10);
/// How long a watchdog that is overdue has to say what became of the command.
const LAST_WORD: Duration = Duration::from_millis(20);
/// How often the bound is looked at, at most and at least.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// How a supervised command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By itself, or by a signal that was forwarded.
    Ended(Ended),
    /// It was stopped because the lease was lost, or about to be.
    LeaseLost,
    /// The watchdog was killed, so the command was.
    WatchdogDied,
    /// The watchdog did not do its work in time, so this process did.
    WatchdogStoodStill,
}

/// Runs `command` for as long as `lease` is held. When this returns, nothing of its process group is
/// alive, unless the watchdog was killed: then all of it was killed just now.
pub(crate) async fn supervise(
    lease: &LeaseGuard,
    command: &[OsString],
    signals: &mut Signals,
) -> io::Result<Outcome> {
    let mut watchdog = Watchdog::start(lease, command)?;
    let supervised = watchdog.supervise(lease, signals).await;
    watchdog.bury(supervised)
}

/// The watchdog's process and the socket to it.
struct Watchdog {
    process: std::process::Child,
    socket: Option<StdUnixStream>,
}

impl Watchdog {
    /// Starts it, and hands it what the command shall read.
    fn start(lease: &LeaseGuard, command: &[OsString]) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let process = Command::new(std::env::current_exe()?)
            .arg("watchdog")
            .arg("--ttl-ms")
            .arg(lease.ttl().as_millis().to_string())
            .arg("--")
            .args(command)
            .env("LEASEHOLD_RESOURCE", lease.resource())
            .env("LEASEHOLD_TOKEN", lease.token().to_string())
            .env("LEASEHOLD_CLUSTER_ID", lease.cluster_id())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .process_group(0)
            .spawn()?;
        send_descriptor(&ours, io::stdin())?;
        ours.set_nonblocking(true)?;
        Ok(Self { process, socket: Some(ours) })
    }

    async fn supervise(
        &mut self,
        lease: &LeaseGuard,
        signals: &mut Signals,
    ) -> io::Result<Outcome> {
        let socket = self.socket.take().expect("nobody took it since the start");
        let mut supervisor = Supervisor::begin(lease, socket).await?;
        let terminal = Terminal::in_foreground();
        if let Some(terminal) = &terminal {
            terminal.give_to(supervisor.group);
        }
        let outcome = supervisor.run(lease, signals, terminal.as_ref()).await;
        if let Some(terminal) = &terminal {
            terminal.take_back();
        }
        outcome
    }

    /// With the socket closed it ends by itself, and takes the command with it; unless it stands
    /// still, in which case the command was killed and only the watchdog is left.
    fn bury(mut self, supervised: io::Result<Outcome>) -> io::Result<Outcome> {
        drop(self.socket.take());
        if matches!(supervised, Ok(Outcome::WatchdogStoodStill)) {
            self.process.kill()?;
        }
        self.process.wait()?;
        supervised
    }
}

/// What a supervisor knows while the command runs.
struct Supervisor {
    reader: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    group: Pid,
    told: Moment,
}

impl Supervisor {
    /// Waits until the command's process exists. It does not run yet.
    async fn begin(lease: &LeaseGuard, socket: StdUnixStream) -> io::Result<Self> {
        let (reader, mut writer) = UnixStream::from_std(socket)?.into_split();
        let mut reader = BufReader::new(reader).lines();
        let told = lease.bound();
        let first = ToWatchdog::Bound(WireMoment::seen_from(&MachineClock.read(), &told));
        writer.write_all(line(&first).as_bytes()).await?;
        let ready = tokio::time::timeout(WATCHDOG_START, reader.next_line()).await;
        let group = match ready {
            Ok(Ok(Some(text))) => match parse(&text)? {
                ToSupervisor::Ready { group } => Pid::from_raw(group),
                ToSupervisor::Suspended | ToSupervisor::Finished { .. } => None,
            },
            Ok(Ok(None) | Err(_)) | Err(_) => None,
        };
        let group = group.ok_or_else(|| io::Error::other("the watchdog did not start"))?;
        Ok(Self { reader, writer, group, told })
    }

    async fn run(
        &mut self,
        lease: &LeaseGuard,
        signals: &mut Signals,
        terminal: Option<&Terminal>,
    ) -> io::Result<Outcome> {
        let clock = MachineClock;
        // Renewals move the bound on every third of the ttl; looked at often enough to lose little.
        let look_every = (lease.ttl() / 20).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
        let mut changes = lease.changes();
        let mut lease_lives = true;
        self.say(&ToWatchdog::Go);
        loop {
            tokio::select! {
                heard = self.reader.next_line() => match heard {
                    Ok(Some(text)) => match parse(&text)? {
                        ToSupervisor::Finished { status, stopped } => return Ok(outcome(status, stopped)),
                        ToSupervisor::Suspended => suspend_this_job(terminal),
                        ToSupervisor::Ready { .. } => {}
                    },
                    Ok(None) | Err(_) => return self.kill_group(Outcome::WatchdogDied),
                },
                signal = signals.next() => self.on_signal(signal, terminal),
                _ = lease.lost(), if lease_lives => {
                    lease_lives = false;
                    if !self.say(&ToWatchdog::Stop) {
                        return self.last_word().await;
                    }
                }
                // The sender lives as long as the lease.
                _ = changes.changed() => report(lease.resource(), *changes.borrow_and_update()),
                () = tokio::time::sleep(look_every) => self.tell_bound(lease, &clock.read()),
            }
            if overdue(lease.ttl(), &self.told, &clock.read()) {
                return self.last_word().await;
            }
        }
    }

    fn on_signal(&self, signal: Signal, terminal: Option<&Terminal>) {
        if let Some(terminal) = terminal.filter(|it| signal == Signal::CONT && it.is_ours()) {
            terminal.give_to(self.group);
        }
        self.say(&ToWatchdog::Signal(signal.as_raw()));
    }

    /// A bound that could not be told counts as not proven: then [`overdue`] comes the sooner.
    fn tell_bound(&mut self, lease: &LeaseGuard, now: &Reading) {
        let bound = lease.bound();
        let message = ToWatchdog::Bound(WireMoment::seen_from(now, &bound));
        if bound != self.told && self.say(&message) {
            self.told = bound;
        }
    }

    /// Never waits: a watchdog that does not read its socket for so long that it is full must not
    /// stop its supervisor too. Whether the message is on its way.
    fn say(&self, message: &ToWatchdog) -> bool {
        let line = line(message);
        // A line is far below what a socket takes at once, so it is taken whole or not at all.
        let taken = self.writer.try_write(line.as_bytes());
        matches!(taken, Ok(bytes) if bytes == line.len())
    }

    /// The command should be dead. Most likely it is, and the news waits in the socket because this
    /// process stood still; otherwise the watchdog does, and then it has reaped nobody, so that the
    /// group's id is still the group's.
    async fn last_word(&mut self) -> io::Result<Outcome> {
        let heard = tokio::time::timeout(LAST_WORD, async {
            while let Some(text) = self.reader.next_line().await? {
                if let ToSupervisor::Finished { status, stopped } = parse(&text)? {
                    return Ok(Some(outcome(status, stopped)));
                }
            }
            io::Result::Ok(None)
        });
        match heard.await {
            Ok(Ok(Some(outcome))) => Ok(outcome),
            Ok(Ok(None) | Err(_)) => self.kill_group(Outcome::WatchdogDied),
            Err(_) => self.kill_group(Outcome::WatchdogStoodStill),
        }
    }

    /// Only for when nobody else does.
    fn kill_group(&self, outcome: Outcome) -> io::Result<Outcome> {
        match kill_process_group(self.group, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(outcome),
            Err(error) => Err(error.into()),
        }
    }
}

fn outcome(status: Ended, stopped: Option<Cause>) -> Outcome {
    match stopped {
        None | Some(Cause::CommandExited) => Outcome::Ended(status),
        Some(Cause::BoundNear | Cause::LeaseLost | Cause::SupervisorGone) => Outcome::LeaseLost,
    }
}

/// Half of the watchdog's own margin before the bound is gone, and nothing was heard of it.
fn overdue(ttl: Duration, bound: &Moment, now: &Reading) -> bool {
    bound.remaining(now) < Schedule::new(ttl, *bound).kill_lead() / 2
}

/// The terminal stopped the command, so the shell must see its job stopped. From here on nobody
/// renews: a job that stays stopped past its lease loses it, and its command is stopped for good.
fn suspend_this_job(terminal: Option<&Terminal>) {
    if let Some(terminal) = terminal {
        terminal.take_back();
    }
    if let Err(error) = kill_current_process_group(Signal::TSTP) {
        tracing::warn!(%error, "the command is stopped, and the shell was not told");
    }
}

/// A loss is reported once its command is gone.
fn report(resource: &str, state: LeaseState) {
    match state {
        LeaseState::Uncertain { remaining } => {
            let left = human(remaining);
            say(&format!(
                "leasehold: renewals of {resource} are unanswered; it is ours for {left}"
            ));
        }
        LeaseState::Held { .. } => say(&format!("leasehold: {resource} is renewed again")),
        LeaseState::Lost { .. } => {}
    }
}
