//! `failover`: the leader is killed, again and again, and comes back each time.
//!
//! Measured: `grant`, from just before SIGKILL until a client that asks once the process is gone has a
//! lease; and how many of the leases that were held all the while are `lost`. Over `session` the client
//! is the library, with its own search for the leader, as any program has it. Over `unary` it is a call
//! with the same request id to one node after the other, a few milliseconds apart.

use std::sync::Arc;
use std::time::Duration;

use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_client::{AcquireError, Client, LeaseGuard, LeaseState};

use crate::figures::{Figures, Measured, OK, UNFINISHED};
use crate::link::{Failed, NOT_ANSWERED, connect};
use crate::progress::Progress;
use crate::run::Run;
use crate::time::Clock;
use crate::{Error, Over, Victim, workload};

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(5);
/// How long one node may take to answer.
const CALL_PATIENCE: Duration = Duration::from_millis(200);
/// After so long without a grant the run is over.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(
    run: &Run,
    victim: Option<&mut dyn Victim>,
) -> Result<Vec<Measured>, Error> {
    let Some(victim) = victim else {
        let why = "failover: kills nodes, and so starts a cluster of its own".to_owned();
        return Err(Error::Setting { flag: "--endpoints", why });
    };
    let client = run.library()?;
    let figures = Arc::new(Figures::new(None));
    let _shown = Progress::show(run, "", None, &figures);
    let mut held = Vec::new();
    for number in 0..run.resources() {
        let lease = client.acquire(&run.resource(number)).ttl(run.settings.ttl).await;
        held.push(lease.map_err(workload::unavailable)?);
    }
    for kill in 0..run.settings.kills {
        let leader = victim.leader().await.map_err(Error::Unavailable)?;
        let resource = format!("{}after-kill-{kill}", run.prefix);
        let killed = run.clock.now();
        victim.kill(leader).await.map_err(Error::Other)?;
        let granted = tokio::time::timeout(PATIENCE, async {
            match run.settings.over {
                Over::Session => next_grant(run, &client, &resource, &figures).await,
                Over::Unary => next_answer(run, &resource, &figures).await,
            }
        });
        if granted.await.is_err() {
            figures.count("grant", UNFINISHED, 1);
            break;
        }
        figures.record("grant", OK, killed, run.clock.now() - killed);
        victim.revive(leader).await.map_err(Error::Other)?;
    }
    count_lost(&held, &figures);
    for lease in held {
        // What is not released expires.
        let _ = lease.release().await;
    }
    Ok(figures.read())
}

fn count_lost(held: &[LeaseGuard], figures: &Figures) {
    let lost = held.iter().filter(|lease| matches!(lease.state(), LeaseState::Lost { .. })).count();
    figures.count("lease", OK, (held.len() - lost) as u64);
    figures.count("lease", "lost", lost as u64);
}

/// Through the library. The lease is given back in the background.
async fn next_grant(run: &Run, client: &Client, resource: &str, figures: &Figures) {
    while let Err(error) = client.acquire(resource).ttl(run.settings.ttl).await {
        let reason = match error {
            AcquireError::BadField(_) => "BAD_FIELD",
            AcquireError::Refused(refusal) => refusal.reason(),
            AcquireError::Fault(fault) => fault.reason(),
        };
        figures.count("grant", reason, 1);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Call by call. Those that failed are part of the search and no failures of it.
async fn next_answer(run: &Run, resource: &str, figures: &Figures) {
    let request = run.requests.next();
    for endpoint in run.target.endpoints.iter().cycle() {
        let call = async {
            let channel = connect(endpoint).await.map_err(|_| crate::link::BROKEN)?;
            let ask = crate::link::Ask {
                resource: resource.to_owned(),
                request: request.clone(),
                ttl: run.settings.ttl,
                wait: Duration::ZERO,
            };
            let answer = LeaseServiceClient::new(channel).acquire(ask.into_wire()).await;
            answer.map(drop).map_err(|status| Failed::from(&status))
        };
        match tokio::time::timeout(CALL_PATIENCE, call).await.unwrap_or(Err(NOT_ANSWERED)) {
            Ok(()) => return,
            Err(failed) => figures.count("call", failed.0, 1),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
