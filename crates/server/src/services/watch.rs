//! Watch: what happened after a revision, and then what happens.
//!
//! A watch is a cursor, not a queue. Each time its client has room it reads the next piece from the
//! hub, so a slow client costs nothing; once what it still has to read is forgotten, it is told
//! `REVISION_NOT_RETAINED` like one that comes back too late.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{CheckedWatch, Problem, event_to_wire};
use leasehold_raft::AsyncRuntime;
use leasehold_types::{Fault, Revision, WatchRefusal};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::Status;

use super::Services;
use crate::hub::Hub;
use crate::stopping::Stopping;

/// Events in one message: at most a megabyte with the longest names.
const EVENTS_PER_MESSAGE: usize = 1_000;

/// The messages of one watch.
pub(super) type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

impl<RT: AsyncRuntime> Services<RT> {
    pub(super) async fn watch_from(
        &self,
        request: pb::WatchRequest,
    ) -> Result<WatchStream, Problem> {
        let CheckedWatch { prefix, after } = request.try_into()?;
        self.refuse_when_stopping()?;
        let permit = self.watches.take()?;
        // Whatever was answered to anybody before this call is before the watch's start.
        self.node.barrier().await?;
        let current = self.node.query(|state| state.revision()).await?;
        let start = after.unwrap_or(current);
        if start > current {
            return Err(WatchRefusal::InFuture { asked: start.0, current: current.0 }.into());
        }
        self.hub.read(start).await.map_err(|_| Fault::ShuttingDown)??;
        let cursor = Cursor {
            prefix,
            at: start,
            told: start,
            told_at: Instant::now(),
            every: self.watch_progress,
            reached: self.hub.reached(),
            hub: self.hub.clone(),
            stopping: self.stopping.clone(),
            _permit: permit,
        };
        let first = pb::WatchResponse { events: Vec::new(), revision: start.0 };
        let rest = stream::unfold(Some(cursor), |cursor| async move {
            let mut cursor = cursor?;
            match cursor.next_message().await {
                Ok(message) => Some((Ok(message), Some(cursor))),
                Err(problem) => Some((Err(problem.into()), None)),
            }
        });
        Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
    }
}

struct Cursor {
    prefix: String,
    /// Everything up to here was looked through.
    at: Revision,
    /// Everything up to here the client knows to be told.
    told: Revision,
    told_at: Instant,
    every: Duration,
    reached: watch::Receiver<Revision>,
    hub: Hub,
    stopping: Stopping,
    _permit: OwnedSemaphorePermit,
}

impl Cursor {
    async fn next_message(&mut self) -> Result<pb::WatchResponse, Problem> {
        loop {
            if self.stopping.is_on() {
                return Err(Fault::ShuttingDown.into());
            }
            // Marked as seen before the ring is read, so that what comes in between wakes.
            self.reached.borrow_and_update();
            let chunk = self.hub.read(self.at).await.map_err(|_| Fault::ShuttingDown)??;
            let (events, reached) = chunk.matching(&self.prefix, EVENTS_PER_MESSAGE);
            let advanced = reached > self.at;
            self.at = reached;
            if !events.is_empty() {
                let events = events.into_iter().map(event_to_wire).collect();
                return Ok(self.tell(events));
            }
            if advanced {
                continue;
            }
            tokio::select! {
                changed = self.reached.changed() => changed.map_err(|_| Fault::ShuttingDown)?,
                () = tokio::time::sleep_until(self.told_at + self.every), if self.at > self.told => {
                    return Ok(self.tell(Vec::new()));
                }
                () = self.stopping.begun() => return Err(Fault::ShuttingDown.into()),
            }
        }
    }

    fn tell(&mut self, events: Vec<pb::Event>) -> pb::WatchResponse {
        self.told = self.at;
        self.told_at = Instant::now();
        pb::WatchResponse { events, revision: self.at.0 }
    }
}
