//! `leasehold data`: the store, from a shell.

use std::io::Read;

use leasehold_client::{Entry, Mutation, Written};
use leasehold_types::FencingToken;
use serde::Serialize;

use crate::args::Common;
use crate::connect;
use crate::exit::{Exit, Failure, OTHER};
use crate::output::{Format, Show, print_bytes};

/// Read and write the fenced store
///
/// Keys live inside a resource: one lease guards all keys of its resource. A write needs the lease's
/// token, and exits with 73 when the store has seen a larger one: nothing was written. Under `leasehold
/// lock` the token is known for the resource that is locked.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold data put jobs/nightly status running --token \"$token\"
  tar c . | leasehold data put backups/home latest - --token \"$token\"
  leasehold data get jobs/nightly status
  leasehold data list jobs/nightly
  leasehold data fence jobs/nightly --token \"$token\"")]
pub(crate) struct DataArgs {
    /// The id of the lease cluster that the token is from; a store refuses another's
    #[arg(
        long,
        global = true,
        env = "LEASEHOLD_CLUSTER_ID",
        default_value = "",
        hide_default_value = true
    )]
    cluster_id: String,
    #[command(subcommand)]
    verb: DataVerb,
}

#[derive(Debug, clap::Subcommand)]
enum DataVerb {
    /// Set a value. Text: nothing. JSON: resource, token, sequence, revision (the key's version now)
    Put(ValueArgs),
    /// Print a value as it is; exits with 1 when there is none. JSON: key, value (text, or an array of
    /// bytes where it is not UTF-8), version, token
    Get(GetArgs),
    /// Print the keys of a resource, one a line. JSON, for each: key, value, version, token
    List(ListArgs),
    /// Remove a key; removing what is not there is no error
    Delete(DeleteArgs),
    /// Add to the end of a value
    Append(ValueArgs),
    /// Only raise the mark: from now on smaller tokens are refused
    Fence(FenceArgs),
}

/// What every write takes.
#[derive(Debug, clap::Args)]
struct WriteArgs {
    /// The lease's token [default: LEASEHOLD_TOKEN, if LEASEHOLD_RESOURCE is this resource]
    #[arg(long, allow_negative_numbers = true)]
    token: Option<u64>,
    /// Number of this write under this token, so that it can be repeated safely; 0: it is not
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    sequence: u64,
}

#[derive(Debug, clap::Args)]
struct ValueArgs {
    /// The resource
    resource: String,
    /// The key: 1 to 1,024 bytes of UTF-8
    key: String,
    /// The value, at most 1 MiB; "-" reads standard input
    #[arg(allow_hyphen_values = true)]
    value: String,
    #[command(flatten)]
    write: WriteArgs,
    /// Only if the key's version is this one; 0: only if it is not there
    #[arg(long, value_name = "VERSION", allow_negative_numbers = true)]
    if_version: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// The resource
    resource: String,
    /// The key
    key: String,
    #[command(flatten)]
    write: WriteArgs,
    /// Only if the key's version is this one
    #[arg(long, value_name = "VERSION", allow_negative_numbers = true)]
    if_version: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct FenceArgs {
    /// The resource
    resource: String,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// The resource
    resource: String,
    /// The key
    key: String,
    /// Raise the mark to this token first, so that what is read can be changed and written back
    #[arg(long, allow_negative_numbers = true)]
    token: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// The resource
    resource: String,
    /// Only keys that start with this
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Raise the mark to this token first
    #[arg(long, allow_negative_numbers = true)]
    token: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Wrote<'a> {
    resource: &'a str,
    token: u64,
    sequence: u64,
    revision: u64,
}

impl Show for Wrote<'_> {
    fn text(&self) -> String {
        String::new()
    }
}

/// A value that is not UTF-8 is an array of bytes in JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Serialize)]
struct Stored {
    key: String,
    value: Value,
    version: u64,
    token: u64,
}

impl From<Entry> for Stored {
    fn from(Entry { key, value, version, token }: Entry) -> Self {
        let value = match String::from_utf8(value.to_vec()) {
            Ok(text) => Value::Text(text),
            Err(not_text) => Value::Bytes(not_text.into_bytes()),
        };
        Self { key, value, version, token }
    }
}

impl Show for Stored {
    fn text(&self) -> String {
        self.key.clone()
    }
}

pub(crate) async fn run(common: &Common, args: &DataArgs) -> Result<Exit, Failure> {
    let store = Store { common, cluster_id: &args.cluster_id };
    match &args.verb {
        DataVerb::Put(put) => {
            let mutation = Mutation::put(&put.key, value(&put.value)?);
            store.write(&put.resource, &put.write, Some((mutation, put.if_version))).await
        }
        DataVerb::Append(append) => {
            let mutation = Mutation::append(&append.key, value(&append.value)?);
            store.write(&append.resource, &append.write, Some((mutation, append.if_version))).await
        }
        DataVerb::Delete(delete) => {
            let mutation = Mutation::delete(&delete.key);
            store.write(&delete.resource, &delete.write, Some((mutation, delete.if_version))).await
        }
        DataVerb::Fence(fence) => store.write(&fence.resource, &fence.write, None).await,
        DataVerb::Get(get) => store.get(get).await,
        DataVerb::List(list) => store.list(list).await,
    }
}

struct Store<'a> {
    common: &'a Common,
    cluster_id: &'a str,
}

impl Store<'_> {
    async fn write(
        &self,
        resource: &str,
        write: &WriteArgs,
        mutation: Option<(Mutation, Option<u64>)>,
    ) -> Result<Exit, Failure> {
        let token = token_for(resource, write.token)?;
        let mutations = mutation.map(|(mutation, version)| match version {
            Some(version) => mutation.expecting(version),
            None => mutation,
        });
        let client = self.common.store_client(self.cluster_id)?;
        let Written { mark, revision } = client
            .write_with(resource, token, write.sequence, mutations.into_iter().collect())
            .await?;
        let wrote = Wrote { resource, token: mark.token, sequence: mark.sequence, revision };
        self.common.output.show(&wrote).map(|()| Exit::Done)
    }

    async fn get(&self, args: &GetArgs) -> Result<Exit, Failure> {
        let token = args.token.map(connect::token).transpose()?;
        let client = self.common.store_client(self.cluster_id)?;
        let got = client.get(&args.resource, &args.key, token).await?;
        let Some(entry) = got.entry else {
            let message = format!("{} has no key {:?}", args.resource, args.key);
            return Err(Failure::new(OTHER, "NO_SUCH_KEY", message));
        };
        match self.common.output {
            Format::Text | Format::Csv => print_bytes(&entry.value)?,
            Format::Json => Format::Json.show(&Stored::from(entry))?,
        }
        Ok(Exit::Done)
    }

    async fn list(&self, args: &ListArgs) -> Result<Exit, Failure> {
        let token = args.token.map(connect::token).transpose()?;
        let client = self.common.store_client(self.cluster_id)?;
        for entry in client.list(&args.resource, &args.prefix, token).await? {
            self.common.output.show(&Stored::from(entry))?;
        }
        Ok(Exit::Done)
    }
}

/// The token given, or that of the lock this runs under, if that is a lock on this very resource: a
/// token on another resource's data would shut out that resource's holder.
fn token_for(resource: &str, given: Option<u64>) -> Result<FencingToken, Failure> {
    let locked = || {
        let is_locked = std::env::var("LEASEHOLD_RESOURCE").is_ok_and(|locked| locked == resource);
        is_locked.then(|| std::env::var("LEASEHOLD_TOKEN").ok()).flatten()?.parse().ok()
    };
    match given.or_else(locked) {
        Some(value) => connect::token(value),
        None => Err(Failure::usage("which token? pass --token, as `leasehold acquire` printed it")),
    }
}

fn value(argument: &str) -> Result<Vec<u8>, Failure> {
    if argument != "-" {
        return Ok(argument.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failure::other(format!("standard input: {error}")))?;
    Ok(bytes)
}
