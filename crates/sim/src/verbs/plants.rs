//! `leasehold-sim plants`: whether every known bug is noticed, and by which oracle: where a bug
//! is planted for one of them, by that one.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use leasehold_sim::simulation::{self, Options, Plant};
use serde_json::json;

use super::{figures, seeds};

/// Plants each known bug and looks for a seed that notices it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every bug was noticed
  1  one was not
  2  the arguments are wrong, or the figures cannot be written

Example:
  leasehold-sim plants --seeds 0..300")]
pub(crate) struct PlantsArgs {
    /// The seeds to look among, the last one not included
    #[arg(long, value_name = "FROM..TO", value_parser = seeds::parse)]
    seeds: Range<u64>,

    /// Threads to run them on
    #[arg(long, default_value_t = seeds::all_cores())]
    threads: usize,

    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &PlantsArgs) -> ExitCode {
    let mut missed = 0;
    for plant in Plant::value_variants() {
        match first_noticed(args, *plant) {
            Some((seed, oracle)) => println!("{plant}: seed {seed}: {oracle}"),
            None => {
                println!("{plant}: NOT NOTICED");
                missed += 1;
            }
        }
    }
    let all = Plant::value_variants().len();
    println!("{missed} of {all} planted bugs went unnoticed");
    if !figures::write(args.json.as_deref(), &json!({ "planted_bugs_noticed": all - missed })) {
        return ExitCode::from(2);
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A seed that notices the bug by the oracle it is planted for, and what it says.
fn first_noticed(args: &PlantsArgs, plant: Plant) -> Option<(u64, String)> {
    let done = AtomicBool::new(false);
    let look = |seed| {
        // Seeds that were handed out before somebody noticed need not be run any more.
        if done.load(Ordering::Relaxed) {
            return None;
        }
        let options = Options { seed, plant: Some(plant), ..Options::default() };
        let aim = plant.aims_at().unwrap_or_default();
        let noticed = simulation::run(&options).violation;
        let noticed = noticed.filter(|violation| violation.oracle.starts_with(aim));
        done.fetch_or(noticed.is_some(), Ordering::Relaxed);
        noticed
    };
    let mut first = None;
    seeds::each(&args.seeds, args.threads, look, |seed, violation| {
        if let Some(violation) = violation {
            first.get_or_insert((seed, violation.oracle));
        }
        first.is_none()
    });
    first
}
