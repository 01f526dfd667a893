//! `leasehold-sim sweep`: many seeds of the simulated cluster, on all cores.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use leasehold_sim::simulation::{self, Figures, Options, Plant};
use serde_json::json;

use super::{figures, seeds};

/// Runs the simulated cluster from many seeds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every property held in every run, and enough happened to mean something
  1  a property did not hold, or less happened than is due in so many runs
  2  the arguments are wrong, or the figures cannot be written

The last line is the figures as one JSON object.

Examples:
  leasehold-sim sweep --seeds 0..2000 --json figures.json
  leasehold-sim sweep --seeds 0..100 --few --plant sync-lies")]
pub(crate) struct SweepArgs {
    /// The seeds, the last one not included
    #[arg(long, value_name = "FROM..TO", value_parser = seeds::parse)]
    seeds: Range<u64>,

    /// Threads to run them on
    #[arg(long, default_value_t = seeds::all_cores())]
    threads: usize,

    /// A known bug: every seed that notices it is told
    #[arg(long)]
    plant: Option<Plant>,

    /// Stop after this many failures
    #[arg(long, default_value_t = 5)]
    failures: u64,

    /// Do not ask that enough happened
    #[arg(long)]
    few: bool,

    /// Write the figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &SweepArgs) -> ExitCode {
    let started = Instant::now();
    let (mut figures, mut failed) = (Figures::default(), 0);
    let options = |seed| Options { seed, plant: args.plant, ..Options::default() };
    let work = |seed| simulation::run(&options(seed));
    seeds::each(&args.seeds, args.threads, work, |seed, ended| {
        figures.add(&ended.figures);
        if let Some(violation) = &ended.violation {
            failed += 1;
            match args.plant {
                Some(_) => {
                    println!("seed {seed} noticed it: {}: {}", violation.oracle, violation.what);
                }
                None => super::run::tell(&options(seed), &ended, true),
            }
        }
        failed < args.failures
    });
    let took = started.elapsed();
    println!("{figures}");
    let speed = figures.simulated.as_secs_f64() / took.as_secs_f64();
    println!("{:.1} s on {} threads: {speed:.0} times real time", took.as_secs_f64(), args.threads);
    let missing = if args.few { Vec::new() } else { figures.missing() };
    missing.iter().for_each(|what| println!("TOO FEW {what}"));
    println!("{failed} of {} seeds failed", figures.seeds);
    let line = in_one_line(&figures, failed, took);
    println!("{line}");
    if !figures::write(args.json.as_deref(), &line) {
        return ExitCode::from(2);
    }
    match failed == 0 && missing.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    }
}

/// The figures for a ledger.
fn in_one_line(figures: &Figures, failures: u64, took: Duration) -> serde_json::Value {
    let hours = figures.simulated.as_secs_f64() / 3_600.0;
    json!({
        "seeds": figures.seeds,
        "simulated_hours": (hours * 1_000.0).round() / 1_000.0,
        "seconds": took.as_secs(),
        "faults": figures.faults_total(),
        "faults_by_class": figures.faults,
        "grants": figures.of("grants"),
        "expiries": figures.of("expiries"),
        "writes_accepted": figures.of("writes accepted"),
        "stale_refused": figures.of("writes refused as stale"),
        "duplicates_answered": figures.of("writes answered again"),
        "reads": figures.of("reads answered"),
        "leader_changes": figures.of("leader changes"),
        "snapshots_installed": figures.of("snapshots installed"),
        "torn_tails_cut": figures.of("torn tails cut"),
        "failures": failures,
    })
}
