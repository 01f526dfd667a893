//! Real processes under fire.
//!
//! The other proofs of this project run its parts in one process, on virtual time. Here nothing is
//! virtual: release builds of nodes and stores, clients that are processes of their own, each on a host
//! of its own in a network that the run makes, and faults that come from the kernel. Clients do what a
//! lock service is for: they increment counters under leases, in a store that compares tokens. When it
//! is over no acknowledged increment may be missing, everything that anybody was answered must be
//! explainable ([`leasehold_sim::history`]), and a control without the fence must have lost something,
//! or the whole run means nothing.
//!
//! Reading order: [`profile`] (how much of what), [`run`], [`nemesis`] (what goes wrong), [`rig`] (what
//! it goes wrong with), [`client`] (the application), [`judge`] with [`counters`].

mod client;
mod counters;
mod eio;
mod judge;
mod nemesis;
mod paths;
mod power;
mod prerequisites;
mod profile;
mod rig;
mod run;
mod tally;
mod traced;
mod verdict;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Whatever keeps a run from coming to a verdict.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Real processes under fire
#[derive(Debug, Parser)]
#[command(
    name = "leasehold-fire",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes:
  0  every promise was kept, and enough happened to mean something
  1  a promise was broken, or too little happened
  2  there is no verdict: something is missing, or broke in the run itself"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Sets clusters on fire and checks what their clients saw (needs root, iproute2, nftables, a C compiler)
    Run(run::RunArgs),
    /// Fails every sync of a node and of a store once (needs strace besides)
    Eio(eio::EioArgs),
    /// Cuts the power of a node and of a store at every flush (needs strace besides)
    Power(power::PowerArgs),
    /// One client of a run
    #[command(hide = true)]
    Client(client::ClientArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One thread: the network namespace of a run belongs to the thread that made it.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return no_verdict(&error),
    };
    match runtime.block_on(run(arguments.verb)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => no_verdict(&*error),
    }
}

fn no_verdict(error: &dyn Error) -> ExitCode {
    eprintln!("leasehold-fire: {error}");
    ExitCode::from(2)
}

async fn run(verb: Verb) -> Outcome<bool> {
    match verb {
        Verb::Run(args) => {
            prerequisites::check(&[NETWORK, COMPILER].concat())?;
            until_interrupted(run::run(args)).await
        }
        Verb::Eio(args) => {
            prerequisites::check(&[NETWORK, STRACE].concat())?;
            until_interrupted(eio::run(args)).await
        }
        Verb::Power(args) => {
            prerequisites::check(&[NETWORK, STRACE].concat())?;
            until_interrupted(power::run(args)).await
        }
        Verb::Client(args) => client::run(args).await.map(|()| true),
    }
}

const NETWORK: &[(&str, &str)] =
    &[("ip", "iproute2"), ("nft", "nftables"), ("setpriv", "util-linux")];
const COMPILER: &[(&str, &str)] = &[("cc", "gcc")];
const STRACE: &[(&str, &str)] =
    &[("ip", "iproute2"), ("nft", "nftables"), ("setpriv", "util-linux"), ("strace", "strace")];

/// Dropping the run is what cleans up, so an interrupt must not end the process at once.
async fn until_interrupted(run: impl Future<Output = Outcome<bool>>) -> Outcome<bool> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = run => outcome,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("told to end".into()),
    }
}
