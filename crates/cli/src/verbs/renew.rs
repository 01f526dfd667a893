//! `leasehold renew`: more time for a lease.

use leasehold_types::Standing;
use serde::Serialize;

use crate::args::Common;
use crate::connect::token;
use crate::exit::{Exit, Failure, OTHER};
use crate::output::Show;

/// Give a lease its whole ttl again
///
/// Text: nothing. JSON: resource, token, holder, ttl_ms, valid_for_ms.
/// Exits with 76 when the lease is gone: stop acting under its token.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold renew jobs/nightly --token \"$token\"
  leasehold renew jobs/nightly --token \"$token\" || exit 76")]
pub(crate) struct RenewArgs {
    /// What is leased
    name: String,
    /// The lease's token, as `acquire` printed it
    #[arg(long, allow_negative_numbers = true)]
    token: u64,
}

#[derive(Debug, Serialize)]
struct Renewed {
    resource: String,
    token: u64,
    holder: String,
    ttl_ms: u64,
    valid_for_ms: u64,
}

impl Show for Renewed {
    fn text(&self) -> String {
        String::new()
    }
}

pub(crate) async fn run(common: &Common, args: &RenewArgs) -> Result<Exit, Failure> {
    let token = token(args.token)?;
    let answers = common.client()?.renew(&[token], &[]).await?;
    let claim = match answers.into_iter().next() {
        Some(answer) => answer?,
        None => return Err(Failure::other("the answer has no item")),
    };
    if claim.resource.as_str() != args.name {
        let message = format!("token {token} belongs to {}, which was renewed", claim.resource);
        return Err(Failure::new(OTHER, "WRONG_RESOURCE", message));
    }
    if !matches!(claim.standing, Standing::Held { token: held } if held == token) {
        return Err(Failure::other(format!("token {token} was renewed, and yet is not held")));
    }
    let renewed = Renewed {
        resource: claim.resource.to_string(),
        token: token.get(),
        holder: claim.holder.to_string(),
        ttl_ms: claim.ttl.as_ms(),
        valid_for_ms: claim.valid_for_ms,
    };
    common.output.show(&renewed).map(|()| Exit::Done)
}
