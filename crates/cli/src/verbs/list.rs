//! `leasehold list`: every resource that somebody holds.

use super::get::Resource;
use crate::args::Common;
use crate::exit::{Exit, Failure};

/// List the resources that are held
///
/// One line each, as `get` prints it, in byte order of their names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold list
  leasehold list jobs/ | cut -f1,3
  leasehold --output json list jobs/")]
pub(crate) struct ListArgs {
    /// Only names that start with this
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
}

pub(crate) async fn run(common: &Common, args: &ListArgs) -> Result<Exit, Failure> {
    let listing = common.client()?.list(&args.prefix).await?;
    for status in listing.resources {
        common.output.show(&Resource::from(status))?;
    }
    Ok(Exit::Done)
}
