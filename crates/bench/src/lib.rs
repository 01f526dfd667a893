//! Load on a cluster and a store, and how long everything took: what `leasehold bench` runs.
//!
//! A run is one [`Workload`] with its [`Settings`] against a [`Target`], and makes a [`Report`]. The
//! target is any cluster; only `failover` needs one that may be killed ([`Victim`]).
//!
//! Reading order: [`load`] says when an operation is due and from when it counts, [`figures`] what is
//! counted, [`floor`] what it is compared with, [`locks`] what may stand in the place of the cluster;
//! then one file a workload, and [`report`].
//!
//! Deliberately absent: retries. Where a program would ask again, a run counts a failure.

pub mod figures;
pub mod floor;
mod link;
pub mod load;
pub mod locks;
mod progress;
pub mod report;
mod run;
pub mod time;
mod workload;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

pub use figures::{Figures, Measured, Percentiles};
pub use floor::Floor;
pub use load::{Pace, Window};
pub use locks::{Locks, Writes};
pub use report::Report;

/// What is done, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Acquire and release a resource that nobody else wants.
    Pair,
    /// Many want few resources, waiting in line: from a release to the next grant.
    Handover,
    /// Renew leases as fast as answers come.
    Renew,
    /// Hold many leases, renewed in time.
    Hold,
    /// Let many leases expire at once.
    Expire,
    /// A long line for one resource.
    Queue,
    /// From a grant to its event at every watch.
    Watch,
    /// Fenced writes to the store.
    Store,
    /// Kill the leader: from SIGKILL to the next grant.
    Failover,
}

impl Workload {
    /// All of them, in the order in which they are explained.
    pub const ALL: [Self; 9] = [
        Self::Pair,
        Self::Handover,
        Self::Renew,
        Self::Hold,
        Self::Expire,
        Self::Queue,
        Self::Watch,
        Self::Store,
        Self::Failover,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Handover => "handover",
            Self::Renew => "renew",
            Self::Hold => "hold",
            Self::Expire => "expire",
            Self::Queue => "queue",
            Self::Watch => "watch",
            Self::Store => "store",
            Self::Failover => "failover",
        }
    }

    /// Whether the clock can say when an operation is due; the others have a rhythm of their own.
    pub const fn can_be_open(self) -> bool {
        matches!(self, Self::Pair | Self::Renew | Self::Watch | Self::Store)
    }

    /// Whether neither answers nor the clock make its next operation due, but what it is about.
    pub const fn has_own_rhythm(self) -> bool {
        matches!(self, Self::Hold | Self::Expire | Self::Failover)
    }

    /// How many resources there are unless told otherwise.
    pub const fn resources_default(self, clients: usize) -> usize {
        match self {
            Self::Handover | Self::Queue => 1,
            Self::Hold | Self::Expire => 10_000,
            Self::Failover => 10,
            Self::Pair | Self::Renew | Self::Watch | Self::Store => clients,
        }
    }
}

/// Which way to the cluster, or to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// Session streams, and the store's WriteStream.
    Session,
    /// A unary call for each request.
    Unary,
}

impl Over {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Unary => "unary",
        }
    }
}

/// How much, how fast, for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Clients: each has at most one operation under way. At least 1.
    pub clients: usize,
    /// Connections that they share. At least 1.
    pub connections: usize,
    /// Which way.
    pub over: Over,
    /// Closed or open.
    pub pace: Pace,
    /// How long it counts.
    pub duration: Duration,
    /// How long it does not count yet.
    pub warmup: Duration,
    /// Resources; each workload has its own default.
    pub resources: Option<usize>,
    /// Every lease's ttl.
    pub ttl: Duration,
    /// How long an operation may go without an answer.
    pub timeout: Duration,
    /// How large a written value is.
    pub value_bytes: usize,
    /// How often the leader is killed.
    pub kills: u32,
}

impl Settings {
    /// How many resources this workload gets.
    pub fn resources(&self, workload: Workload) -> usize {
        self.resources.unwrap_or_else(|| workload.resources_default(self.clients))
    }

    /// Whether this workload can be run like this.
    ///
    /// # Errors
    /// [`Error::Setting`] with the flag that stands in the way.
    pub fn check(&self, workload: Workload) -> Result<(), Error> {
        let refuse = |flag, why: String| {
            Err(Error::Setting { flag, why: format!("{}: {why}", workload.name()) })
        };
        let (clients, resources) = (self.clients, self.resources(workload));
        let crowded = matches!(workload, Workload::Handover | Workload::Queue);
        if self.pace != Pace::Closed && !workload.can_be_open() {
            return refuse("--rate", "has no open loop".into());
        }
        if crowded && clients < 2 * resources {
            return refuse(
                "--clients",
                format!("{resources} contended resources take at least {} clients", 2 * resources),
            );
        }
        let own = !crowded && !matches!(workload, Workload::Failover | Workload::Watch);
        if own && resources < clients {
            let why = format!("{clients} clients take at least as many resources of their own");
            return refuse("--resources", why);
        }
        if resources == 0 {
            return refuse("--resources", "at least one".into());
        }
        Ok(())
    }
}

/// Whom it is done to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Lease nodes, any of them, `host:port`.
    pub endpoints: Vec<String>,
    /// The store, `host:port`.
    pub store: Option<String>,
}

/// A cluster whose nodes may be killed.
pub trait Victim {
    /// The node that leads, once there is one.
    fn leader(&mut self) -> LocalBoxFuture<'_, Result<u64, String>>;

    /// SIGKILL; gone when this completes.
    fn kill(&mut self, node_id: u64) -> LocalBoxFuture<'_, Result<(), String>>;

    /// Starts it again; completes when it has caught up.
    fn revive(&mut self, node_id: u64) -> LocalBoxFuture<'_, Result<(), String>>;
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be run like this.
    #[error("{flag}: {why}")]
    Setting {
        /// The flag that stands in the way.
        flag: &'static str,
        /// Why.
        why: String,
    },
    /// Nobody was there, or nothing that was asked was done.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else, of this machine.
    #[error("{0}")]
    Other(String),
}

/// Runs one workload. `victim` is the target itself, where it may be killed.
///
/// # Errors
/// [`Error`].
pub async fn run(
    workload: Workload,
    settings: &Settings,
    target: &Target,
    victim: Option<&mut dyn Victim>,
) -> Result<Report, Error> {
    settings.check(workload)?;
    let run = run::Run::new(workload, settings.over.name(), settings, target)?;
    let rows = workload::run(&run, victim).await?;
    report(&run, rows)
}

/// Runs one workload over `links` to any system that can lock, of which client n uses the one at n modulo
/// their number: `pair`, `handover`, `queue` or `renew`. `way` says in the report what they are; what the
/// settings say of the way does not count.
///
/// # Errors
/// [`Error`].
pub async fn run_over<L: Locks>(
    workload: Workload,
    way: &'static str,
    settings: &Settings,
    links: &[L],
) -> Result<Report, Error> {
    settings.check(workload)?;
    let run = run::Run::new(workload, way, settings, &Target::default())?;
    let rows = workload::run_over(&run, links).await?;
    report(&run, rows)
}

/// The same for `store`. Client n writes to `shares[n]`: resources, each with its token.
///
/// # Errors
/// [`Error`].
pub async fn write_over<W: Writes>(
    way: &'static str,
    settings: &Settings,
    links: &[W],
    shares: Vec<Vec<(String, u64)>>,
) -> Result<Report, Error> {
    settings.check(Workload::Store)?;
    let run = run::Run::new(Workload::Store, way, settings, &Target::default())?;
    let rows = workload::write_over(&run, links, shares).await?;
    report(&run, rows)
}

fn report(run: &run::Run, rows: Vec<Measured>) -> Result<Report, Error> {
    let run::Run { workload, way, settings, .. } = run;
    if rows.iter().all(|row| row.outcome != figures::OK || row.count == 0) {
        let all: Vec<_> =
            rows.iter().map(|row| format!("{} x {}", row.outcome, row.count)).collect();
        let name = workload.name();
        return Err(Error::Unavailable(format!("{name}: nothing succeeded: {}", all.join(", "))));
    }
    Ok(Report::new(*workload, way, settings, rows))
}
