//! The power fails at every flush of a scripted run.
//!
//! strace writes down every call with which a daemon changes its data directory. The calls are done
//! again, one after the other, on a disk that knows which of them are durable
//! ([`leasehold_disk::fake`]), and before and after each sync the power is cut: what was synced stays,
//! what was not survives, vanishes or tears. The real daemon is started on what is left, and must know
//! all that it had acknowledged up to then.
//!
//! The simulator cuts its power at more moments, but through our own trait for disks. Here nothing
//! stands between the program and the kernel, so a sync that is forgotten, or done to another file, in
//! our code or in a library's, is found too. A control does the calls again with the syncs left out; if
//! nothing is missed then, the run could not have seen a loss.

mod calls;
mod replay;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::paths::Paths;
use crate::rig::cluster::Machine;
use crate::rig::network::Network;
use crate::tally::Tally;
use crate::traced::script::{Script, Sent};
use crate::traced::{self, ALONE, PATIENCE};
use crate::{Outcome, verdict};
use calls::{Call, Made};
use replay::{Cut, Replay};

/// With so many complaints there is nothing more to learn.
const COMPLAINTS_MAX: usize = 3;
/// A control that does not serve by then has shown enough.
const CONTROL_PATIENCE: Duration = Duration::from_secs(3);

/// How it is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PowerArgs {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Only every so many-th cut
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) step: u64,
    /// Decides what becomes of writes that were not synced
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Cuts the power of a lease node, then of a store. True when every promise was kept.
pub(crate) async fn run(args: PowerArgs) -> Outcome<bool> {
    let binary = args.paths.binary()?;
    let directory = args.paths.directory()?;
    let network = Network::create(ALONE.hosts())?;
    let (mut tally, mut complaints) = (Tally::default(), Vec::new());
    let started = Instant::now();
    for script in [Script::Lease, Script::Store] {
        let below = directory.path().join(format!("{script:?}"));
        let (sent, calls, made) =
            record(script, &network, &below.join("recorded"), &binary).await?;
        tally.add("directories made", made.count);
        let in_vain = made
            .in_vain
            .iter()
            .map(|path| format!("{script:?}: the name of {} was not durable", path.display()));
        complaints.extend(in_vain);
        let again = below.join("again");
        std::fs::create_dir_all(&again)?;
        let mut trial = Trial {
            machine: traced::machine_for(script, &network, &again, &binary)?,
            network: &network,
            script,
            sent: &sent,
        };
        let cuts = replay::cuts(&calls, args.seed);
        for cut in cuts.iter().step_by(usize::try_from(args.step)?) {
            let lost = trial.run(&calls, cut, PATIENCE, &mut tally).await?;
            complaints.extend(lost.map(|lost| format!("{script:?}, {}: {lost}", cut.told(&calls))));
            if complaints.len() >= COMPLAINTS_MAX {
                break;
            }
        }
        println!("{script:?}: {} cuts around the syncs of {} calls", cuts.len(), calls.len());
        let control = Cut::without_syncs(&calls);
        match trial.run(&calls, &control, CONTROL_PATIENCE, &mut Tally::default()).await? {
            Some(_) => tally.add("controls that lost something", 1),
            None => complaints.push(format!("{script:?}: without any sync nothing was lost")),
        }
    }
    // Two of each machine: its data directory, and the one that this is in.
    let least = [
        ("directories made", 4),
        ("power cuts", 60 / args.step),
        ("acknowledged before", 200 / args.step),
    ];
    complaints.extend(verdict::too_little(&tally, &least, 1.0));
    verdict::tell(
        "power",
        args.seed,
        started.elapsed(),
        &tally,
        &complaints,
        args.paths.json.as_deref(),
    )?;
    directory.close(complaints.is_empty())?;
    Ok(complaints.is_empty())
}

/// Plays the script and gives what was asked, what the daemon did to its data meanwhile, and which
/// directories it made for that.
async fn record(
    script: Script,
    network: &Network,
    directory: &Path,
    binary: &Path,
) -> Outcome<(Vec<Sent>, Vec<Call>, Made)> {
    std::fs::create_dir_all(directory)?;
    let mut machine = traced::machine_for(script, network, directory, binary)?;
    let log = directory.join("strace.log");
    let command = traced::command(network, &machine, &log, calls::OPTIONS);
    machine.daemon.start(command)?;
    let address = script.address(&machine);
    let sent = script.play(&address, &mut machine.daemon, PATIENCE).await?;
    traced::end(&mut machine).await?;
    let log = std::fs::read_to_string(&log)?;
    Ok((sent, calls::read(&log, &machine.data)?, calls::made(&log, &machine.data)?))
}

/// A daemon that is started again and again on what a power cut left.
struct Trial<'a> {
    machine: Machine,
    network: &'a Network,
    script: Script,
    sent: &'a [Sent],
}

impl Trial<'_> {
    /// Gives what the daemon no longer knows.
    async fn run(
        &mut self,
        calls: &[Call],
        cut: &Cut,
        patience: Duration,
        tally: &mut Tally,
    ) -> Outcome<Option<String>> {
        Replay::until(calls, cut)?.write_to(&self.machine.data)?;
        let before = |one: &&Sent| one.acknowledged && one.answered_at < cut.at;
        let sent: Vec<Sent> = self.sent.iter().filter(before).cloned().collect();
        tally.add("power cuts", 1);
        tally.add("acknowledged before", sent.len() as u64);
        self.machine.start(self.network)?;
        let address = self.script.address(&self.machine);
        let lost = match self.script.read_back(&address, &sent, patience).await {
            Ok(lost) => lost.into_iter().next(),
            Err(error) => {
                let words = self.machine.daemon.last_words();
                Some(format!("started again, {error}\n{words}"))
            }
        };
        self.machine.kill()?;
        Ok(lost)
    }
}
