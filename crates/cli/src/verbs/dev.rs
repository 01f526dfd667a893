//! `leasehold dev`: a cluster to try things on.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::Signal;
use serde::Serialize;
use tokio::process::{Child, Command};

use crate::args::Common;
use crate::exit::{self, Exit, Failure};
use crate::output::{Show, say};
use crate::supervise::cluster::{Cluster, Death};
use crate::supervise::signals::{self, Signals};

/// Run a cluster on this machine, and a program against it
///
/// Starts lease nodes and a store, each a process of its own, on free ports of 127.0.0.1, and waits
/// until they serve. With CMD: runs it with LEASEHOLD_ENDPOINTS and LEASEHOLD_STORE set, stops
/// everything, and exits with CMD's status. Without: prints what to type next and runs until Ctrl-C.
///
/// LEASEHOLD_DATA_DIR names the folder with configs, logs and data; the file "pids" there has a line
/// "node-1 PID" for each process, for scripts that want to kill somebody. A process that dies is
/// reported, not started again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  leasehold dev
  leasehold dev --data-dir ~/leasehold-dev
  leasehold dev -- sh -c 'leasehold acquire jobs/nightly && leasehold status'
  leasehold dev --nodes 5 -- ./integration-tests.sh")]
pub(crate) struct DevArgs {
    /// How many lease nodes [default: 3, or as many as --data-dir has]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: Option<u16>,
    /// Where everything is kept, for the next time too [default: a folder that is deleted afterwards]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What to run
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Debug, Serialize)]
struct Ready {
    endpoints: String,
    store: String,
    data_dir: PathBuf,
}

impl Show for Ready {
    fn text(&self) -> String {
        format!(
            "export LEASEHOLD_ENDPOINTS={}\nexport LEASEHOLD_STORE={}\nexport LEASEHOLD_DATA_DIR={}",
            self.endpoints,
            self.store,
            self.data_dir.display()
        )
    }
}

pub(crate) async fn run(common: &Common, args: &DevArgs) -> Result<Exit, Failure> {
    let mut signals = signals::ending().map_err(Failure::because)?;
    let starting = Cluster::start(args.data_dir.as_deref(), args.nodes);
    let cluster = tokio::select! {
        started = starting => started?,
        signal = signals.next() => return Ok(Exit::signalled(signal.as_raw())),
    };
    let ready = Ready {
        endpoints: cluster.endpoints().join(","),
        store: cluster.store_address().to_owned(),
        data_dir: cluster.folder().to_owned(),
    };
    match args.command.split_first() {
        None => {
            common.output.show(&ready)?;
            serve(cluster, &mut signals).await;
            Ok(Exit::Done)
        }
        Some((program, arguments)) => {
            let spawned = command(program, arguments, &ready).spawn();
            let outcome = match spawned {
                Ok(child) => wait_for(child, cluster, &mut signals).await,
                Err(error) => {
                    cluster.stop().await;
                    say(&format!("leasehold: cannot run {}: {error}", program.display()));
                    return Ok(Exit::Command(match error.kind() {
                        io::ErrorKind::NotFound => exit::COMMAND_NOT_FOUND,
                        _ => exit::COMMAND_NOT_RUNNABLE,
                    }));
                }
            };
            outcome.map(exit_of)
        }
    }
}

/// Until somebody says stop.
async fn serve(mut cluster: Cluster, signals: &mut Signals) {
    say("\nThe cluster runs. In another terminal, paste the lines above, and try:\n");
    say("  leasehold status");
    say("  token=$(leasehold acquire jobs/nightly --ttl 60s)");
    say("  leasehold data put jobs/nightly greeting hello --token $token");
    say("  leasehold lock deploy -- sh -c 'echo I hold $LEASEHOLD_RESOURCE; sleep 5'\n");
    say("Ctrl-C stops it.");
    let mut reported = Vec::new();
    loop {
        tokio::select! {
            death = cluster.next_death(&reported) => report(&mut reported, death),
            _ = signals.next() => break,
        }
    }
    say("stopping");
    cluster.stop().await;
}

/// Until the command has ended.
async fn wait_for(
    mut child: Child,
    mut cluster: Cluster,
    signals: &mut Signals,
) -> Result<ExitStatus, Failure> {
    let mut reported = Vec::new();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            death = cluster.next_death(&reported) => report(&mut reported, death),
            signal = signals.next() => pass_on(signal, &child),
        }
    };
    cluster.stop().await;
    status.map_err(Failure::because)
}

fn command(program: &OsString, arguments: &[OsString], ready: &Ready) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LEASEHOLD_ENDPOINTS", &ready.endpoints)
        .env("LEASEHOLD_STORE", &ready.store)
        .env("LEASEHOLD_DATA_DIR", &ready.data_dir);
    command
}

/// The command shares this process's group, so the terminal's Ctrl-C has reached it already.
fn pass_on(signal: Signal, child: &Child) {
    let from_keyboard = matches!(signal, Signal::INT | Signal::QUIT) && io::stdin().is_terminal();
    let id =
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let (false, Some(id)) = (from_keyboard, id) {
        // Not reaped yet, so the id is still its own; and one that has just ended hears nothing.
        let _ = rustix::process::kill_process(id, signal);
    }
}

fn report(reported: &mut Vec<i32>, Death { name, pid, status }: Death) {
    say(&format!("leasehold: {name} (pid {pid}) has ended: {status}"));
    reported.push(pid);
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Command(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        (None, signal) => Exit::signalled(signal.unwrap_or(0)),
    }
}
