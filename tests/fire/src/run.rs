//! A run: clusters set on fire one after the other, a quiet end for each, and the verdict.

use std::path::Path;
use std::time::{Duration, Instant};

use leasehold_client::{StoreClient, StoreConfig};

use crate::Outcome;
use crate::client::worker::places;
use crate::nemesis::Nemesis;
use crate::paths::Paths;
use crate::profile::Profile;
use crate::rig::cluster::Size;
use crate::rig::{PATIENCE, Rig};
use crate::tally::Tally;
use crate::{counters, judge, verdict};

/// How a run is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[arg(long, value_enum)]
    pub(crate) profile: Profile,
    /// Which faults come when; drawn and printed if it is not given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Shorter or longer than the profile; what must have happened shrinks and grows with it
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
    #[command(flatten)]
    pub(crate) paths: Paths,
}

/// Runs a profile. True when every promise was kept, and enough happened.
pub(crate) async fn run(args: RunArgs) -> Outcome<bool> {
    let binary = args.paths.binary()?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let minutes = args.minutes.unwrap_or_else(|| args.profile.minutes());
    let directory = args.paths.directory()?;
    let started = Instant::now();
    println!("{:?} for {minutes} minutes with --seed {seed}", args.profile);
    let (mut tally, mut complaints) = (Tally::default(), Vec::new());
    let sizes = args.profile.sizes();
    for size in &sizes {
        let time = Duration::from_secs_f64(minutes * 60.0 / sizes.len() as f64);
        let below = directory.path().join(format!("{}-nodes", size.nodes));
        let rig = campaign(args.profile, *size, time, seed, &below, &binary).await?;
        tally.merge(&rig.tally);
        complaints.extend(rig.complaints.iter().cloned());
    }
    let share = minutes / args.profile.minutes();
    complaints.extend(verdict::too_little(&tally, args.profile.least(), share));
    let name = format!("{:?}", args.profile).to_lowercase();
    verdict::tell(&name, seed, started.elapsed(), &tally, &complaints, args.paths.json.as_deref())?;
    directory.close(complaints.is_empty())?;
    Ok(complaints.is_empty())
}

async fn campaign(
    profile: Profile,
    size: Size,
    time: Duration,
    seed: u64,
    directory: &Path,
    binary: &Path,
) -> Outcome<Rig> {
    let mut rig = Rig::start(size, directory, binary, profile.workload(), seed).await?;
    println!("{} nodes, {} stores, {} clients", size.nodes, size.stores, size.clients);
    let (started, mut told) = (Instant::now(), Instant::now());
    while started.elapsed() < time {
        let nemesis = Nemesis::draw(&mut rig.random, profile == Profile::Increments);
        rig.tally.add(&format!("nemesis {nemesis:?}"), 1);
        nemesis.strike(&mut rig).await?;
        let most = u64::try_from(profile.breath().as_millis())?;
        let breath = rig.between(0, most);
        rig.pass(breath).await?;
        if rig.random.u8(..4) == 0 {
            rig.wait_for_leader().await?;
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            let counts = ["sigkills", "pauses", "partitions"].map(|name| rig.tally.get(name));
            let [kills, pauses, partitions] = counts;
            println!(
                "{:>4} s: {kills} kills, {pauses} pauses, {partitions} partitions, {} complaints",
                started.elapsed().as_secs(),
                rig.complaints.len()
            );
        }
    }
    quiet(&mut rig).await?;
    for (kind, count) in rig.proxies.hits().by_name() {
        rig.tally.add(&format!("pieces {kind}"), count);
    }
    let changes = rig.observer.leaderships().saturating_sub(1);
    rig.tally.add("leader changes", changes);
    rig.tally.add("entries behind snapshots", rig.observer.snapshot_index());
    Ok(rig)
}

/// Faults off: the cluster leads, every client ends in order, every counter is incremented once more,
/// and read.
async fn quiet(rig: &mut Rig) -> Outcome<()> {
    rig.calm()?;
    if !rig.observer.wait_for_leader(PATIENCE).await {
        rig.complaints.push("with all faults gone no leader came".to_owned());
    }
    for name in rig.crew.end(PATIENCE).await? {
        rig.complaints.push(format!("with all faults gone {name} did not come to its end"));
    }
    rig.crew.start_as(0, "closer", &rig.network)?;
    let closer = &mut rig.crew.seats[0].daemon;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match closer.ended_by_itself()? {
            Some(status) if status.success() => break,
            Some(status) => return Err(format!("{status}\n{}", closer.last_words()).into()),
            None if Instant::now() > deadline => {
                let complaint = "with all faults gone the counters could not be incremented";
                rig.complaints.push(complaint.to_owned());
                closer.kill()?;
                break;
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    let mut totals = Vec::new();
    let addresses = rig.cluster.store_addresses();
    let client = |endpoint: &String| {
        let endpoint = endpoint.clone();
        StoreClient::with(StoreConfig { endpoint, request_timeout: PATIENCE, ..Default::default() })
    };
    let stores = addresses.iter().map(client).collect::<Result<Vec<_>, _>>()?;
    for (resource, store) in places(rig.crew.workload.counters, stores.len()) {
        totals.push(counters::read(&stores[store], &resource).await?);
    }
    judge::judge(rig, &totals)
}
