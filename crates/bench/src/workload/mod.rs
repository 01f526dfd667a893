//! One file a workload: what one operation is, and what of it is measured.

mod expire;
mod failover;
mod handover;
mod hold;
mod pair;
mod queue;
mod renew;
mod store;
mod watch;

use crate::figures::Measured;
use crate::locks::Locks;
use crate::run::Run;
use crate::{Error, Victim, Workload};

pub(crate) async fn run(
    run: &Run,
    victim: Option<&mut dyn Victim>,
) -> Result<Vec<Measured>, Error> {
    match run.workload {
        Workload::Pair | Workload::Handover | Workload::Queue | Workload::Renew => {
            run_over(run, &run.links().await?).await
        }
        Workload::Hold => hold::run(run).await,
        Workload::Expire => expire::run(run).await,
        Workload::Watch => watch::run(run).await,
        Workload::Store => store::run(run).await,
        Workload::Failover => failover::run(run, victim).await,
    }
}

/// Those that every system can be asked for.
pub(crate) async fn run_over<L: Locks>(run: &Run, links: &[L]) -> Result<Vec<Measured>, Error> {
    match run.workload {
        Workload::Pair => pair::run(run, links).await,
        Workload::Handover => handover::run(run, links).await,
        Workload::Queue => queue::run(run, links).await,
        Workload::Renew => renew::run(run, links).await,
        other => {
            let why = format!("{}: is about Leasehold alone", other.name());
            Err(Error::Setting { flag: "WORKLOAD", why })
        }
    }
}

pub(crate) use store::write_over;

/// The outcome's name.
pub(crate) fn outcome<T>(result: &Result<T, crate::locks::Failed>) -> &'static str {
    result.as_ref().map_or_else(|failed| failed.0, |_| crate::figures::OK)
}

/// What the library says when it cannot even begin.
pub(crate) fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}
