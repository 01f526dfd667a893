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
use crate::locks::Locks;
use crate::run::{Asker, OwnResource, Run};

struct Pairs<L> {
    asker: Asker<L>,
    figures: Arc<Figures>,
    resources: Vec<OwnResource>,
    next: usize,
}

pub(crate) async fn run<L: Locks>(run: &Run, links: &[L]) -> Result<Vec<Measured>, Error> {
    let window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let clients = run.askers(links).enumerate().map(|(at, asker)| Pairs {
        asker,
        figures: Arc::clone(&figures),
        resources: run.share(at).into_iter().map(OwnResource::new).collect(),
        next: 0,
    });
    run.drive("pair", window, &figures, clients).await;
    Ok(figures.read())
}

impl<L: Locks> Client for Pairs<L> {
    async fn operate(&mut self, due: Duration) {
        let Self { asker, figures, resources, next } = self;
        let at = *next % resources.len();
        *next += 1;
        let resource = &mut resources[at];
        let sent = asker.now();
        let acquired = asker.link.acquire(asker.ask(resource.name(), Duration::ZERO)).await;
        let answered = asker.now();
        figures.record("acquire", outcome(&acquired), sent, answered - sent);
        let released = match acquired {
            Ok(token) => {
                let released = asker.link.release(resource.name(), token).await;
                let end = asker.now();
                figures.record("release", outcome(&released), answered, end - answered);
                released
            }
            Err(failed) => Err(failed),
        };
        figures.record("pair", outcome(&released), due, asker.now().saturating_sub(due));
        if released.is_err() {
            resource.leave_to_its_ghost();
        }
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        self.figures.record("pair", MISSED, due, waited);
    }
}
