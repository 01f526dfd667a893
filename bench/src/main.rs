//! The workloads of `leasehold bench`, done to etcd, ZooKeeper, Redlock and PostgreSQL.
//!
//! `load` prints the same lines as `leasehold --output json bench`, of the same counting code. `page`
//! makes a table and plots of the lines of many rounds. The clusters are started, and the rounds made,
//! by `bench/run`, which says how; `docs/performance.md` says what is fair about it.

mod etcd;
mod page;
mod plot;
mod postgres;
mod redlock;
mod table;
mod verify;
mod zookeeper;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use leasehold_bench::{Locks, Over, Pace, Report, Settings, Workload, run_over, write_over};
use mimalloc::MiMalloc;
use tokio::runtime::Builder;

use etcd::{Cluster, Etcd};
use postgres::Postgres;
use redlock::Redlock;
use verify::{Offers, verify};
use zookeeper::ZooKeeper;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

/// How long an operation may go without an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As in `leasehold bench`.
const TTL: Duration = Duration::from_secs(10);
const VALUE_BYTES: usize = 100;

/// The workloads of `leasehold bench`, done to other systems.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure one workload, and print a line of JSON for each row
    Load(LoadArgs),
    /// See whether a system does what is counted
    Verify(SystemArgs),
    /// Make the page of what was measured
    Page(PageArgs),
}

#[derive(Debug, Args)]
struct SystemArgs {
    /// Which system, and how it is asked
    #[arg(value_enum)]
    system: System,
    /// Where its nodes are
    #[arg(long, value_delimiter = ',', required = true, value_name = "HOST:PORT,...")]
    endpoints: Vec<String>,
    /// Connections or sessions that clients share (PostgreSQL: each has its own)
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
}

#[derive(Debug, Args)]
struct LoadArgs {
    #[command(flatten)]
    system: SystemArgs,
    /// What to do
    #[arg(value_enum)]
    workload: Kind,
    /// How many clients, each with at most one operation under way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// How long it counts, in seconds
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// How long it runs before that, in seconds
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    warmup: f64,
    /// Threads of the load itself
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
}

#[derive(Debug, Args)]
struct PageArgs {
    /// What was measured: a line of JSON for each row of each round
    #[arg(long)]
    rows: PathBuf,
    /// On what: a JSON document of names and values
    #[arg(long)]
    about: PathBuf,
    /// The page in which the part between the marks is written anew
    #[arg(long)]
    page: PathBuf,
    /// Where the plots go
    #[arg(long)]
    plots: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum System {
    /// etcd's Lock service
    EtcdLock,
    /// etcd's transactions
    EtcdTxn,
    Zookeeper,
    Redlock,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Pair,
    Handover,
    Renew,
    Store,
}

impl Kind {
    const fn workload(self) -> Workload {
        match self {
            Self::Pair => Workload::Pair,
            Self::Handover => Workload::Handover,
            Self::Renew => Workload::Renew,
            Self::Store => Workload::Store,
        }
    }
}

impl System {
    /// What the lines call the way.
    const fn way(self) -> &'static str {
        match self {
            Self::EtcdLock => "lock",
            Self::EtcdTxn => "txn",
            Self::Zookeeper => "ephemeral",
            Self::Redlock => "majority",
            Self::Postgres => "update",
        }
    }

    const fn offers(self) -> Offers {
        match self {
            Self::EtcdLock => Offers { refusals: false, line: true, renewals: true },
            Self::EtcdTxn => Offers { refusals: true, line: false, renewals: true },
            Self::Zookeeper => Offers { refusals: true, line: true, renewals: false },
            Self::Redlock => Offers { refusals: true, line: false, renewals: true },
            Self::Postgres => Offers { refusals: false, line: false, renewals: false },
        }
    }

    const fn can(self, workload: Workload) -> bool {
        let Offers { refusals: _, line, renewals } = self.offers();
        match workload {
            Workload::Pair => !matches!(self, Self::Postgres),
            Workload::Handover => line,
            Workload::Renew => renewals,
            Workload::Store => matches!(self, Self::Postgres),
            _ => false,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds, from 0 to 86400".to_owned()),
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Load(args) => on_runtime(args.threads, load(&args)),
        Command::Verify(args) => on_runtime(1, try_out(&args)),
        Command::Page(args) => page::write(&args.rows, &args.about, &args.page, &args.plots),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leasehold-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(
    threads: u16,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut runtime = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    // Ignored where there is only one.
    runtime.worker_threads(usize::from(threads));
    runtime.enable_all().build()?.block_on(work)
}

/// What every run has, for one client and a moment.
const SETTINGS: Settings = Settings {
    clients: 1,
    connections: 1,
    // Of Leasehold alone; the report has the system's own way.
    over: Over::Unary,
    pace: Pace::Closed,
    duration: Duration::from_millis(100),
    warmup: Duration::ZERO,
    resources: None,
    ttl: TTL,
    timeout: TIMEOUT,
    value_bytes: VALUE_BYTES,
    kills: 0,
};

impl LoadArgs {
    fn settings(&self) -> Settings {
        Settings {
            clients: self.clients as usize,
            connections: self.system.connections as usize,
            duration: Duration::from_secs_f64(self.seconds),
            warmup: Duration::from_secs_f64(self.warmup),
            ..SETTINGS
        }
    }
}

async fn load(args: &LoadArgs) -> Result<(), Failure> {
    let LoadArgs { system: SystemArgs { system, endpoints, .. }, workload, .. } = args;
    let (way, workload, settings) = (system.way(), workload.workload(), args.settings());
    if !system.can(workload) {
        return Err(format!("{way} does no {}", workload.name()).into());
    }
    let report = match system {
        System::EtcdLock | System::EtcdTxn => {
            load_etcd(*system, endpoints, workload, &settings).await?
        }
        System::Zookeeper => {
            let sessions = settings.connections.min(settings.clients);
            let links = ZooKeeper::open(endpoints, sessions).await?;
            let report = run_over(workload, way, &settings, &links).await?;
            for link in links {
                link.close().await;
            }
            report
        }
        System::Redlock => {
            let links = redlocks(endpoints, settings.connections.min(settings.clients)).await?;
            run_over(workload, way, &settings, &links).await?
        }
        System::Postgres => load_postgres(&endpoints[0], way, settings).await?,
    };
    for line in report.lines() {
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}

async fn load_etcd(
    system: System,
    endpoints: &[String],
    workload: Workload,
    settings: &Settings,
) -> Result<Report, Failure> {
    let (mut cluster, links) =
        open_etcd(system, endpoints, settings.clients, settings.connections).await?;
    let before = cluster.revision().await?;
    let report = run_over(workload, system.way(), settings, &links).await?;
    let revisions = cluster.revision().await? - before;
    // The answer to Unlock does not say whether there was anything to unlock. The revisions do.
    let counted = |measure| {
        let mut rows = report.rows.iter();
        rows.find(|row| row.measure == measure && row.outcome == "ok").map_or(0, |row| row.count)
    };
    let changes = match workload {
        Workload::Pair => 2 * counted("pair"),
        Workload::Handover => counted("wait") + counted("release"),
        _ => 0,
    };
    if u64::try_from(revisions).unwrap_or(0) < changes {
        return Err(format!("{changes} changes were counted, and {revisions} made").into());
    }
    cluster.close().await?;
    Ok(report)
}

async fn open_etcd(
    system: System,
    endpoints: &[String],
    clients: usize,
    connections: usize,
) -> Result<(Cluster, Vec<Etcd>), Failure> {
    let way = if system == System::EtcdLock { etcd::Way::Lock } else { etcd::Way::Txn };
    Ok(Cluster::open(endpoints, way, clients, connections).await?)
}

async fn redlocks(endpoints: &[String], count: usize) -> Result<Vec<Redlock>, Failure> {
    let mut links = Vec::new();
    for _ in 0..count {
        links.push(Redlock::open(endpoints).await?);
    }
    Ok(links)
}

async fn load_postgres(
    endpoint: &str,
    way: &'static str,
    mut settings: Settings,
) -> Result<Report, Failure> {
    settings.connections = settings.clients;
    let resources: Vec<_> = (0..settings.clients).map(|at| format!("bench/{at}")).collect();
    let links = Postgres::open(endpoint, &resources, settings.clients).await?;
    let shares = resources.into_iter().map(|name| vec![(name, postgres::TOKEN)]).collect();
    Ok(write_over(way, &settings, &links, shares).await?)
}

async fn try_out(args: &SystemArgs) -> Result<(), Failure> {
    let SystemArgs { system, endpoints, connections } = args;
    let (offers, count) = (system.offers(), *connections as usize);
    match system {
        System::EtcdLock | System::EtcdTxn => {
            let (cluster, links) = open_etcd(*system, endpoints, count, count).await?;
            check(&links, offers).await?;
            cluster.close().await?;
        }
        System::Zookeeper => {
            let links = ZooKeeper::open(endpoints, count).await?;
            check(&links, offers).await?;
        }
        System::Redlock => check(&redlocks(endpoints, count).await?, offers).await?,
        System::Postgres => {
            let resource = "verify".to_owned();
            let shares = vec![vec![(resource.clone(), postgres::TOKEN)]];
            let links = Postgres::open(&endpoints[0], std::slice::from_ref(&resource), 1).await?;
            if !links[0].syncs().await? {
                return Err("fsync and synchronous_commit must be on".into());
            }
            write_over(system.way(), &SETTINGS, &links, shares).await?;
            if links[0].stale_writes(&resource).await? != 0 {
                return Err("a stale token wrote".into());
            }
        }
    }
    println!("{}: does what is counted", system.way());
    Ok(())
}

async fn check<L: Locks>(links: &[L], offers: Offers) -> Result<(), Failure> {
    verify(links, offers).await.map_err(Failure::from)
}
