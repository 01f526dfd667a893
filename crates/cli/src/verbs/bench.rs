//! `leasehold bench`: how fast it is, and how far from what is possible.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use leasehold_bench::report::CSV_HEADER;
use leasehold_bench::{
    Error, Floor, Over, Pace, Report, Settings, Target, Victim, Workload, floor,
};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::args::{Common, duration};
use crate::exit::{Exit, Failure, UNAVAILABLE};
use crate::output::{Format, print_line, say};
use crate::supervise::cluster::Cluster;
use crate::supervise::signals;
use crate::verbs::client_on;
use crate::wrong_address::of_cluster;

/// How long a new leader, or a node that was started again, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Measure how fast a cluster and a store are, beside the floor of the machine
///
/// Without --endpoints: starts three nodes and a store of its own, each a process, on free ports of
/// 127.0.0.1, with everything synced as always, and deletes them afterwards. With: loads that cluster, on
/// resources below bench/ that nobody else uses; none of its nodes is touched.
///
/// Several workloads run in turn, each over each of --over. Every operation is counted under what came
/// of it: ok, or the reason of its refusal or fault, with percentiles of its own; none is left out, and
/// none is tried again. With --floor, or floor among the workloads, each latency is also shown as a
/// multiple of the least that one durable commit costs here: one fdatasync and two round trips.
/// A pair is two commits.
///
/// Exits with 69 when nothing was there or nothing succeeded; refusals and faults beside successes are
/// figures, not failures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold bench floor pair
  leasehold bench pair --clients 256 --over session,unary --floor
  leasehold bench pair --rate 20000 --duration 30s
  leasehold bench handover queue --clients 64
  leasehold bench hold --resources 100000 --clients 1000 --ttl 10s --duration 60s
  leasehold bench failover --kills 100 --json failover.json
  leasehold bench floor --data-dir /var/lib/leasehold
  leasehold --output csv bench pair renew store > figures.csv
  leasehold --endpoints 10.0.0.1:7100,10.0.0.2:7100 --store 10.0.0.9:7300 bench pair store")]
pub(crate) struct BenchArgs {
    /// What to do
    #[arg(value_enum, required = true, value_name = "WORKLOAD")]
    workloads: Vec<Kind>,
    /// Measure the floor first, on the disk of --data-dir
    #[arg(long)]
    floor: bool,
    /// Session streams (WriteStreams to the store), unary calls, or first one and then the other
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "session",
        value_name = "WAY,..."
    )]
    over: Vec<Way>,
    /// How many clients, each with at most one operation under way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,
    /// How many connections they share, each with one stream
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How long it counts
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = some_time, allow_hyphen_values = true)]
    duration: Duration,
    /// How long it runs before that
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    warmup: Duration,
    /// Open loop: so many operations a second, counted from when each was due [default: closed loop]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate, allow_hyphen_values = true)]
    rate: Option<f64>,
    /// How many resources [default: one a client; handover, queue: 1; hold, expire: 10000; failover: 10]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    resources: Option<u32>,
    /// The ttl of every lease
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = some_time, allow_hyphen_values = true)]
    ttl: Duration,
    /// How large each written value is (store)
    #[arg(long, default_value_t = 100, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    value_bytes: u32,
    /// How often the leader is killed (failover)
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    kills: u32,
    /// Threads of the load itself; one leaves the others to the cluster
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: u16,
    /// On which disk: a folder, in which one is made and deleted again [default: the system's for
    /// temporary files]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write everything that was measured to this file as well, as one JSON document
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One fdatasync and two round trips, with nothing around them
    Floor,
    /// Acquire and release a resource that nobody else wants
    Pair,
    /// From a release to the grant of the next in line, clients wanting few resources
    Handover,
    /// Renew leases as fast as answers come
    Renew,
    /// Hold many leases for --duration, renewed every third of the ttl
    Hold,
    /// Let many leases expire at once: how long after their deadline
    Expire,
    /// The same as handover with a line as long as there are clients
    Queue,
    /// From an acquire to its event at every watch; the clients watch
    Watch,
    /// Fenced writes, each durable
    Store,
    /// From SIGKILL of the leader to the next grant; only its own cluster
    Failover,
}

impl Kind {
    fn workload(self) -> Option<Workload> {
        Some(match self {
            Self::Floor => return None,
            Self::Pair => Workload::Pair,
            Self::Handover => Workload::Handover,
            Self::Renew => Workload::Renew,
            Self::Hold => Workload::Hold,
            Self::Expire => Workload::Expire,
            Self::Queue => Workload::Queue,
            Self::Watch => Workload::Watch,
            Self::Store => Workload::Store,
            Self::Failover => Workload::Failover,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    Session,
    Unary,
}

fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than 0".to_owned()),
        some => Ok(some),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e7).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.001 to 10000000".to_owned()),
    }
}

/// The whole of it, for `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: &'static str,
    /// What latencies are multiples of.
    floor_us: Option<f64>,
    runs: &'a [Report],
}

pub(crate) fn start(common: &Common, args: &BenchArgs) -> Result<Exit, Failure> {
    let mut runtime = match args.threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    // Ignored where there is only one.
    runtime.worker_threads(usize::from(args.threads));
    client_on(&mut runtime, common.log.as_deref(), of_cluster(common, run(common, args)))
}

async fn run(common: &Common, args: &BenchArgs) -> Result<Exit, Failure> {
    let plan = args.plan(common)?;
    let document = args.json.as_deref().map(create).transpose()?;
    let mut signals = signals::ending().map_err(Failure::because)?;
    let mut reports = Vec::new();
    let outcome = tokio::select! {
        outcome = measure(common, args, &plan, &mut reports) => outcome.map(|()| Exit::Done),
        signal = signals.next() => Ok(Exit::signalled(signal.as_raw())),
    };
    if let (Some(path), Some(file)) = (&args.json, document) {
        let floor_us = commit_us(&reports);
        let version = env!("CARGO_PKG_VERSION");
        let written =
            serde_json::to_writer_pretty(file, &Document { version, floor_us, runs: &reports });
        written.map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
    }
    outcome
}

fn commit_us(reports: &[Report]) -> Option<f64> {
    let floor = reports.iter().find(|report| report.setup.workload == "floor")?;
    let commit = floor.rows.iter().find(|row| row.measure == "commit")?;
    commit.latency.map(|latency| latency.p50)
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path)
        .map_err(|error| Failure::usage(format!("--json {}: {error}", path.display())))
}

impl BenchArgs {
    fn settings(&self, common: &Common, over: Over) -> Settings {
        Settings {
            clients: self.clients as usize,
            connections: self.connections as usize,
            over,
            pace: self.rate.map_or(Pace::Closed, Pace::Open),
            duration: self.duration,
            warmup: self.warmup,
            resources: self.resources.map(|resources| resources as usize),
            ttl: self.ttl,
            timeout: common.timeout,
            value_bytes: self.value_bytes as usize,
            kills: self.kills,
        }
    }

    /// What will be run, checked before anything is started.
    fn plan(&self, common: &Common) -> Result<Vec<(Workload, Settings)>, Failure> {
        let ours = common.endpoints.is_empty();
        if !ours {
            common.client()?;
            common.store.as_ref().map(|_| common.store_client("")).transpose()?;
        }
        let mut plan = Vec::new();
        for workload in self.workloads.iter().filter_map(|kind| kind.workload()) {
            if workload == Workload::Failover && !ours {
                return Err(Failure::usage(
                    "failover kills nodes, and only those of a cluster of its own: leave out \
                     --endpoints and unset LEASEHOLD_ENDPOINTS",
                ));
            }
            if workload == Workload::Store && !ours && common.store.is_none() {
                return Err(Failure::usage(
                    "store: which one? pass --store HOST:PORT or set LEASEHOLD_STORE",
                ));
            }
            for way in &self.over {
                let over = match way {
                    Way::Session => Over::Session,
                    Way::Unary => Over::Unary,
                };
                let settings = self.settings(common, over);
                settings.check(workload)?;
                plan.push((workload, settings));
            }
        }
        Ok(plan)
    }

    fn wants_floor(&self) -> bool {
        self.floor || self.workloads.contains(&Kind::Floor)
    }

    /// A folder on the disk that is asked about.
    fn folder(&self) -> Result<tempfile::TempDir, Failure> {
        let parent = self.data_dir.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("leasehold-bench-").tempdir_in(&parent);
        folder.map_err(|error| Failure::usage(format!("--data-dir {}: {error}", parent.display())))
    }
}

async fn measure(
    common: &Common,
    args: &BenchArgs,
    plan: &[(Workload, Settings)],
    reports: &mut Vec<Report>,
) -> Result<(), Failure> {
    if common.output == Format::Csv {
        print_line(CSV_HEADER)?;
    }
    // Declared first, so deleted last.
    let folder = args.folder()?;
    let floor = if args.wants_floor() {
        let floor = measure_floor(folder.path(), args.duration).await?;
        let report = Report::of_floor(&floor, args.duration).over_floor(&floor);
        show(common.output, &report)?;
        reports.push(report);
        Some(floor)
    } else {
        None
    };
    if plan.is_empty() {
        return Ok(());
    }
    let mut own = OwnCluster::start_unless_given(common, folder.path()).await?;
    let target = own.as_ref().map_or_else(|| given(common), OwnCluster::target);
    let outcome =
        run_all(common.output, plan, &target, own.as_mut(), floor.as_ref(), reports).await;
    if let Some(own) = own {
        own.0.stop().await;
    }
    outcome
}

async fn run_all(
    format: Format,
    plan: &[(Workload, Settings)],
    target: &Target,
    mut own: Option<&mut OwnCluster>,
    floor: Option<&Floor>,
    reports: &mut Vec<Report>,
) -> Result<(), Failure> {
    for (workload, settings) in plan {
        let victim = own.as_deref_mut().map(|own| own as &mut dyn Victim);
        let mut report = leasehold_bench::run(*workload, settings, target, victim).await?;
        if let Some(floor) = floor {
            report = report.over_floor(floor);
        }
        show(format, &report)?;
        reports.push(report);
    }
    Ok(())
}

/// For at most a second: it varies less than what stands on it.
async fn measure_floor(folder: &Path, at_most: Duration) -> Result<Floor, Failure> {
    warn_of_memory(folder);
    let (folder, length) = (folder.to_owned(), at_most.min(Duration::from_secs(1)));
    let measured = tokio::task::spawn_blocking(move || floor::measure(&folder, length)).await;
    measured.map_err(Failure::because)?.map_err(Failure::because)
}

/// A file system in memory syncs at once.
fn warn_of_memory(folder: &Path) {
    #[cfg(target_os = "linux")]
    if rustix::fs::statfs(folder).is_ok_and(|system| system.f_type == TMPFS) {
        say("leasehold: the folder is in memory, where syncing costs nothing; see --data-dir");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
}

/// The kernel's name for it, from `linux/magic.h`.
#[cfg(target_os = "linux")]
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

fn show(format: Format, report: &Report) -> Result<(), Failure> {
    match format {
        Format::Text => print_line(&format!("{}\n", report.text())),
        Format::Csv => print_line(&report.csv()),
        Format::Json => report.lines().try_for_each(|line| {
            print_line(&serde_json::to_string(&line).map_err(Failure::because)?)
        }),
    }
}

fn given(common: &Common) -> Target {
    Target { endpoints: common.endpoints.clone(), store: common.store.clone() }
}

/// The cluster that was started for this.
struct OwnCluster(Cluster);

impl OwnCluster {
    async fn start_unless_given(common: &Common, folder: &Path) -> Result<Option<Self>, Failure> {
        if !common.endpoints.is_empty() {
            return Ok(None);
        }
        say("leasehold: starting three nodes and a store");
        Cluster::start(Some(folder), None).await.map(|cluster| Some(Self(cluster)))
    }

    fn target(&self) -> Target {
        Target { endpoints: self.0.endpoints(), store: Some(self.0.store_address().to_owned()) }
    }

    /// Looks until something is so.
    async fn wait_for<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look().await {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                return Err(format!("{what} within {PATIENCE:?}"));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Victim for OwnCluster {
    fn leader(&mut self) -> LocalBoxFuture<'_, Result<u64, String>> {
        async {
            let leader = async || self.0.leader().await.map(|node| node.node_id);
            Self::wait_for("no leader", leader).await
        }
        .boxed_local()
    }

    fn kill(&mut self, node_id: u64) -> LocalBoxFuture<'_, Result<(), String>> {
        async move { self.0.kill_node(node_id).await.map_err(|failure| failure.message) }
            .boxed_local()
    }

    fn revive(&mut self, node_id: u64) -> LocalBoxFuture<'_, Result<(), String>> {
        async move {
            self.0.start_node(node_id).map_err(|failure| failure.message)?;
            let caught_up = async || {
                let leader = self.0.leader().await?;
                let node = self.0.node(node_id).await?;
                let follows = node.leader_id == Some(leader.node_id);
                (follows && node.applied_index >= leader.applied_index).then_some(())
            };
            Self::wait_for(&format!("node {node_id} did not catch up"), caught_up).await
        }
        .boxed_local()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Setting { .. } => Self::usage(error),
            Error::Unavailable(_) => Self::new(UNAVAILABLE, "UNAVAILABLE", error),
            Error::Other(_) => Self::other(error),
        }
    }
}
