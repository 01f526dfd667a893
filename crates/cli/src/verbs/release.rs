//! `leasehold release`: the end of a lease.

use serde::Serialize;

use crate::args::Common;
use crate::connect::token;
use crate::exit::{Exit, Failure};
use crate::output::Show;

/// End a lease; it can never end a newer one
///
/// Text: "released", or "was not held" when the lease had ended before; both are success.
/// JSON: resource, token, was_held, revision.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold release jobs/nightly --token \"$token\"")]
pub(crate) struct ReleaseArgs {
    /// What is leased
    name: String,
    /// The lease's token, as `acquire` printed it
    #[arg(long, allow_negative_numbers = true)]
    token: u64,
}

#[derive(Debug, Serialize)]
struct Released<'a> {
    resource: &'a str,
    token: u64,
    was_held: bool,
    revision: u64,
}

impl Show for Released<'_> {
    fn text(&self) -> String {
        if self.was_held { "released" } else { "was not held" }.to_owned()
    }
}

pub(crate) async fn run(common: &Common, args: &ReleaseArgs) -> Result<Exit, Failure> {
    let answer = common.client()?.release(&args.name, token(args.token)?).await?;
    let released = Released {
        resource: &args.name,
        token: args.token,
        was_held: answer.was_held,
        revision: answer.revision.0,
    };
    common.output.show(&released).map(|()| Exit::Done)
}
