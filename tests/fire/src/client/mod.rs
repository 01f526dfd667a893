//! The clients of a run: processes of their own, so that they can be stopped and killed.
//!
//! They are the application that the product is made for. [`worker`] increments counters under
//! leases; [`watcher`] writes down every event; [`prober`] asks in plain messages, one line each, what
//! the library keeps to itself. Each writes a [`journal`].

pub(crate) mod increments;
pub(crate) mod journal;
mod prober;
mod watcher;
pub(crate) mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leasehold_client::{Client, ClientConfig, StoreClient, StoreConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::Outcome;
use journal::Journal;

/// What a client is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClientArgs {
    #[arg(long)]
    pub(crate) role: Role,
    #[arg(long)]
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) journal: PathBuf,
    #[arg(long)]
    pub(crate) seed: u64,
    /// Of the lease nodes
    #[arg(long, value_delimiter = ',')]
    pub(crate) endpoints: Vec<String>,
    #[arg(long, value_delimiter = ',')]
    pub(crate) stores: Vec<String>,
    /// How many counters there are
    #[arg(long)]
    pub(crate) counters: u64,
    #[arg(long)]
    pub(crate) ttl_ms: u64,
    /// One increment in so many stops this process between check and write; 0 is never
    #[arg(long)]
    pub(crate) stops_one_in: u32,
    /// The most increments under one lease
    #[arg(long)]
    pub(crate) increments_per_lease: u32,
    /// Workers in this process
    #[arg(long, default_value_t = 1)]
    pub(crate) lanes: u32,
    /// Write down increments only, not the calls that they take
    #[arg(long)]
    pub(crate) increments_only: bool,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Increments counters until it is told to end.
    Worker,
    /// Increments every counter once, and ends.
    Closer,
    /// Asks in plain messages.
    Prober,
    /// Writes down events.
    Watcher,
}

/// Runs a client to its end.
pub(crate) async fn run(args: ClientArgs) -> Outcome<()> {
    let journal = Journal::create(&args.journal, &args.name)?;
    let client = Client::new(ClientConfig {
        endpoints: args.endpoints.clone(),
        holder: args.name.clone(),
        request_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_millis(500),
        ..ClientConfig::default()
    })?;
    let store = |endpoint: &String| {
        StoreClient::with(StoreConfig {
            endpoint: endpoint.clone(),
            request_timeout: Duration::from_secs(4),
            connect_timeout: Duration::from_millis(500),
            ..StoreConfig::default()
        })
    };
    let stores = args.stores.iter().map(store).collect::<Result<Vec<_>, _>>()?;
    let ending = told_to_end()?;
    match args.role {
        Role::Prober => {
            let ttl = Duration::from_millis(args.ttl_ms);
            prober::Prober::new(&args.endpoints, journal, args.seed, ttl)?.probe(&ending).await
        }
        Role::Watcher => watcher::watch(&client, &journal, &ending).await,
        Role::Closer => worker::Worker::new(args, 0, client, stores, journal).close().await,
        Role::Worker => {
            let mut lanes = tokio::task::JoinSet::new();
            for lane in 0..args.lanes {
                let (client, stores, journal) = (client.clone(), stores.clone(), journal.clone());
                let worker = worker::Worker::new(args.clone(), lane, client, stores, journal);
                lanes.spawn(worker.work(Arc::clone(&ending)));
            }
            while let Some(ended) = lanes.join_next().await {
                ended??;
            }
            Ok(())
        }
    }
}

/// True once SIGTERM came.
fn told_to_end() -> Outcome<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let (mut signals, raised) = (signal(SignalKind::terminate())?, Arc::clone(&flag));
    tokio::spawn(async move {
        signals.recv().await;
        raised.store(true, Ordering::Relaxed);
    });
    Ok(flag)
}
