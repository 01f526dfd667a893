//! `handover`: clients that all want the same few resources, first come, first served.
//!
//! Each waits in line, is granted, releases at once, and joins the line again. Measured: `handover`,
//! from when the holder sent its release until the next in line knew of its grant, and `wait`, from
//! when a client asked until it was granted. Who asked after the release was sent waited for no
//! hand-over, and is only in `wait`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::outcome;
use crate::Error;
use crate::figures::{Figures, Measured};
use crate::load::{Client, Window};
use crate::locks::Locks;
use crate::run::{Asker, Run};

/// Longer than any line.
const WAIT: Duration = Duration::from_secs(3_600);

/// One in the line.
struct Contender<L> {
    asker: Asker<L>,
    figures: Arc<Figures>,
    resource: Arc<Contended>,
}

struct Contended {
    name: String,
    /// When the last release was sent.
    released: Mutex<Option<Duration>>,
}

pub(crate) async fn run<L: Locks>(run: &Run, links: &[L]) -> Result<Vec<Measured>, Error> {
    contend(run, links).await
}

/// Lets all clients stand in line, client n for the resource at n modulo their number.
pub(crate) async fn contend<L: Locks>(run: &Run, links: &[L]) -> Result<Vec<Measured>, Error> {
    let resources: Vec<_> = (0..run.resources())
        .map(|number| {
            let (name, released) = (run.resource(number), Mutex::default());
            Arc::new(Contended { name, released })
        })
        .collect();
    let window: Window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let clients = run.askers(links).enumerate().map(|(at, asker)| Contender {
        asker,
        figures: Arc::clone(&figures),
        resource: Arc::clone(&resources[at % resources.len()]),
    });
    run.drive("wait", window, &figures, clients).await;
    Ok(figures.read())
}

impl<L: Locks> Client for Contender<L> {
    async fn operate(&mut self, due: Duration) {
        let Self { asker, figures, resource } = self;
        let acquired = asker.link.acquire(asker.ask(&resource.name, WAIT)).await;
        let granted = asker.now();
        figures.record("wait", outcome(&acquired), due, granted - due);
        let Ok(held) = acquired else { return };
        let released = resource.exchange(None).filter(|released| *released > due);
        if let Some(released) = released {
            figures.record("handover", crate::figures::OK, released, granted - released);
        }
        let sent = asker.now();
        resource.exchange(Some(sent));
        let released = asker.link.release(&resource.name, held).await;
        figures.record("release", outcome(&released), sent, asker.now() - sent);
    }

    fn missed(&mut self, _due: Duration, _waited: Duration) {
        unreachable!("a closed loop misses nothing")
    }
}

impl Contended {
    fn exchange(&self, released: Option<Duration>) -> Option<Duration> {
        let mut last = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut last, released)
    }
}
