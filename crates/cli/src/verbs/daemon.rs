//! What the two daemon verbs share: a runtime, the signals that stop them, and a parent to follow.

use std::future::Future;
use std::io::Read;
use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::exit::{Exit, Failure};
use crate::output::say;
use crate::supervise::signals;

/// What both daemons take.
#[derive(Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Check the config and exit: 0, or 78 with the key that is wrong
    #[arg(long)]
    pub(crate) check: bool,
    /// Stop when standard input ends: a parent that dies takes this process with it, however it dies.
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

/// A runtime with as many threads: with one, without worker threads.
pub(crate) fn runtime(threads: usize) -> Result<Runtime, Failure> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().map_err(Failure::because)
}

/// Runs `serve`, which is given a future that completes when the daemon shall stop: SIGTERM, SIGINT or,
/// if asked for, the end of standard input. A second signal ends the process without waiting for it.
pub(crate) fn run<S, F>(runtime: Runtime, with_stdin: bool, serve: S) -> Result<Exit, Failure>
where
    S: FnOnce(oneshot::Receiver<()>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    runtime.block_on(async {
        let mut stop = signals::stopping().map_err(Failure::because)?;
        let (tell, told) = oneshot::channel();
        let parent_gone = with_stdin.then(follow_stdin);
        let serving = serve(told);
        tokio::pin!(serving);
        tokio::select! {
            served = &mut serving => return served.map(|()| Exit::Done),
            signal = stop.next() => say(&format!("leasehold: {}: stopping", signals::name(signal))),
            () = ended(parent_gone) => {}
        }
        // It has just been seen to serve; should it end by itself meanwhile, nobody listens.
        let _ = tell.send(());
        tokio::select! {
            served = serving => served.map(|()| Exit::Done),
            _ = stop.next() => Err(Failure::other("stopped by a second signal, without draining")),
        }
    })
}

/// Completes at the end of standard input. A thread of its own: a read cannot be called off. On Linux
/// the kernel does the same for a process that cannot read because it is stopped.
fn follow_stdin() -> oneshot::Receiver<()> {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
    {
        tracing::warn!(%error, "a stopped process may outlive its parent");
    }
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut nothing = [0_u8; 64];
        while matches!(std::io::stdin().read(&mut nothing), Ok(bytes) if bytes > 0) {}
        // The daemon may have stopped by itself.
        let _ = tell.send(());
    });
    told
}

async fn ended(stdin: Option<oneshot::Receiver<()>>) {
    match stdin {
        // The sender is dropped or used, both at the end of standard input.
        Some(ended) => drop(ended.await),
        None => std::future::pending().await,
    }
}
