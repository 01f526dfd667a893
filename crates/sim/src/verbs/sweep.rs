//! `leasehold-sim sweep`: many seeds of the simulated cluster, on several threads.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use leasehold_sim::simulation::{self, Ended, Figures, Options, Plant};

/// Runs the simulated cluster from many seeds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every property held in every run, and enough happened to mean something
  1  a property did not hold, or something that should happen never did

Examples:
  leasehold-sim sweep --seeds 0..2000
  leasehold-sim sweep --seeds 0..100 --plant sync-lies")]
pub(crate) struct SweepArgs {
    /// The seeds, the last one not included
    #[arg(long, value_name = "FROM..TO", value_parser = seeds)]
    seeds: Range<u64>,

    /// Threads to run them on
    #[arg(long, default_value_t = 2)]
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
}

pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write FROM..TO, such as 0..100")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = number(from)?..number(to)?;
    match range.is_empty() {
        true => Err("there is no seed in it".to_owned()),
        false => Ok(range),
    }
}

pub(crate) fn run(args: &SweepArgs) -> ExitCode {
    let started = Instant::now();
    let (next, failed) = (AtomicU64::new(args.seeds.start), AtomicU64::new(0));
    let (results, ended) = mpsc::channel();
    let mut figures = Figures::default();
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            let (results, next, failed) = (results.clone(), &next, &failed);
            scope.spawn(move || work(args, next, failed, &results));
        }
        drop(results);
        for (options, end) in ended {
            figures.add(&end.figures);
            tell_progress(args, &figures, &options, &end);
        }
    });
    let took = started.elapsed().as_secs_f64();
    println!("{figures}");
    let speed = figures.simulated.as_secs_f64() / took;
    println!("{took:.1} s on {} threads: {speed:.0} times real time", args.threads);
    let missing = if args.few { Vec::new() } else { figures.missing() };
    for what in &missing {
        println!("NEVER SEEN {what}");
    }
    let failed = failed.load(Ordering::Relaxed);
    println!("{failed} of {} seeds failed", figures.seeds);
    match failed == 0 && missing.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    }
}

fn work(
    args: &SweepArgs,
    next: &AtomicU64,
    failed: &AtomicU64,
    results: &mpsc::Sender<(Options, Ended)>,
) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= args.seeds.end || failed.load(Ordering::Relaxed) >= args.failures {
            return;
        }
        let options = Options { seed, plant: args.plant, ..Options::default() };
        let ended = simulation::run(&options);
        if ended.violation.is_some() {
            failed.fetch_add(1, Ordering::Relaxed);
        }
        if results.send((options, ended)).is_err() {
            return;
        }
    }
}

fn tell_progress(args: &SweepArgs, figures: &Figures, options: &Options, ended: &Ended) {
    match &ended.violation {
        Some(violation) if args.plant.is_some() => {
            println!("seed {} noticed it: {}: {}", options.seed, violation.oracle, violation.what);
        }
        Some(_) => super::run::tell(options, ended, true),
        None if figures.seeds.is_multiple_of(100) => {
            let total = args.seeds.end - args.seeds.start;
            eprintln!("{} of {total} seeds", figures.seeds);
        }
        None => {}
    }
}
