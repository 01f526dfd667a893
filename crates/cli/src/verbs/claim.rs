//! What `acquire` and `lock` ask for, and how they ask: until it is granted, refused, or a signal says
//! to leave it.

use std::time::Duration;

use leasehold_client::{Client, LeaseGuard};
use rustix::process::Signal;

use crate::args::duration;
use crate::exit::{Exit, Failure};
use crate::supervise::signals::Signals;

/// How long a claim that is given up has to tell the cluster so before this process ends. The cluster
/// finds out by itself after the ttl; this only spares those who wait.
const FAREWELL: Duration = Duration::from_millis(300);

/// A claim.
#[derive(Debug, clap::Args)]
pub(crate) struct ClaimArgs {
    /// What to lease: 1 to 256 bytes of UTF-8, "/" separates segments
    pub(crate) name: String,
    /// How long the lease lives without renewal
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    ttl: Duration,
    /// How long to queue when it is taken
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    wait: Duration,
    /// Who asks, for people [default: host/pid/leasehold]
    #[arg(long, value_name = "TEXT")]
    holder: Option<String>,
}

/// What came of a claim.
#[derive(Debug)]
pub(super) enum Claimed {
    /// It is held.
    Held(LeaseGuard),
    /// A signal came first: the claim is given up, and this is how the process ends.
    GivenUp(Exit),
}

impl ClaimArgs {
    /// Asks, and waits for as long as was asked for.
    pub(super) async fn claim(
        &self,
        client: &Client,
        signals: &mut Signals,
    ) -> Result<Claimed, Failure> {
        let mut asked = client.acquire(&self.name).ttl(self.ttl).wait(self.wait);
        if let Some(holder) = &self.holder {
            asked = asked.holder(holder);
        }
        let mut asked = asked.into_future();
        let signal = loop {
            tokio::select! {
                granted = &mut asked => return Ok(Claimed::Held(granted?)),
                signal = signals.next() => if signal != Signal::CONT { break signal },
            }
        };
        drop(asked);
        tokio::time::sleep(FAREWELL).await;
        Ok(Claimed::GivenUp(Exit::signalled(signal.as_raw())))
    }
}

/// Releases a lease, and waits for the answer for as long.
///
/// # Errors
/// Why there is none; the lease then ends by itself.
pub(super) async fn release(lease: LeaseGuard, patience: Duration) -> Result<(), String> {
    match tokio::time::timeout(patience, lease.release()).await {
        Ok(Ok(_was_held)) => Ok(()),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}
