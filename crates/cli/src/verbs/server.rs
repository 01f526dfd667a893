//! `leasehold server`: the lease daemon.

use futures_util::FutureExt;
use leasehold_server::{Config, LogFormat};

use super::daemon::{self, DaemonArgs};
use crate::chain::one_line;
use crate::exit::{Exit, Failure};
use crate::logging::{self, Lines};
use crate::output::print_line;

/// Run one node of the lease cluster
///
/// SIGTERM or SIGINT stop it: leadership is handed over, what was taken is answered. Every key of the
/// config file is explained in config/leasehold.toml.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold server --config /etc/leasehold/leasehold.toml
  leasehold server --config node-1.toml --check")]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(crate) fn run(args: &ServerArgs, log: Option<&str>) -> Result<Exit, Failure> {
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
    let runtime = daemon::runtime(config.runtime_threads)?;
    daemon::run(runtime, args.daemon.stop_with_stdin, |stop| async move {
        leasehold_server::serve(config, stop.map(drop)).await.map_err(Failure::because)
    })
}
