//! The `leasehold-sim` command: one verb a file in [`verbs`].

mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks what Leasehold promises.
#[derive(Debug, Parser)]
#[command(name = "leasehold-sim", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(verbs::check::CheckArgs),
    Run(verbs::run::RunArgs),
    Sweep(verbs::sweep::SweepArgs),
    Meta(verbs::meta::MetaArgs),
    Plants(verbs::plants::PlantsArgs),
    Damage(verbs::damage::DamageArgs),
    Scale(verbs::scale::ScaleArgs),
}

fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Check(args) => verbs::check::run(&args),
        Verb::Run(args) => verbs::run::run(&args),
        Verb::Sweep(args) => verbs::sweep::run(&args),
        Verb::Meta(args) => verbs::meta::run(&args),
        Verb::Plants(args) => verbs::plants::run(&args),
        Verb::Damage(args) => verbs::damage::run(&args),
        Verb::Scale(args) => verbs::scale::run(&args),
    }
}
