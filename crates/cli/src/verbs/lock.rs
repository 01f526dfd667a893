//! `leasehold lock`: a program that runs only while a lease is held.

use std::ffi::OsString;
use std::time::Duration;

use leasehold_client::LeaseGuard;

use super::claim::{ClaimArgs, Claimed, release};
use crate::args::Common;
use crate::exit::{Exit, Failure, OTHER};
use crate::lock::supervisor::{Outcome, supervise};
use crate::output::{human, say};
use crate::supervise::signals;

/// How long a release may take when the lease is lost, or as good as: it only spares those who wait.
const LATE_RELEASE: Duration = Duration::from_millis(300);

/// With the default timing a change of leader takes up to 2 s and a bit. A renewal may be due just then,
/// a third of the ttl after the one before, and the command is asked to stop a quarter of the ttl
/// ahead of the bound; what lies in between outlasts the change from this ttl on.
const OUTLASTS_A_CHANGE_OF_LEADER: Duration = Duration::from_secs(6);

/// Run a program only while a lease is held
///
/// CMD starts once the lease is held, in a process group of its own, with LEASEHOLD_RESOURCE,
/// LEASEHOLD_TOKEN and LEASEHOLD_CLUSTER_ID in its environment. Signals sent to `lock` are passed on to
/// the group. When CMD ends, what it left in its group is stopped, the lease is released, and `lock`
/// exits with CMD's status.
///
/// If the lease is lost, or renewals go unanswered for too long, the whole group is sent TERM and
/// then KILL, early enough that nothing of it runs when the cluster may grant the resource to somebody
/// else; `lock` then exits with 76. That holds even if `lock` itself, or its watchdog process, is
/// killed or stopped. It cannot hold if both are, or on a machine that is itself suspended: then only
/// a storage that checks the token protects what it guards.
///
/// A short --ttl frees the resource sooner when this machine dies, and leaves less time to find a new
/// leader: below 6s a change of leader may stop CMD although nobody else wants the resource. `lock` says
/// so when it starts.
///
/// A CMD that is stopped, by Ctrl-Z for instance, keeps its lease: `lock` goes on renewing it.
///
/// Exits with 75, without running CMD, when the resource stays taken for as long as --wait says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold lock jobs/nightly -- ./backup.sh
  leasehold lock jobs/nightly --ttl 30s --wait 10m -- ./backup.sh --full
  leasehold lock deploy/web -- sh -c 'leasehold data put deploy/web version 42'")]
pub(crate) struct LockArgs {
    #[command(flatten)]
    claim: ClaimArgs,
    /// What to run
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) async fn run(common: &Common, args: &LockArgs) -> Result<Exit, Failure> {
    let mut signals = signals::forwarded().map_err(Failure::because)?;
    let client = common.client()?;
    let lease = match args.claim.claim(&client, &mut signals).await? {
        Claimed::Held(lease) => lease,
        Claimed::GivenUp(exit) => return Ok(exit),
    };
    let name = &args.claim.name;
    let ttl = lease.ttl();
    if ttl < OUTLASTS_A_CHANGE_OF_LEADER {
        let (ttl, enough) = (human(ttl), human(OUTLASTS_A_CHANGE_OF_LEADER));
        say(&format!(
            "leasehold: a change of leader may stop the command, with a ttl of {ttl}; {enough} outlasts one"
        ));
    }
    match supervise(&lease, &args.command, &mut signals).await {
        Ok(Outcome::Ended(ended)) => {
            // The command has ended, whatever becomes of the lease: its status is what counts.
            release_or_say(lease, common.timeout).await;
            Ok(ended.as_exit())
        }
        Ok(Outcome::LeaseLost | Outcome::WatchdogStoodStill) => {
            // Whether the cluster hears it makes no difference to anybody but those who wait.
            let _ = release(lease, LATE_RELEASE).await;
            Err(Failure::lease_lost(format!(
                "the lease on {name} is lost; the command was stopped"
            )))
        }
        Ok(Outcome::WatchdogDied) => {
            // Killed, but nobody is left to see it die: the lease ends by itself.
            lease.leave();
            let message = "the command's watchdog was killed; so was the command";
            Err(Failure::new(OTHER, "WATCHDOG_DIED", message))
        }
        Err(error) => {
            // How far the command came is not known, so the lease is left to end by itself.
            lease.leave();
            Err(Failure::other(format!("the command cannot be supervised: {error}")))
        }
    }
}

async fn release_or_say(lease: LeaseGuard, patience: Duration) {
    let name = lease.resource().to_owned();
    if let Err(why) = release(lease, patience).await {
        say(&format!("leasehold: {name} could not be released and ends by itself: {why}"));
    }
}
