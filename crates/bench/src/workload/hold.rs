//! `hold`: many leases, kept alive for the time that counts, as their holders would: each renews all
//! of its share every third of the ttl.
//!
//! Measured: `acquire`, while they were taken; `renew`, one for each lease, from the instant at which it
//! was due; and how many of the leases were `lost`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::renew::{Holding, LOST, hold_shares, release_all};
use crate::Error;
use crate::figures::{Figures, Measured, OK};
use crate::load::Window;
use crate::progress::Progress;
use crate::run::Run;
use crate::time::Clock;

pub(crate) async fn run(run: &Run) -> Result<Vec<Measured>, Error> {
    let taking = Arc::new(Figures::new(None));
    let holders = {
        let _shown = Progress::show(run, ": taking the leases", None, &taking);
        hold_shares(run, &run.links().await?, &taking).await?
    };
    let window = run.window();
    let keeping = Arc::new(Figures::new(Some(window)));
    let holders = {
        let _shown = Progress::show(run, ": keeping them", Some(window), &keeping);
        let kept = holders.into_iter().enumerate().map(|(at, holding)| {
            // Their instants are spread, as those of programs that started at different times.
            let phase = run.settings.ttl / 3 * at as u32 / run.settings.clients as u32;
            let keeping = Arc::clone(&keeping);
            tokio::spawn(async move { keep(holding, phase, window, &keeping).await })
        });
        let kept: Result<Vec<_>, _> = join_all(kept).await.into_iter().collect();
        kept.map_err(|panic| Error::Other(panic.to_string()))?
    };
    // Asked once more, so that a lease which was lost since it was renewed last is noticed.
    let (asked, now) = (Figures::new(None), run.clock.now());
    for holding in &holders {
        holding.renew("lease", now, &asked).await;
    }
    for row in asked.read() {
        let outcome = match row.outcome {
            OK => "ok",
            LOST => "lost",
            unknown => unknown,
        };
        keeping.count("lease", outcome, row.count);
    }
    release_all(holders).await;
    let mut rows: Vec<_> =
        taking.read().into_iter().filter(|row| row.measure == "acquire").collect();
    rows.extend(keeping.read());
    Ok(rows)
}

async fn keep(holding: Holding, phase: Duration, window: Window, figures: &Figures) -> Holding {
    let mut due = holding.asker.now() + phase;
    while due < window.until {
        holding.asker.clock.until(due).await;
        holding.renew("renew", due, figures).await;
        due += holding.asker.ttl / 3;
    }
    holding.asker.clock.until(window.until).await;
    holding
}
