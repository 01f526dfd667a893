//! `leasehold get`: one resource as it stands.

use leasehold_client::ResourceStatus;
use leasehold_types::Standing;
use serde::Serialize;

use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::output::{Show, human, ms};

/// Show who holds a resource
///
/// Text: resource, token, holder, time left and queue length, separated by tabs; "-" stands for none.
/// JSON: resource, held, token, holder, ttl_ms, ends_in_ms, held_for_ms, queue_length; null for none.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold get jobs/nightly
  leasehold --output json get jobs/nightly | jq .token")]
pub(crate) struct GetArgs {
    /// The resource
    name: String,
}

/// One resource, in `get` and `list`.
#[derive(Debug, Serialize)]
pub(super) struct Resource {
    resource: String,
    held: bool,
    token: Option<u64>,
    holder: Option<String>,
    ttl_ms: Option<u64>,
    ends_in_ms: Option<u64>,
    held_for_ms: Option<u64>,
    queue_length: u64,
}

impl From<ResourceStatus> for Resource {
    fn from(status: ResourceStatus) -> Self {
        let lease = status.lease.as_ref();
        let token = lease.and_then(|lease| match lease.standing {
            Standing::Held { token } => Some(token.get()),
            Standing::Waiting { .. } => None,
        });
        Self {
            resource: status.resource.to_string(),
            held: lease.is_some(),
            token,
            holder: lease.map(|lease| lease.holder.to_string()),
            ttl_ms: lease.map(|lease| lease.ttl.as_ms()),
            ends_in_ms: lease.map(|lease| lease.valid_for_ms),
            held_for_ms: status.held_for.map(ms),
            queue_length: status.queue_length,
        }
    }
}

impl Show for Resource {
    fn text(&self) -> String {
        let none = || "-".to_owned();
        let left = |ms| human(std::time::Duration::from_millis(ms));
        [
            self.resource.clone(),
            self.token.map_or_else(none, |token| token.to_string()),
            self.holder.clone().unwrap_or_else(none),
            self.ends_in_ms.map_or_else(none, left),
            self.queue_length.to_string(),
        ]
        .join("\t")
    }
}

pub(crate) async fn run(common: &Common, args: &GetArgs) -> Result<Exit, Failure> {
    let status = common.client()?.get(&args.name).await?;
    common.output.show(&Resource::from(status)).map(|()| Exit::Done)
}
