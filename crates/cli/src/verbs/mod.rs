//! One file a verb: its arguments, its help, what it prints, and how it runs.

pub(crate) mod acquire;
pub(crate) mod bench;
mod claim;
pub(crate) mod completions;
pub(crate) mod daemon;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod release;
pub(crate) mod renew;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod watch;

use std::future::Future;

use crate::args::{Cli, Verb};
use crate::exit::{Exit, Failure};
use crate::lock::{gate, watchdog};
use crate::output::Format;
use crate::wrong_address::{of_cluster, of_store};
use crate::{demo as play, logging};

/// What the verbs that are clients say of themselves unless told otherwise: nothing but errors.
const CLIENT_LOG: &str = "error";

/// Runs the verb.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { common, verb } = cli;
    if common.output == Format::Csv && !matches!(verb, Verb::Bench(_)) {
        return Err(Failure::usage("--output csv is for figures, and only bench has any"));
    }
    let log = common.log.as_deref();
    match verb {
        Verb::Acquire(args) => client(log, of_cluster(&common, acquire::run(&common, &args))),
        Verb::Renew(args) => client(log, of_cluster(&common, renew::run(&common, &args))),
        Verb::Release(args) => client(log, of_cluster(&common, release::run(&common, &args))),
        Verb::Get(args) => client(log, of_cluster(&common, get::run(&common, &args))),
        Verb::List(args) => client(log, of_cluster(&common, list::run(&common, &args))),
        Verb::Watch(args) => client(log, of_cluster(&common, watch::run(&common, &args))),
        Verb::Lock(args) => client(log, of_cluster(&common, lock::run(&common, &args))),
        Verb::Data(args) => client(log, of_store(&common, data::run(&common, &args))),
        Verb::Status(args) => client(log, status::run(&common, &args)),
        Verb::Dev(args) => client(log, dev::run(&common, &args)),
        Verb::Bench(args) => bench::start(&common, &args),
        Verb::Demo(args) => client(log, demo::run(&common, &args)),
        Verb::Actor(args) => client(log, play::actor::run(&common, &args)),
        Verb::Server(args) => server::run(&args, log),
        Verb::Store(args) => store::run(&args, log),
        Verb::Completions(args) => completions::run(&args),
        // What stands between a lock and its command says nothing of itself.
        Verb::Watchdog(args) => watchdog::run(&args),
        Verb::Gate(args) => gate::run(&args),
    }
}

/// Runs a verb that is a client of something, on a runtime of its own.
fn client(
    log: Option<&str>,
    verb: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    client_on(&mut tokio::runtime::Builder::new_current_thread(), log, verb)
}

/// The same, on a runtime made as the verb wants it.
fn client_on(
    runtime: &mut tokio::runtime::Builder,
    log: Option<&str>,
    verb: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    logging::start(log.unwrap_or(CLIENT_LOG), logging::Lines::Text)?;
    runtime.enable_all().build().map_err(Failure::because)?.block_on(verb)
}
