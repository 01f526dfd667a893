//! `pair`: acquire and release, each client on resources of its own.
//!
//! Measured: `pair`, the two together from when it was due, and `acquire` and `release`, each from when
//! it was sent. A pair takes two commits, one after the other.

use std::sync::Arc;
use std::time::Duration;

use super::outcome;
use crate::Error;
use crate::figures::{Figures, MISSED, Measured};
use crate::load::Client;
use crate::run::{Asker, Run};

struct Pairs {
    asker: Asker,
    figures: Arc<Figures>,
    resources: Vec<String>,
    next: usize,
}

pub(crate) async fn run(run: &Run) -> Result<Vec<Measured>, Error> {
    let askers = run.askers().await?;
    let window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let clients = askers.into_iter().enumerate().map(|(at, asker)| Pairs {
        asker,
        figures: Arc::clone(&figures),
        resources: run.share(at),
        next: 0,
    });
    run.drive("pair", window, &figures, clients).await;
    Ok(figures.read())
}

impl Client for Pairs {
    async fn operate(&mut self, due: Duration) {
        let Self { asker, figures, resources, next } = self;
        let resource = &resources[*next % resources.len()];
        *next += 1;
        let sent = asker.now();
        let acquired = asker.link.acquire(asker.ask(resource, Duration::ZERO)).await;
        let answered = asker.now();
        figures.record("acquire", outcome(&acquired), sent, answered - sent);
        let released = match acquired {
            Ok(token) => {
                let released = asker.link.release(resource, token).await;
                let end = asker.now();
                figures.record("release", outcome(&released), answered, end - answered);
                released
            }
            Err(failed) => Err(failed),
        };
        figures.record("pair", outcome(&released), due, asker.now().saturating_sub(due));
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        self.figures.record("pair", MISSED, due, waited);
    }
}
