//! `leasehold store`: the storage daemon.

use futures_util::FutureExt;
use leasehold_store::{Config, LogFormat, verify};

use super::daemon::{self, DaemonArgs};
use crate::chain::one_line;
use crate::exit::{Exit, Failure};
use crate::logging::{self, Lines};
use crate::output::print_line;

/// Run the store
///
/// SIGTERM or SIGINT stop it: what was taken is answered first. Every key of the config file is
/// explained in config/store.toml.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold store --config /etc/leasehold/store.toml
  leasehold store --config store.toml --check
  leasehold store --config store.toml --verify")]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Check the whole database of a stopped store, page by page, and exit: 0, or 1 with what is wrong
    #[arg(long, conflicts_with = "check")]
    verify: bool,
}

pub(crate) fn run(args: &StoreArgs, log: Option<&str>) -> Result<Exit, Failure> {
    let config =
        Config::load(&args.daemon.config).map_err(|error| Failure::config(one_line(&error)))?;
    if args.daemon.check {
        return print_line(&format!("{}: good", args.daemon.config.display())).map(|()| Exit::Done);
    }
    let lines = match config.log.format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    logging::start(log.unwrap_or(&config.log.filter), lines)?;
    if args.verify {
        return verified(&config);
    }
    let runtime = daemon::runtime(config.runtime_threads)?;
    daemon::run(runtime, args.daemon.stop_with_stdin, |stop| async move {
        let served = leasehold_store::serve(config, stop.map(drop)).await;
        served.map_err(|error| match error.is_bad_config() {
            true => Failure::config(one_line(&error)),
            false => Failure::because(error),
        })
    })
}

fn verified(config: &Config) -> Result<Exit, Failure> {
    let report = verify(config).map_err(Failure::because)?;
    let counters = report.counters;
    print_line(&format!(
        "good: {} resources, {} keys, revision {}",
        counters.resources, counters.keys, counters.revision
    ))?;
    Ok(Exit::Done)
}
