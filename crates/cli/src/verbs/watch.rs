//! `leasehold watch`: what happens to claims, as it happens.

use leasehold_client::{WatchEvent, WatchEventKind};
use leasehold_types::Revision;
use serde::Serialize;

use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::output::{Show, ms};
use crate::supervise::signals;

/// Print what happens to claims until stopped
///
/// Text: revision, event, resource, token and holder, separated by tabs; "-" stands for none.
/// JSON: revision, event, resource, token, holder, request_id, ttl_ms; null for none.
/// Events are granted, queued, released and expired. None is missed and none comes twice, whatever
/// becomes of connections and leaders; after a restart, go on with --after and the last revision.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold watch
  leasehold watch jobs/ --after 4711
  leasehold --output json watch jobs/ | jq 'select(.event == \"expired\")'")]
pub(crate) struct WatchArgs {
    /// Only names that start with this
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// What happened after this revision, as long as the cluster keeps it [default: from now on]
    #[arg(long, value_name = "REVISION", allow_negative_numbers = true)]
    after: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Happened {
    revision: u64,
    event: &'static str,
    resource: String,
    token: Option<u64>,
    holder: String,
    request_id: String,
    ttl_ms: Option<u64>,
}

impl From<WatchEvent> for Happened {
    fn from(happened: WatchEvent) -> Self {
        let (event, token, ttl) = match happened.kind {
            WatchEventKind::Granted { token, ttl } => ("granted", Some(token), Some(ttl)),
            WatchEventKind::Queued { ttl } => ("queued", None, Some(ttl)),
            WatchEventKind::Released { token } => ("released", token, None),
            WatchEventKind::Expired { token } => ("expired", token, None),
        };
        Self {
            revision: happened.revision.0,
            event,
            resource: happened.resource.to_string(),
            token: token.map(|token| token.get()),
            holder: happened.holder.to_string(),
            request_id: happened.request.to_string(),
            ttl_ms: ttl.map(ms),
        }
    }
}

impl Show for Happened {
    fn text(&self) -> String {
        let token = self.token.map_or_else(|| "-".to_owned(), |token| token.to_string());
        [&self.revision.to_string(), self.event, &self.resource, &token, &self.holder].join("\t")
    }
}

pub(crate) async fn run(common: &Common, args: &WatchArgs) -> Result<Exit, Failure> {
    let mut stop = signals::ending().map_err(Failure::because)?;
    let client = common.client()?;
    let mut watch = client.watch(&args.prefix, args.after.map(Revision)).await?;
    loop {
        tokio::select! {
            event = watch.next() => match event {
                Some(event) => common.output.show(&Happened::from(event?))?,
                None => return Err(Failure::other("the watch has ended")),
            },
            _ = stop.next() => return Ok(Exit::Done),
        }
    }
}
