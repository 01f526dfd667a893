//! Writes down every event of the cluster, and how far it has seen all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leasehold_client::{Client, Watch, WatchEvent, WatchEventKind};
use leasehold_sim::history::record::{Event, EventKind, Record, Watched};
use leasehold_types::{FencingToken, Revision};

use super::journal::Journal;
use crate::Outcome;

/// How many events one line of `watched` is about.
const STRETCH: u64 = 50;

/// Watches until it is told to end; begins anew where the cluster no longer keeps what follows.
pub(super) async fn watch(client: &Client, journal: &Journal, ending: &AtomicBool) -> Outcome<()> {
    while !ending.load(Ordering::Relaxed) {
        match client.watch("", None).await {
            Ok(events) => follow(events, journal, ending).await?,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(())
}

async fn follow(mut events: Watch, journal: &Journal, ending: &AtomicBool) -> Outcome<()> {
    let mut after = events.started_after();
    let (mut last, mut count) = (after, 0);
    loop {
        let next = tokio::time::timeout(Duration::from_millis(200), events.next()).await;
        match next {
            Ok(Some(Ok(event))) => {
                last = event.revision;
                count += 1;
                journal.write(&Record::Event(line(journal, event)))?;
            }
            Ok(Some(Err(_)) | None) => return saw(journal, after, last),
            Err(_) if ending.load(Ordering::Relaxed) => return saw(journal, after, last),
            Err(_) => {}
        }
        if count >= STRETCH {
            saw(journal, after, last)?;
            (after, count) = (last, 0);
        }
    }
}

fn saw(journal: &Journal, after: Revision, through: Revision) -> Outcome<()> {
    let watched = Watched {
        client: journal.client(),
        prefix: String::new(),
        after_revision: after.0,
        through_revision: through.0,
    };
    Ok(journal.write(&Record::Watched(watched))?)
}

fn line(journal: &Journal, event: WatchEvent) -> Event {
    let (kind, token) = match event.kind {
        WatchEventKind::Granted { token, .. } => (EventKind::Granted, Some(token)),
        WatchEventKind::Queued { .. } => (EventKind::Queued, None),
        WatchEventKind::Released { token } => (EventKind::Released, token),
        WatchEventKind::Expired { token } => (EventKind::Expired, token),
    };
    Event {
        client: journal.client(),
        resource: event.resource.to_string(),
        request_id: event.request.to_string(),
        event: kind,
        token: token.map(FencingToken::into),
        revision: event.revision.0,
        received_ns: journal.now(),
    }
}
