//! `leasehold acquire`: a lease for a script to keep alive itself.

use std::time::Duration;

use serde::Serialize;

use crate::args::{Common, duration};
use crate::exit::{Exit, Failure};
use crate::output::{Show, ms};

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
    /// What to lease: 1 to 256 bytes of UTF-8, "/" separates segments
    name: String,
    /// How long the lease lives without renewal
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration)]
    ttl: Duration,
    /// How long to queue when it is taken
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration)]
    wait: Duration,
    /// Who asks, for people [default: host/pid/leasehold]
    #[arg(long, value_name = "TEXT")]
    holder: Option<String>,
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
    use leasehold_clock::{Clock, MachineClock};

    let client = common.client()?;
    let mut asked = client.acquire(&args.name).ttl(args.ttl).wait(args.wait);
    if let Some(holder) = &args.holder {
        asked = asked.holder(holder);
    }
    let lease = asked.await?;
    let (resource, token) = (lease.resource().to_owned(), lease.token().get());
    let (ttl, cluster_id) = (lease.ttl(), lease.cluster_id().to_owned());
    let bound = lease.leave();
    let acquired = Acquired {
        resource,
        token,
        ttl_ms: ms(ttl),
        valid_for_ms: ms(bound.remaining(&MachineClock.read())),
        cluster_id,
    };
    common.output.show(&acquired).map(|()| Exit::Done)
}
