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
use crate::link::Link;
use crate::load::Client;
use crate::locks::Locks;
use crate::run::{Asker, Run};

/// What a refused item is counted as.
pub(crate) const LOST: &str = "NOT_HOLDER";

/// A client and the leases it holds.
pub(crate) struct Holding<L: Locks = Link> {
    pub(crate) asker: Asker<L>,
    pub(crate) leases: Vec<(String, L::Held)>,
}

struct Renewals<L: Locks> {
    asker: Asker<L>,
    figures: Arc<Figures>,
    held: Vec<L::Held>,
}

pub(crate) async fn run<L: Locks>(run: &Run, links: &[L]) -> Result<Vec<Measured>, Error> {
    let most = run.resources().div_ceil(run.settings.clients);
    if most > RENEW_ITEMS_MAX {
        let why = format!("renew: at most {RENEW_ITEMS_MAX} for each client, not {most}");
        return Err(Error::Setting { flag: "--resources", why });
    }
    let holders = hold_shares(run, links, &Arc::new(Figures::new(None))).await?;
    let window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let clients = holders.iter().map(|holding| Renewals {
        asker: holding.asker.clone(),
        figures: Arc::clone(&figures),
        held: holding.held(),
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
pub(crate) async fn hold_shares<L: Locks>(
    run: &Run,
    links: &[L],
    figures: &Arc<Figures>,
) -> Result<Vec<Holding<L>>, Error> {
    let filling = run.askers(links).enumerate().map(|(at, asker)| {
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

async fn fill<L: Locks>(asker: Asker<L>, share: Vec<String>, figures: &Figures) -> Holding<L> {
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
        if let Ok(held) = acquired {
            holding.leases.push((resource, held));
        }
    }
    holding
}

impl<L: Locks> Holding<L> {
    fn held(&self) -> Vec<L::Held> {
        self.leases.iter().map(|(_, held)| held.clone()).collect()
    }

    /// Renews all, in as few messages as it takes, counted from `due`.
    pub(crate) async fn renew(&self, measure: &'static str, due: Duration, figures: &Figures) {
        for some in self.held().chunks(RENEW_ITEMS_MAX) {
            renew(&self.asker, measure, some, due, figures).await;
        }
    }
}

async fn renew<L: Locks>(
    asker: &Asker<L>,
    measure: &'static str,
    held: &[L::Held],
    due: Duration,
    figures: &Figures,
) {
    let renewed = asker.link.renew(held).await;
    let took = asker.now().saturating_sub(due);
    match renewed {
        Ok(renewed) => {
            figures.record_many(measure, OK, due, took, renewed.ok);
            figures.record_many(measure, LOST, due, took, renewed.lost);
        }
        Err(failed) => {
            let count = u64::try_from(held.len()).unwrap_or(u64::MAX);
            figures.record_many(measure, failed.0, due, took, count);
        }
    }
}

/// Gives everything back, unmeasured; what does not work expires.
pub(crate) async fn release_all<L: Locks>(holders: Vec<Holding<L>>) {
    let releasing = holders.into_iter().map(|Holding { asker, leases }| {
        tokio::spawn(async move {
            for (resource, held) in leases {
                if asker.link.release(&resource, held).await.is_err() {
                    return;
                }
            }
        })
    });
    join_all(releasing).await;
}

impl<L: Locks> Client for Renewals<L> {
    async fn operate(&mut self, due: Duration) {
        renew(&self.asker, "renew", &self.held, due, &self.figures).await;
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        let count = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        self.figures.record_many("renew", MISSED, due, waited, count);
    }
}
