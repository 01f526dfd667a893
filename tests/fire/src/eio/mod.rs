//! The n-th sync of the disk fails, for every n of a scripted run.
//!
//! After a sync that failed nobody knows what is on the disk, and asking again may say yes falsely. So
//! a daemon must stop, acknowledge nothing that it was asked after the error, and, started again on a
//! disk that works, know everything that it had acknowledged. strace puts the error in; it counts the
//! calls of each thread by itself, so one run may see it more than once.

mod errors;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::paths::Paths;
use crate::rig::cluster::Machine;
use crate::rig::network::Network;
use crate::tally::Tally;
use crate::traced::script::{Script, Sent};
use crate::traced::{self, ALONE, PATIENCE};
use crate::{Outcome, verdict};

/// With so many complaints there is nothing more to learn.
const COMPLAINTS_MAX: usize = 3;
/// More calls than any thread makes in a script: a script that does not end is a mistake of ours.
const CALLS_MAX: u64 = 400;

/// How it is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EioArgs {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Only every so many-th call
    #[arg(long, default_value_t = 1)]
    pub(crate) step: u64,
}

/// Fails every sync of a lease node, then of a store. True when every promise was kept.
pub(crate) async fn run(args: EioArgs) -> Outcome<bool> {
    let binary = args.paths.binary()?;
    let directory = args.paths.directory()?;
    let network = Network::create(ALONE.hosts())?;
    let (mut tally, mut complaints) = (Tally::default(), Vec::new());
    let started = Instant::now();
    for script in [Script::Lease, Script::Store] {
        let mut call = 1;
        loop {
            let below = directory.path().join(format!("{script:?}-{call}"));
            std::fs::create_dir_all(&below)?;
            let mut trial = Trial {
                network: &network,
                machine: traced::machine_for(script, &network, &below, &binary)?,
                script,
                trace: below.join("strace.log"),
                call,
            };
            let injected = trial.run(&mut tally, &mut complaints).await?;
            if injected == 0 || complaints.len() >= COMPLAINTS_MAX {
                break;
            }
            call += args.step;
            if call > CALLS_MAX {
                return Err("the script makes more calls than it can".into());
            }
        }
        println!("{script:?}: every sync up to the {call}th of a thread has failed once");
    }
    let least = [("failed syncs", 20 / args.step), ("acknowledged before", 20 / args.step)];
    complaints.extend(verdict::too_little(&tally, &least, 1.0));
    verdict::tell("eio", 0, started.elapsed(), &tally, &complaints, args.paths.json.as_deref())?;
    directory.close(complaints.is_empty())?;
    Ok(complaints.is_empty())
}

/// One daemon, one failing call.
struct Trial<'a> {
    network: &'a Network,
    machine: Machine,
    script: Script,
    trace: PathBuf,
    call: u64,
}

impl Trial<'_> {
    /// Gives how often the error was put in.
    async fn run(&mut self, tally: &mut Tally, complaints: &mut Vec<String>) -> Outcome<u64> {
        // Each thread's n-th fsync, and n-th fdatasync.
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={}", self.call);
        let options = ["-e", "trace=fsync,fdatasync", "-e", &inject];
        let command = traced::command(self.network, &self.machine, &self.trace, &options);
        self.machine.daemon.start(command)?;
        let address = self.script.address(&self.machine);
        let sent = self.script.play(&address, &mut self.machine.daemon, PATIENCE).await?;
        let errors = errors::errors(&self.trace)?;
        let title = format!("{:?}, sync {}", self.script, self.call);
        if let Some(first) = errors.iter().min() {
            tally.add("failed syncs", errors.len() as u64);
            tally.add(
                "acknowledged before",
                sent.iter().filter(|one| one.acknowledged).count() as u64,
            );
            let late = sent.iter().find(|one| one.acknowledged && one.sent_at > *first);
            if let Some(Sent { name, .. }) = late {
                complaints
                    .push(format!("{title}: {name} was asked after the error and acknowledged"));
            }
            if !self.has_stopped().await? {
                let words = self.machine.daemon.last_words();
                complaints.push(format!("{title}: it went on after the error\n{words}"));
            }
        }
        traced::end(&mut self.machine).await?;
        self.machine.start(self.network)?;
        match self.script.read_back(&address, &sent, PATIENCE).await {
            Ok(lost) => complaints.extend(lost.into_iter().map(|lost| format!("{title}: {lost}"))),
            Err(error) => {
                let words = self.machine.daemon.last_words();
                complaints.push(format!("{title}: started again, {error}\n{words}"));
            }
        }
        tally.add("read back", sent.iter().filter(|one| one.acknowledged).count() as u64);
        self.machine.kill()?;
        Ok(errors.len() as u64)
    }

    async fn has_stopped(&mut self) -> Outcome<bool> {
        let deadline = Instant::now() + PATIENCE;
        while self.machine.daemon.is_up() {
            if self.machine.daemon.ended_by_itself()?.is_some_and(|status| !status.success()) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The script has seen it end.
        Ok(true)
    }
}
