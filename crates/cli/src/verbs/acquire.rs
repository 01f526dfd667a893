//! `leasehold acquire`: a lease for a script to keep alive itself.

use leasehold_clock::{Clock, MachineClock};
use serde::Serialize;

use super::claim::{ClaimArgs, Claimed};
use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::output::{Show, ms};
use crate::supervise::signals;

/// Take a lease and print its token
///
/// The lease is not renewed: it lives for its ttl unless you renew it. To keep a lease for as long as
/// a program runs, use `lock`.
///
/// Text: the token alone. JSON: resource, token, ttl_ms, valid_for_ms, cluster_id.
/// Exits with 75 when the resource is taken and stays taken for as long as --wait says.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  token=$(leasehold acquire jobs/nightly --ttl 60s)
  leasehold acquire jobs/nightly --ttl 60s --wait 10m || echo \"no: $?\"
  leasehold --output json acquire jobs/nightly")]
pub(crate) struct AcquireArgs {
    #[command(flatten)]
    claim: ClaimArgs,
}

#[derive(Debug, Serialize)]
struct Acquired {
    resource: String,
    token: u64,
    ttl_ms: u64,
    valid_for_ms: u64,
    cluster_id: String,
}

impl Show for Acquired {
    fn text(&self) -> String {
        self.token.to_string()
    }
}

pub(crate) async fn run(common: &Common, args: &AcquireArgs) -> Result<Exit, Failure> {
    let mut signals = signals::ending().map_err(Failure::because)?;
    let client = common.client()?;
    let lease = match args.claim.claim(&client, &mut signals).await? {
        Claimed::Held(lease) => lease,
        Claimed::GivenUp(exit) => return Ok(exit),
    };
    let acquired = Acquired {
        resource: lease.resource().to_owned(),
        token: lease.token().get(),
        ttl_ms: ms(lease.ttl()),
        valid_for_ms: ms(lease.bound().remaining(&MachineClock.read())),
        cluster_id: lease.cluster_id().to_owned(),
    };
    lease.leave();
    common.output.show(&acquired).map(|()| Exit::Done)
}
