//! `leasehold-model`: runs the model check, its mutants, or tells one mutant's story.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use leasehold_model::{
    Config, Found, Happening, Limits, Trial, configurations, search, small_configurations, trials,
};

/// Explicit-state model check of the lease protocol.
#[derive(Debug, Parser)]
#[command(name = "leasehold-model", version)]
struct Options {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Exhausts every configuration, or those named; fails if a property is broken, a search is cut, or
    /// something that must be possible never happened.
    Check {
        /// Names of configurations; all of them by default.
        names: Vec<String>,
        /// The small configurations, which the tests run.
        #[arg(long)]
        small: bool,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Writes the figures to this file, as one JSON object.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Runs every changed protocol; fails if one gives no counter-example of its property.
    Mutants {
        /// Writes the figures to this file, as one JSON object.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Tells a shortest counter-example of one changed protocol.
    Explain {
        /// The mutant's name, as `mutants` prints it.
        mutant: String,
    },
    /// Lists configurations and mutants.
    List,
}

fn main() -> ExitCode {
    let is_good = match Options::parse().command {
        What::Check { names, small, threads, json } => {
            let known = if small { small_configurations() } else { configurations() };
            check(known, &names, threads, json.as_deref())
        }
        What::Mutants { json } => mutants(json.as_deref()),
        What::Explain { mutant } => explain(&mutant),
        What::List => list(),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(known: Vec<Config>, names: &[String], threads: usize, json: Option<&Path>) -> bool {
    if let Some(unknown) = names.iter().find(|name| known.iter().all(|c| c.name != **name)) {
        eprintln!("no configuration is named {unknown:?}; `leasehold-model list` names them");
        return false;
    }
    let chosen =
        known.into_iter().filter(|c| names.is_empty() || names.iter().any(|n| n == c.name));
    let chosen: Vec<Config> = chosen.collect();
    println!(
        "{:<24} {:>10} {:>11} {:>5} {:>7}  result",
        "configuration", "states", "steps", "depth", "seconds"
    );
    let limits = Limits { threads, ..Limits::default() };
    let found: Vec<Found> = chosen
        .into_iter()
        .map(|config| {
            let found = search(config, &limits);
            print_found(&found);
            found
        })
        .collect();
    print_sum(&found);
    let all_seen = !names.is_empty() || print_seen(&found);
    json.is_none_or(|file| write_figures(file, &found))
        && all_seen
        && found.iter().all(|found| found.is_complete)
}

fn write_figures(file: &Path, found: &[Found]) -> bool {
    let states: usize = found.iter().map(|found| found.states).sum();
    let seconds: f64 = found.iter().map(|found| found.took.as_secs_f64()).sum();
    let broken: usize = found.iter().map(|found| found.broken.len()).sum();
    let figures = format!(
        "{{\"configurations\":{},\"model_states\":{states},\"seconds\":{seconds:.1},\"failures\":{broken}}}\n",
        found.len()
    );
    write(file, &figures)
}

fn write(file: &Path, figures: &str) -> bool {
    let written = std::fs::write(file, figures);
    if let Err(error) = &written {
        eprintln!("leasehold-model: {} cannot be written: {error}", file.display());
    }
    written.is_ok()
}

fn print_found(found: &Found) {
    let result = match (found.broken.is_empty(), found.is_complete) {
        (true, true) => "complete, green",
        (true, false) => "CUT, green so far",
        (false, _) => "BROKEN",
    };
    let seconds = found.took.as_secs_f64();
    let Found { name, states, steps, depth, .. } = found;
    println!("{name:<24} {states:>10} {steps:>11} {depth:>5} {seconds:>7.1}  {result}");
    for (property, story) in &found.broken {
        println!("{property} is broken after {} steps:\n{story}", story.len());
    }
}

fn print_sum(found: &[Found]) {
    let states: usize = found.iter().map(|found| found.states).sum();
    let seconds: f64 = found.iter().map(|found| found.took.as_secs_f64()).sum();
    println!("{:<24} {states:>10} {:>25.1}", "all", seconds);
    let checked = found.first().map(|found| found.checked.as_slice()).unwrap_or_default();
    println!("\nchecked in every state, or at every step:");
    checked.iter().for_each(|property| println!("  {property}"));
}

/// What must be possible, and at how many steps it happened in which configuration most.
fn print_seen(found: &[Found]) -> bool {
    println!("\nwhat happened, at how many of the steps:");
    let mut all_seen = true;
    for what in Happening::ALL {
        let times = |found: &Found| found.seen[*what as usize].1;
        let sum: u64 = found.iter().map(times).sum();
        all_seen &= sum > 0;
        let most = found.iter().max_by_key(|found| times(found)).map_or("", |found| found.name);
        println!("  {what:<58} {sum:>11}  {}", if sum > 0 { most } else { "NEVER" });
    }
    all_seen
}

fn mutants(json: Option<&Path>) -> bool {
    println!("{:<28} {:>8} {:>5}  {:<52} result", "mutant", "states", "steps", "must break");
    let (mut all_good, mut noticed) = (true, 0);
    for trial in trials() {
        let found = trial.run();
        let is_good = trial.is_good(&found);
        all_good &= is_good;
        noticed += u32::from(is_good && trial.breaks.is_some());
        let steps =
            trial.counter_example(&found).map_or_else(String::new, |story| story.len().to_string());
        let result = match (is_good, trial.breaks) {
            (true, Some(_)) => "counter-example",
            (true, None) => "complete, green",
            (false, _) => "NOT AS EXPECTED",
        };
        let (name, breaks) = (format!("{:?}", trial.mutant), trial.breaks.unwrap_or("nothing"));
        println!("{name:<28} {:>8} {steps:>5}  {breaks:<52} {result}", found.states);
    }
    let figures = format!("{{\"planted_bugs_noticed\":{noticed}}}\n");
    json.is_none_or(|file| write(file, &figures)) && all_good
}

fn explain(mutant: &str) -> bool {
    let named = |trial: &Trial| format!("{:?}", trial.mutant).eq_ignore_ascii_case(mutant);
    let Some(trial) = trials().into_iter().find(named) else {
        eprintln!("no mutant is named {mutant:?}; `leasehold-model list` names them");
        return false;
    };
    println!("{:?}: {}.", trial.mutant, trial.what);
    let found = trial.run();
    match (trial.breaks, trial.counter_example(&found)) {
        (Some(property), Some(story)) => {
            println!("Breaks {property:?} in {} steps:\n{story}", story.len())
        }
        (None, None) => println!("Breaks nothing: {} states, all of them seen.", found.states),
        _ => println!(
            "Not as expected: broken are {:?}",
            found.broken.iter().map(|b| b.0).collect::<Vec<_>>()
        ),
    }
    trial.is_good(&found)
}

fn list() -> bool {
    println!("configurations:");
    for config in configurations() {
        println!("  {:<24} {}", config.name, config.about);
    }
    println!("mutants:");
    for trial in trials() {
        println!("  {:<28} {}", format!("{:?}", trial.mutant), trial.what);
    }
    true
}
