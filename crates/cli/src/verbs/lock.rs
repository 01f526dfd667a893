//! `leasehold lock`: a program that runs only while a lease is held.

use std::ffi::OsString;
use std::time::Duration;

use leasehold_client::{Client, LeaseGuard};
use rustix::process::Signal;

use crate::args::{Common, duration};
use crate::exit::{Exit, Failure, OTHER};
use crate::lock::supervisor::{Outcome, supervise};
use crate::output::say;
use crate::supervise::signals::{self, Signals};

/// How long a claim that is given up has to tell the cluster so before this process ends. The cluster
/// finds out by itself after the ttl; this only spares those who wait.
const FAREWELL: Duration = Duration::from_millis(300);

/// Run a program only while a lease is held
///
/// CMD starts once the lease is held, in a process group of its own, with LEASEHOLD_RESOURCE,
/// LEASEHOLD_TOKEN and LEASEHOLD_CLUSTER_ID in its environment. Signals sent to `lock` are passed on to
/// the group. When CMD ends, what it left in its group is stopped, the lease is released, and `lock`
/// exits with CMD's status.
///
/// If the lease is lost, or renewals go unanswered for too long, the whole group is sent TERM and
/// then KILL, early enough that nothing of it runs when the cluster may grant the resource to somebody
/// else; `lock` then exits with 76. That holds even if `lock` itself is killed or stopped. It cannot
/// hold on a machine that is itself suspended: let your storage check the token.
///
/// Exits with 75, without running CMD, when the resource stays taken for as long as --wait says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold lock jobs/nightly -- ./backup.sh
  leasehold lock jobs/nightly --ttl 30s --wait 10m -- ./backup.sh --full
  leasehold lock deploy/web -- sh -c 'leasehold data put deploy/web version 42'")]
pub(crate) struct LockArgs {
    /// What to lease
    name: String,
    /// How long the lease lives without renewal; it is renewed every third of this
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration)]
    ttl: Duration,
    /// How long to queue when it is taken
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration)]
    wait: Duration,
    /// Who asks, for people [default: host/pid/leasehold]
    #[arg(long, value_name = "TEXT")]
    holder: Option<String>,
    /// What to run
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) async fn run(common: &Common, args: &LockArgs) -> Result<Exit, Failure> {
    let mut signals = signals::forwarded().map_err(Failure::other)?;
    let client = common.client()?;
    let lease = match acquire(&client, args, &mut signals).await? {
        Ok(lease) => lease,
        Err(signal) => {
            tokio::time::sleep(FAREWELL).await;
            return Ok(Exit::Command(128_u8.saturating_add(signal.as_raw().unsigned_abs() as u8)));
        }
    };
    match supervise(&lease, &args.command, &mut signals).await {
        Ok(Outcome::Ended(ended)) => {
            release(lease, common.timeout).await;
            Ok(Exit::Command(ended.as_shell_status()))
        }
        Ok(Outcome::LeaseLost | Outcome::WatchdogStoodStill) => {
            let message = format!("the lease on {} is lost; the command was stopped", args.name);
            // Gone, or about to be: telling the cluster only spares those who wait.
            let _ = tokio::time::timeout(FAREWELL, lease.release()).await;
            Err(Failure::lease_lost(message))
        }
        Ok(Outcome::WatchdogDied) => {
            // Killed, but nobody is left to see it die: the lease ends by itself.
            lease.leave();
            let message = "the command's watchdog was killed; so was the command";
            Err(Failure::new(OTHER, "WATCHDOG_DIED", message))
        }
        Err(error) => {
            release(lease, common.timeout).await;
            Err(Failure::other(format!("cannot run the command: {error}")))
        }
    }
}

/// Waits for the lease, or for a signal that says not to.
async fn acquire(
    client: &Client,
    args: &LockArgs,
    signals: &mut Signals,
) -> Result<Result<LeaseGuard, Signal>, Failure> {
    let mut asked = client.acquire(&args.name).ttl(args.ttl).wait(args.wait);
    if let Some(holder) = &args.holder {
        asked = asked.holder(holder);
    }
    let mut asked = asked.into_future();
    loop {
        tokio::select! {
            granted = &mut asked => return Ok(Ok(granted?)),
            signal = signals.next() => {
                if signal != Signal::CONT {
                    return Ok(Err(signal));
                }
            }
        }
    }
}

/// The command has ended, whatever becomes of the lease: its status is what counts.
async fn release(lease: LeaseGuard, patience: Duration) {
    let name = lease.resource().to_owned();
    let why = match tokio::time::timeout(patience, lease.release()).await {
        Ok(Ok(_)) => return,
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    say(&format!("leasehold: {name} could not be released and ends by itself: {why}"));
}
