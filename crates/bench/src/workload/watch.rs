//! `watch`: one client acquires and releases, and every other client watches it do so.
//!
//! The clients are the watches; they share connections and are the client library's own, which open
//! again where they broke and miss nothing. Measured: `event`, from just before an acquire is sent until
//! its grant is told by a watch, once for each watch; and `acquire` and `release` beside it, of the one
//! who writes. A grant that a watch did not tell of in time is `UNFINISHED`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_client::{Watch, WatchEventKind};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::outcome;
use crate::figures::{Figures, MISSED, Measured, OK, UNFINISHED};
use crate::load::{Client, Window};
use crate::locks::Locks;
use crate::run::{Asker, OwnResource, Run};
use crate::time::Clock;
use crate::{Error, workload};

/// When each acquire was sent, by its request id.
type Sent = Arc<Mutex<HashMap<[u8; 16], Duration>>>;

struct Writer {
    asker: Asker,
    figures: Arc<Figures>,
    resource: OwnResource,
    sent: Sent,
    /// Grants that count.
    granted: Arc<AtomicU64>,
    window: Window,
}

/// Grants told by all watches together.
#[derive(Default)]
struct Told {
    count: AtomicU64,
    more: Notify,
}

pub(crate) async fn run(run: &Run) -> Result<Vec<Measured>, Error> {
    let links = run.links().await?;
    let mut watches = Vec::new();
    let mut clients = Vec::new();
    for at in 0..run.settings.clients {
        if at < run.settings.connections {
            clients.push(run.library()?);
        }
        let client = &clients[at % clients.len()];
        watches.push(client.watch(&run.prefix, None).await.map_err(workload::unavailable)?);
    }
    let window = run.window();
    let figures = Arc::new(Figures::new(Some(window)));
    let (sent, granted) = (Sent::default(), Arc::new(AtomicU64::new(0)));
    let told = Arc::new(Told::default());
    let mut watching = JoinSet::new();
    let count = watches.len() as u64;
    for watch in watches {
        let (clock, figures) = (run.clock.clone(), Arc::clone(&figures));
        let (sent, told) = (Arc::clone(&sent), Arc::clone(&told));
        watching.spawn(async move { tell(watch, window, &clock, &sent, &figures, &told).await });
    }
    let writer = Writer {
        asker: run.asker(&links[0]),
        figures: Arc::clone(&figures),
        resource: OwnResource::new(run.resource(0)),
        sent,
        granted: Arc::clone(&granted),
        window,
    };
    run.drive("acquire", window, &figures, [writer]).await;
    let expected = granted.load(Ordering::Relaxed) * count;
    tokio::select! {
        () = told.at_least(expected) => {}
        () = run.clock.until(run.clock.now() + run.settings.timeout) => {
            let missing = expected.saturating_sub(told.count.load(Ordering::Relaxed));
            figures.count("event", UNFINISHED, missing);
        }
    }
    Ok(figures.read())
}

impl Client for Writer {
    async fn operate(&mut self, due: Duration) {
        let Self { asker, figures, resource, sent, granted, window } = self;
        let id = asker.requests.next();
        let key: [u8; 16] = id[..].try_into().expect("request ids have 16 bytes");
        let begun = asker.now();
        sent.lock().unwrap_or_else(PoisonError::into_inner).insert(key, begun);
        let acquired = asker.link.acquire(asker.ask_as(id, resource.name(), Duration::ZERO)).await;
        let answered = asker.now();
        figures.record("acquire", outcome(&acquired), due, answered.saturating_sub(due));
        let Ok(token) = acquired else { return resource.leave_to_its_ghost() };
        granted.fetch_add(u64::from(window.counts(begun)), Ordering::Relaxed);
        let released = asker.link.release(resource.name(), token).await;
        figures.record("release", outcome(&released), answered, asker.now() - answered);
        if released.is_err() {
            resource.leave_to_its_ghost();
        }
    }

    fn missed(&mut self, due: Duration, waited: Duration) {
        self.figures.record("acquire", MISSED, due, waited);
    }
}

async fn tell(
    mut watch: Watch,
    window: Window,
    clock: &impl Clock,
    sent: &Sent,
    figures: &Figures,
    told: &Told,
) {
    while let Some(Ok(event)) = watch.next().await {
        let WatchEventKind::Granted { .. } = event.kind else { continue };
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(begun) = sent.get(event.request.as_bytes()).copied() else { continue };
        drop(sent);
        if window.counts(begun) {
            figures.record("event", OK, begun, clock.now() - begun);
            told.count.fetch_add(1, Ordering::Relaxed);
            told.more.notify_waiters();
        }
    }
}

impl Told {
    async fn at_least(&self, count: u64) {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.count.load(Ordering::Relaxed) >= count {
                return;
            }
            more.await;
        }
    }
}
