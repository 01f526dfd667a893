//! One file a verb: its arguments, its help, what it prints, and how it runs.

pub(crate) mod acquire;
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

use crate::args::{Cli, Verb};
use crate::exit::{Exit, Failure};
use crate::lock::{gate, watchdog};
use crate::{connect, demo as play, logging};

/// What the verbs that are clients say of themselves unless told otherwise: nothing but errors.
const CLIENT_LOG: &str = "error";

/// Runs the verb.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { common, verb } = cli;
    match verb {
        Verb::Server(args) => return server::run(&args, common.log.as_deref()),
        Verb::Store(args) => return store::run(&args, common.log.as_deref()),
        // Between a lock and its command nothing is said.
        Verb::Gate(args) => return gate::run(&args),
        Verb::Watchdog(args) => return watchdog::run(&args),
        Verb::Completions(args) => return completions::run(&args),
        _ => logging::start(common.log.as_deref().unwrap_or(CLIENT_LOG), logging::Lines::Text)?,
    }
    connect::run(async {
        match verb {
            Verb::Acquire(args) => acquire::run(&common, &args).await,
            Verb::Renew(args) => renew::run(&common, &args).await,
            Verb::Release(args) => release::run(&common, &args).await,
            Verb::Get(args) => get::run(&common, &args).await,
            Verb::List(args) => list::run(&common, &args).await,
            Verb::Watch(args) => watch::run(&common, &args).await,
            Verb::Lock(args) => lock::run(&common, &args).await,
            Verb::Data(args) => data::run(&common, &args).await,
            Verb::Status(args) => status::run(&common, &args).await,
            Verb::Dev(args) => dev::run(&common, &args).await,
            Verb::Demo(args) => demo::run(&common, &args).await,
            Verb::Actor(args) => play::actor::run(&common, &args).await,
            Verb::Server(_)
            | Verb::Store(_)
            | Verb::Gate(_)
            | Verb::Watchdog(_)
            | Verb::Completions(_) => unreachable!("answered above"),
        }
    })
}
