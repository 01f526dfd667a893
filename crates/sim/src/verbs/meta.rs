//! `leasehold-sim meta`: whether a seed tells the same story twice, in two processes.

use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde_json::json;

use super::{figures, seeds};

/// Runs each seed in two processes and compares what they saw
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every seed told the same story twice
  1  one did not
  2  the arguments are wrong, or the figures cannot be written

Example:
  leasehold-sim meta --seeds 0..200")]
pub(crate) struct MetaArgs {
    /// The seeds, the last one not included
    #[arg(long, value_name = "FROM..TO", value_parser = seeds::parse)]
    seeds: Range<u64>,

    /// Seeds to run at the same time
    #[arg(long, default_value_t = seeds::all_cores())]
    threads: usize,

    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &MetaArgs) -> ExitCode {
    let (mut same, mut all) = (0, 0);
    let twice = |seed| (hash(seed), hash(seed));
    seeds::each(&args.seeds, args.threads, twice, |seed, (first, second)| {
        all += 1;
        match first.is_some() && first == second {
            true => same += 1,
            false => println!("seed {seed} told two stories: {first:?} and {second:?}"),
        }
        true
    });
    println!("{same} of {all} seeds told the same story twice");
    if !figures::write(args.json.as_deref(), &json!({ "replayed_seeds": same })) {
        return ExitCode::from(2);
    }
    if same == all { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn hash(seed: u64) -> Option<String> {
    let own = std::env::current_exe().ok()?;
    let ran =
        Command::new(own).args(["run", "--hash", "--seed", &seed.to_string()]).output().ok()?;
    let hash = String::from_utf8(ran.stdout).ok()?.trim().to_owned();
    (!hash.is_empty()).then_some(hash)
}
