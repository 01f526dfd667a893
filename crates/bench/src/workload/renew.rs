//! `renew`: every client holds its share of the leases and renews all of them in one message, again
//! as soon as the answer is there, or when the clock says.
//!
//! Measured: `renew`, one for each *lease*, with the latency of the message it was in; a lease that was
//! refused is counted as `NOT_HOLDER`. Leases are taken before and released after, unmeasured.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leasehold_api::RENEW_ITEMS_MAX;

use crate::Error;
use crate::figures::{Figures, MISSED, Measured, OK};
use crate::load::Client;
use crate::run::{Asker, Run};

/// What a refused item is counted as.
pub(crate) const LOST: &str = "NOT_HOLDER";

/// A client and the leases it holds.
pub(crate) struct Holding {
    pub(crate) asker: Asker,
    pub(crate) leases: Vec<(String, u64)>,
}

struct Renewals {
    asker: Asker,
    figures: Arc<Figures>,
    tokens: Vec<u64>,
}

pub(crate) async fn run(run: &Run) -> Result<Vec<Measured>, Error> {
    let most = run.resources().div_ceil(run.settings.clients);
    if most > RENEW_ITEMS_MAX {
        let why = format!("renew: at most {RENEW_ITEMS_MAX} for each client, not {most}");
        return Err(Error::Setting { flag: "--resources", why });
    }
    let holders = hold_shares(run, &Arc::new(Figures::new(None))).await?;
    let window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let clients = holders.iter().map(|holding| Renewals {
        asker: holding.asker.clone(),
        figures: Arc::clone(&figures),
        tokens: holding.leases.iter().map(|(_, token)| *token).collect(),
    });
    run.drive("renew", window, &figures, clients).await;
    release_all(holders).await;
    Ok(figures.read())
}

/// Lets every client acquire its share, one after the other, renewing what it has in time. Measured as
/// `acquire`.
///
/// # Errors
/// [`Error::Unavailable`] when there is no cluster, or some client has none of its leases.
pub(crate) async fn hold_shares(run: &Run, figures: &Arc<Figures>) -> Result<Vec<Holding>, Error> {
    let askers = run.askers().await?;
    let filling = askers.into_iter().enumerate().map(|(at, asker)| {
        let (share, figures) = (run.share(at), Arc::clone(figures));
        tokio::spawn(async move { fill(asker, share, &figures).await })
    });
    let mut holders = Vec::new();
    for filled in join_all(filling).await {
        let holding = filled.map_err(|panic| Error::Other(panic.to_string()))?;
        if holding.leases.is_empty() {
            let why = format!("{}: a client could acquire nothing", run.workload.name());
            return Err(Error::Unavailable(why));
        }
        holders.push(holding);
    }
    Ok(holders)
}

async fn fill(asker: Asker, share: Vec<String>, figures: &Figures) -> Holding {
    let mut holding = Holding { asker, leases: Vec::with_capacity(share.len()) };
    let mut renewed = holding.asker.now();
    for resource in share {
        let sent = holding.asker.now();
        if sent > renewed + holding.asker.ttl / 3 {
            holding.renew("renew", sent, figures).await;
            renewed = sent;
        }
        let ask = holding.asker.ask(&resource, Duration::ZERO);
        let acquired = holding.asker.link.acquire(ask).await;
        let took = holding.asker.now() - sent;
        figures.record("acquire", super::outcome(&acquired), sent, took);
        if let Ok(token) = acquired {
            holding.leases.push((resource, token));
        }
    }
    holding
}

impl Holding {
    /// Renews all, in as few messages as it takes, counted from `due`.
    pub(crate) async fn renew(&self, measure: &'static str, due: Duration, figures: &Figures) {
        let tokens: Vec<u64> = self.leases.iter().map(|(_, token)| *token).collect();
        for some in tokens.chunks(RENEW_ITEMS_MAX) {
            renew(&self.asker, measure, some, due, figures).await;
        }
    }
}

async fn renew(
    asker: &Asker,
    measure: &'static str,
    tokens: &[u64],
    due: Duration,
    figures: &Figures,
) {
    let renewed = asker.link.renew(tokens).await;
    let took = asker.now().saturating_sub(due);
    match renewed {
        Ok(renewed) => {
            figures.record_many(measure, OK, due, took, renewed.ok);
            figures.record_many(measure, LOST, due, took, renewed.lost);
        }
        Err(failed) => {
            let count = u64::try_from(tokens.len()).unwrap_or(u64::MAX);
            figures.record_many(measure, failed.0, due, took, count);
        }
    }
}

/// Gives everything back, unmeasured; what does not work expires.
pub(crate) async fn release_all(holders: Vec<Holding>) {
    let releasing = holders.into_iter().map(|Holding { asker, leases }| {
        tokio::spawn(async move {
            for (resource, token) in leases {
                if asker.link.release(&resource, token).await.is_err() {
                    return;
                }
            }
        })
    });
    join_all(releasing).await;
}

impl Client for Renewals {
    async fn operate(&mut self, due: Duration) {
        renew(&self.asker, "renew", &self.tokens, due, &self.figures).await;
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        let count = u64::try_from(self.tokens.len()).unwrap_or(u64::MAX);
        self.figures.record_many("renew", MISSED, due, waited, count);
    }
}
