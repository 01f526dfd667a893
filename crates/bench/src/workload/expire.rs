//! `expire`: many leases that nobody renews any more end at the same time.
//!
//! They are taken, all renewed once more, and left. Measured: `late`, from each lease's deadline, as
//! its last renewal proved it (counted from before it was sent), until a watch tells of its end; and
//! what a client beside it sees of its acquires, `acquire_before` the first deadline and
//! `acquire_meanwhile`. An end that is not seen in time is `UNFINISHED`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use leasehold_api::RENEW_ITEMS_MAX;
use leasehold_client::{Watch, WatchEventKind};

use super::outcome;
use super::renew::{Holding, LOST, hold_shares};
use crate::figures::{Figures, Measured, OK, UNFINISHED};
use crate::locks::Locks;
use crate::progress::Progress;
use crate::run::{Asker, OwnResource, Run};
use crate::time::Clock;
use crate::{Error, workload};

/// When each of the tokens ends.
type Deadlines = HashMap<u64, Duration>;

pub(crate) async fn run(run: &Run) -> Result<Vec<Measured>, Error> {
    let figures = Arc::new(Figures::new(None));
    let _shown = Progress::show(run, "", None, &figures);
    let holders = hold_shares(run, &run.links().await?, &Arc::new(Figures::new(None))).await?;
    let client = run.library()?;
    let watch = client.watch(&run.prefix, None).await.map_err(workload::unavailable)?;
    let deadlines = renew_once_more(&holders, &figures).await;
    let (Some(first), Some(last)) = (deadlines.values().min(), deadlines.values().max()) else {
        return Ok(figures.read());
    };
    let (first, last) = (*first, *last);
    let over = Arc::new(AtomicBool::new(false));
    let beside = {
        let (asker, figures, over) = (holders[0].asker.clone(), Arc::clone(&figures), over.clone());
        let resource = OwnResource::new(format!("{}beside", run.prefix));
        tokio::spawn(async move { pairs(&asker, resource, first, &over, &figures).await })
    };
    let patience = last + run.settings.timeout;
    let unseen = tokio::select! {
        unseen = see_all_end(watch, deadlines.clone(), &run.clock, &figures) => unseen,
        () = run.clock.until(patience) => {
            let seen = seen(&figures);
            deadlines.len() as u64 - seen
        }
    };
    over.store(true, Ordering::Relaxed);
    beside.await.map_err(|panic| Error::Other(panic.to_string()))?;
    if unseen > 0 {
        figures.count("late", UNFINISHED, unseen);
    }
    Ok(figures.read())
}

fn seen(figures: &Figures) -> u64 {
    figures.read().iter().filter(|row| row.measure == "late").map(|row| row.count).sum()
}

/// Renewals under way at a time: as many as a node takes of one stream, were all on that one.
const RENEWALS_AT_ONCE: usize = 64;

/// The last renewal of all; what it refuses is gone already.
async fn renew_once_more(holders: &[Holding], figures: &Figures) -> Deadlines {
    let renewing = stream::iter(holders).map(async |holding| {
        let mut deadlines = Deadlines::new();
        let tokens: Vec<u64> = holding.leases.iter().map(|(_, token)| *token).collect();
        for some in tokens.chunks(RENEW_ITEMS_MAX) {
            let sent = holding.asker.now();
            let renewed = holding.asker.link.renew(some).await;
            let took = holding.asker.now() - sent;
            let count = some.len() as u64;
            match renewed {
                Ok(renewed) if renewed.lost == 0 => {
                    figures.record_many("renew", OK, sent, took, count);
                    deadlines.extend(some.iter().map(|token| (*token, sent + renewed.valid_for)));
                }
                Ok(_) => figures.record_many("renew", LOST, sent, took, count),
                Err(failed) => figures.record_many("renew", failed.0, sent, took, count),
            }
        }
        deadlines
    });
    renewing.buffer_unordered(RENEWALS_AT_ONCE).concat().await
}

/// Until a watch has told of the end of each, or cannot go on. Returns how many it did not tell of.
async fn see_all_end(
    mut watch: Watch,
    mut deadlines: Deadlines,
    clock: &impl Clock,
    figures: &Figures,
) -> u64 {
    while !deadlines.is_empty() {
        let Some(Ok(event)) = watch.next().await else { break };
        let WatchEventKind::Expired { token: Some(token) } = event.kind else { continue };
        if let Some(deadline) = deadlines.remove(&token.get()) {
            figures.record("late", OK, deadline, clock.now().saturating_sub(deadline));
        }
    }
    deadlines.len() as u64
}

/// A client beside it all, as fast as answers come.
async fn pairs(
    asker: &Asker,
    mut resource: OwnResource,
    first_deadline: Duration,
    over: &AtomicBool,
    figures: &Figures,
) {
    while !over.load(Ordering::Relaxed) {
        let sent = asker.now();
        let acquired = asker.link.acquire(asker.ask(resource.name(), Duration::ZERO)).await;
        let measure = if sent < first_deadline { "acquire_before" } else { "acquire_meanwhile" };
        figures.record(measure, outcome(&acquired), sent, asker.now() - sent);
        let Ok(token) = acquired else {
            resource.leave_to_its_ghost();
            continue;
        };
        if let Err(failed) = asker.link.release(resource.name(), token).await {
            figures.count("release", failed.0, 1);
            resource.leave_to_its_ghost();
        }
    }
}
