//! `leasehold-cost`: counts the instructions that one command costs in each part, and fails where that
//! is more than the committed budget.
//!
//! Time on a shared machine says little, and a limit on it is either too wide to notice anything or red
//! without a cause. Instructions, counted by valgrind's callgrind, are the same in every run of the same
//! build. They are not time (a missed cache line costs nothing here), so this guards what was gained and
//! does not say how fast anything is; `leasehold bench` does.
//!
//! Each part is run twice in processes of their own, with few and with many commands; what the second run
//! has more, divided by the commands it has more, is what one costs. So neither the start of the process
//! nor what a part prepares is in it.

mod budgets;
mod callgrind;
mod memory;
mod parts;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use budgets::Budgets;
use parts::Part;

/// Counts instructions per command, part by part.
#[derive(Debug, Parser)]
#[command(name = "leasehold-cost", version)]
struct Options {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Counts every part and holds it against its budget, and the memory of a lease. Needs valgrind.
    Check,
    /// Measures what a live lease takes of memory, and judges nothing.
    Memory,
    /// Counts every part, or those named, and judges nothing: figures for a new budget.
    Count {
        /// Parts, by their names.
        parts: Vec<String>,
    },
    /// Does a part's work so many times. What the counting runs.
    #[command(hide = true)]
    Work {
        /// The part.
        part: String,
        /// How often.
        times: u32,
    },
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("leasehold-cost: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Outcome<ExitCode> {
    match &options.command {
        What::Work { part, times } => {
            Part::named(part)?.work(*times, callgrind::begin);
            Ok(ExitCode::SUCCESS)
        }
        What::Count { parts } => {
            let named: Vec<&Part> =
                parts.iter().map(|name| Part::named(name)).collect::<Result<_, _>>()?;
            count(if named.is_empty() { parts::ALL.iter().collect() } else { named })?;
            Ok(ExitCode::SUCCESS)
        }
        What::Memory => {
            weigh()?;
            Ok(ExitCode::SUCCESS)
        }
        What::Check => {
            let budgets = Budgets::committed()?;
            let mut complaints = budgets.judge(&count(parts::ALL.iter().collect())?);
            complaints.extend(budgets.judge_memory(weigh()?));
            complaints.iter().for_each(|complaint| println!("WRONG: {complaint}"));
            Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// What a lease takes, printed.
fn weigh() -> Outcome<memory::Bytes> {
    let bytes = memory::of_a_lease()?;
    println!("{:<32} {:>10} bytes for a live lease beyond its names", "memory", bytes.state);
    println!("{:<32} {:>10} bytes for the same", "snapshot", bytes.snapshot);
    Ok(bytes)
}

/// What each part costs, printed as it is known.
fn count(parts: Vec<&Part>) -> Outcome<budgets::Counts> {
    let mut counts = budgets::Counts::new();
    for part in parts {
        let instructions = callgrind::instructions_per_command(part)?;
        println!("{:<32} {instructions:>10} instructions for {}", part.name, part.one);
        counts.insert(part.name.to_owned(), instructions);
    }
    Ok(counts)
}
