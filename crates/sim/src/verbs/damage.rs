//! `leasehold-sim damage`: every durable file damaged, the power cut at every step.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use leasehold_sim::damage::{self, Depth, Options, Plant, Report};

/// Damages every durable file of nodes and stores: detected or harmless, never wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every case was detected or harmless, and there were enough of each kind
  1  a case was neither, or the figures are too small to mean anything

Examples:
  leasehold-sim damage --seed 7
  leasehold-sim damage --seed 7 --case 1234
  leasehold-sim damage --plant sealed-tail-cut")]
pub(crate) struct DamageArgs {
    /// Decides the histories and what is sampled of large files
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Only the case with this number, and what became of it
    #[arg(long, value_name = "K")]
    case: Option<usize>,

    /// A known bug, which must be noticed: exit code 1
    #[arg(long)]
    plant: Option<Plant>,

    /// Print what the nodes themselves log: a filter such as info or leasehold_raft=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    /// Threads to try cases on
    #[arg(long, default_value_t = 2)]
    threads: usize,

    /// A few cases of each kind, and no demands on their number
    #[arg(long)]
    few: bool,

    /// Fail below this many corruptions
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    corruptions: u64,

    /// Fail below this many power cuts
    #[arg(long, default_value_t = 300, value_name = "N")]
    power_cuts: u64,
}

pub(crate) fn run(args: &DamageArgs) -> ExitCode {
    if let Some(filter) = &args.log {
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_ansi(false).init();
    }
    let started = Instant::now();
    let options = Options {
        seed: args.seed,
        depth: if args.few { Depth::Few } else { Depth::Full },
        threads: args.threads,
        case: args.case,
        plant: args.plant,
    };
    let report = match damage::run(&options, &|line| println!("{line}")) {
        Ok(report) => report,
        Err(why) => {
            println!("NOTHING WAS TRIED: {why}");
            return ExitCode::from(1);
        }
    };
    println!("{report}");
    println!(
        "{:.1} s on {} threads, seed {}",
        started.elapsed().as_secs_f64(),
        args.threads,
        args.seed
    );
    let lacks = match args.few || args.case.is_some() || args.plant.is_some() {
        true => Vec::new(),
        false => report.lacks(args.corruptions, args.power_cuts),
    };
    lacks.iter().for_each(|what| println!("TOO LITTLE: {what}"));
    let written = write_json(args, &report);
    match report.violations.is_empty() && lacks.is_empty() && written {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    }
}

fn write_json(args: &DamageArgs, report: &Report) -> bool {
    let Some(path) = &args.json else { return true };
    match std::fs::write(path, report.to_json(args.seed) + "\n") {
        Ok(()) => true,
        Err(error) => {
            println!("{} cannot be written: {error}", path.display());
            false
        }
    }
}
