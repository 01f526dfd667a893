//! A client process seen from the stage: orders in, reports out, each awaited with a bound.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::actor::{Order, Report};
use crate::exit::Failure;
use crate::supervise::cluster::Cluster;

/// Longest time between an order and its report; the longest order is to wait for a lease.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Player {
    name: &'static str,
    child: Child,
    pid: Pid,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Player {
    /// Starts a client of that cluster.
    pub(super) fn start(name: &'static str, cluster: &Cluster) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe().map_err(Failure::because)?)
            .args(["actor", "--holder", name])
            .env("LEASEHOLD_ENDPOINTS", cluster.endpoints().join(","))
            .env("LEASEHOLD_STORE", cluster.store_address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Failure::because)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (orders, reports) = (child.stdin.take(), child.stdout.take());
        match (pid, orders, reports) {
            (Some(pid), Some(orders), Some(reports)) => {
                Ok(Self { name, child, pid, orders, reports: BufReader::new(reports).lines() })
            }
            _ => Err(Failure::other(format!("{name} did not start"))),
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Tells it what to do and returns at once; a stopped one hears it when it wakes.
    pub(super) async fn tell(&mut self, order: &Order) -> Result<(), Failure> {
        let mut line = serde_json::to_string(order).map_err(Failure::because)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).await.map_err(Failure::because)
    }

    /// What came of the oldest order that was not reported yet.
    pub(super) async fn hear(&mut self) -> Result<Report, Failure> {
        let heard = tokio::time::timeout(PATIENCE, self.reports.next_line()).await;
        let line = heard.map_err(|_| Failure::other(format!("{} said nothing", self.name)))?;
        match line.map_err(Failure::because)? {
            Some(line) => serde_json::from_str(&line).map_err(Failure::because),
            None => Err(Failure::other(format!("{} has ended", self.name))),
        }
    }

    /// Tells and hears.
    pub(super) async fn ask(&mut self, order: &Order) -> Result<Report, Failure> {
        self.tell(order).await?;
        self.hear().await
    }

    /// SIGSTOP: from the next instruction on it does nothing, not even renew.
    pub(super) fn pause(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on where it was.
    pub(super) fn wake(&self) -> Result<(), Failure> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        // Not reaped while `self.child` is here, so the id is still its own.
        kill_process(self.pid, signal).map_err(Failure::because)
    }

    /// Ends it.
    pub(super) async fn leave(mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(Failure::because)
    }
}
