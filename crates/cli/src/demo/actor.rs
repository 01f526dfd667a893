//! A client of the demonstration: a process of its own that does what it is told, a line at a time,
//! and says what came of it. It uses the client library as any program would.
//!
//! It never asks its lease before a write, although it could: it is the program that asked just
//! before it was paused.

use std::time::Duration;

use leasehold_client::{LeaseGuard, LeaseState, Mutation, StoreClient, StoreError};
use leasehold_clock::{Clock, MachineClock};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::output::{ms, print_line};

/// The hidden verb.
#[derive(Debug, clap::Args)]
pub(crate) struct ActorArgs {
    /// Who it says it is.
    #[arg(long)]
    holder: String,
}

/// What an actor is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Take a lease, waiting if need be.
    Acquire {
        /// What.
        resource: String,
        /// Its ttl.
        ttl_ms: u64,
        /// How long to queue.
        wait_ms: u64,
    },
    /// Ask the lease whether it may still be believed.
    Check,
    /// Write a plain file, which asks nobody anything.
    WriteFile {
        /// Which.
        path: String,
        /// What.
        text: String,
    },
    /// Write to the fenced store under the lease's token, whatever the lease says.
    WriteStore {
        /// The key.
        key: String,
        /// The value.
        text: String,
    },
    /// Give the lease back.
    Release,
}

/// What an actor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The lease is held.
    Acquired {
        /// Its token.
        token: u64,
        /// For how long it is proven so far.
        valid_for_ms: u64,
    },
    /// The lease may be believed.
    Held {
        /// For so long.
        remaining_ms: u64,
    },
    /// It may not.
    Lost {
        /// Why.
        reason: String,
    },
    /// The plain file took it, of course.
    FileWritten,
    /// The store took it.
    Stored {
        /// The store's revision after it.
        revision: u64,
    },
    /// The store refused it: a larger token was there before.
    Stale {
        /// The token that the write carried.
        token: u64,
        /// The larger one.
        mark_token: u64,
    },
    /// The lease was given back.
    Released {
        /// Whether it was still held.
        was_held: bool,
    },
    /// It did not work.
    Failed {
        /// Why.
        why: String,
    },
}

/// Runs the hidden verb.
pub(crate) async fn run(common: &Common, args: &ActorArgs) -> Result<Exit, Failure> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(Failure::because)?;
    let mut actor = Actor { common, holder: &args.holder, lease: None };
    let mut orders = BufReader::new(stdin()).lines();
    while let Some(line) = orders.next_line().await.map_err(Failure::because)? {
        let order = serde_json::from_str(&line).map_err(Failure::because)?;
        let report = actor
            .obey(order)
            .await
            .unwrap_or_else(|failure| Report::Failed { why: failure.message });
        print_line(&serde_json::to_string(&report).map_err(Failure::because)?)?;
    }
    Ok(Exit::Done)
}

struct Actor<'a> {
    common: &'a Common,
    holder: &'a str,
    lease: Option<LeaseGuard>,
}

impl Actor<'_> {
    async fn obey(&mut self, order: Order) -> Result<Report, Failure> {
        match order {
            Order::Acquire { resource, ttl_ms, wait_ms } => {
                self.acquire(
                    &resource,
                    Duration::from_millis(ttl_ms),
                    Duration::from_millis(wait_ms),
                )
                .await
            }
            Order::Check => Ok(match self.lease()?.state() {
                LeaseState::Held { remaining } | LeaseState::Uncertain { remaining } => {
                    Report::Held { remaining_ms: ms(remaining) }
                }
                LeaseState::Lost { reason } => Report::Lost { reason: reason.to_string() },
            }),
            Order::WriteFile { path, text } => {
                std::fs::write(&path, text).map_err(Failure::because)?;
                Ok(Report::FileWritten)
            }
            Order::WriteStore { key, text } => self.write_store(key, text).await,
            Order::Release => {
                let lease = self.lease.take().ok_or_else(no_lease)?;
                Ok(Report::Released { was_held: lease.release().await? })
            }
        }
    }

    async fn acquire(
        &mut self,
        resource: &str,
        ttl: Duration,
        wait: Duration,
    ) -> Result<Report, Failure> {
        let client = self.common.client()?;
        let lease = client.acquire(resource).holder(self.holder).ttl(ttl).wait(wait).await?;
        let report = Report::Acquired {
            token: lease.token().get(),
            valid_for_ms: ms(lease.bound().remaining(&MachineClock.read())),
        };
        self.lease = Some(lease);
        Ok(report)
    }

    /// With the explicit token: the library's own store under a lease would not even send a write
    /// once it knows that the lease is lost.
    async fn write_store(&self, key: String, text: String) -> Result<Report, Failure> {
        let lease = self.lease()?;
        let store: StoreClient = self.common.store_client(lease.cluster_id())?;
        let mutations = vec![Mutation::put(key, text)];
        match store.write_with(lease.resource(), lease.token(), 0, mutations).await {
            Ok(written) => Ok(Report::Stored { revision: written.revision }),
            Err(StoreError::StaleToken { token, mark_token, .. }) => {
                Ok(Report::Stale { token, mark_token })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn lease(&self) -> Result<&LeaseGuard, Failure> {
        self.lease.as_ref().ok_or_else(no_lease)
    }
}

fn no_lease() -> Failure {
    Failure::other("there is no lease")
}
