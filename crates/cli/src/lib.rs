//! The `leasehold` command: daemons, a development cluster, a demonstration, a benchmark, and every call
//! of the lease cluster and the store for scripts.
//!
//! Reading order: [`args`], [`exit`], [`output`], one file a verb in [`verbs`]; then [`lock`], which
//! runs a command under a lease, [`supervise`], which runs a whole cluster, and [`demo`].

mod args;
mod chain;
mod connect;
mod demo;
mod exit;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod lock;
mod logging;
mod output;
mod supervise;
mod verbs;
mod wrong_address;

use std::process::ExitCode;

use clap::Parser;

/// The command: reads the process's arguments, does what they say.
pub fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let format = cli.common.output;
    match verbs::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            format.complain(&failure);
            ExitCode::from(failure.code)
        }
    }
}
