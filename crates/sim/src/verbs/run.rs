//! `leasehold-sim run`: one seed of the simulated cluster.

use std::process::ExitCode;

use leasehold_sim::simulation::{self, Ended, FaultClass, Options, Plant};

/// Runs the simulated cluster from one seed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  every property held
  1  a property did not hold; it is named, with the end of the story

Examples:
  leasehold-sim run --seed 81
  leasehold-sim run --seed 81 --trace
  leasehold-sim run --seed 1 --plant store-forgets-marks")]
pub(crate) struct RunArgs {
    /// Decides everything
    #[arg(long)]
    seed: u64,

    /// Print everything that is seen, as it happens
    #[arg(long)]
    trace: bool,

    /// Print only the hash of everything that was seen
    #[arg(long, conflicts_with = "trace")]
    hash: bool,

    /// A known bug, to see whether it is noticed
    #[arg(long)]
    plant: Option<Plant>,

    /// Classes of faults to leave out; nothing else changes
    #[arg(long, value_delimiter = ',')]
    without: Vec<FaultClass>,

    /// Print what the nodes themselves log, in between: a filter such as info or leasehold_raft=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    /// On failure, find out which classes of faults it takes
    #[arg(long)]
    blame: bool,
}

pub(crate) fn run(args: &RunArgs) -> ExitCode {
    if let Some(filter) = &args.log {
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_ansi(false).init();
    }
    let options = Options {
        seed: args.seed,
        plant: args.plant,
        without: args.without.iter().copied().collect(),
        trace: args.trace,
    };
    let ended = simulation::run(&options);
    if args.hash {
        println!("{:016x}", ended.hash);
    } else {
        tell(&options, &ended, args.blame);
    }
    match ended.violation {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::from(1),
    }
}

/// What was done, and what did not hold.
pub(super) fn tell(options: &Options, ended: &Ended, blame: bool) {
    let Some(violation) = &ended.violation else {
        println!("seed {} held, hash {:016x}\n{}", options.seed, ended.hash, ended.figures);
        return;
    };
    println!("faults that were on: {}", ended.classes.join(", "));
    ended.story.iter().for_each(|line| println!("{line}"));
    println!("VIOLATED {} at {:?}: {}", violation.oracle, violation.at, violation.what);
    if blame {
        let needed = simulation::blame(options, violation);
        let needed: Vec<_> = needed.iter().map(FaultClass::to_string).collect();
        println!("faults it takes: {}", needed.join(", "));
    }
    println!("again: {}", command(options));
}

fn command(options: &Options) -> String {
    let mut command = format!("leasehold-sim run --seed {}", options.seed);
    if let Some(plant) = options.plant {
        command += &format!(" --plant {plant}");
    }
    if !options.without.is_empty() {
        let without: Vec<_> = options.without.iter().map(FaultClass::to_string).collect();
        command += &format!(" --without {}", without.join(","));
    }
    command
}
