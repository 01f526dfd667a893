//! `leasehold demo`: the whole point in half a minute.

use crate::args::Common;
use crate::demo::story;
use crate::exit::{Exit, Failure, OTHER};

/// Show what a late write does, without the fence and with it
///
/// Starts three lease nodes and a store. A client is paused past its lease, another takes over, the
/// leader is killed, and the first client wakes up and writes. Exits with 0 only if every step of it was
/// observed. Takes about twenty seconds, and leaves nothing behind.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold demo
  NO_COLOR=1 leasehold demo
  leasehold --output json demo")]
pub(crate) struct DemoArgs {}

pub(crate) async fn run(common: &Common, _args: &DemoArgs) -> Result<Exit, Failure> {
    let played = story::play(common.output).await;
    // Whatever the reason: what should have been seen was not.
    played.map(|()| Exit::Done).map_err(|failure| Failure { code: OTHER, ..failure })
}
