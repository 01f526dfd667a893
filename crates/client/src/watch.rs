//! A watch that outlives its connection.
//!
//! The server numbers events; the client remembers the number of the last one it handed out and asks
//! any node to go on from there. A message's own revision counts only once all of its events were
//! handed out, so a watch that is cut between two events of one message misses neither.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use leasehold_api::{Problem, pb::lease::v1 as pb, std_from_duration};
use leasehold_types::{BadField, Fault, FencingToken, Holder, RequestId, ResourceName, Revision};
use tonic::Streaming;

use crate::backoff::Backoff;
use crate::unary::unreadable;
use crate::{Client, WatchError};

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Something that happened to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The event's own revision; no two events share one.
    pub revision: Revision,
    /// What happened.
    pub kind: WatchEventKind,
    /// What is claimed.
    pub resource: ResourceName,
    /// Who claims.
    pub holder: Holder,
    /// The claim.
    pub request: RequestId,
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEventKind {
    /// It became a lease.
    Granted {
        /// Its token.
        token: FencingToken,
        /// Its ttl in effect.
        ttl: Duration,
    },
    /// It joined the queue.
    Queued {
        /// Its ttl in effect.
        ttl: Duration,
    },
    /// Its client released or cancelled it.
    Released {
        /// Its token, if it was a lease.
        token: Option<FencingToken>,
    },
    /// Its deadline passed, or it waited as long as it asked to.
    Expired {
        /// Its token, if it was a lease.
        token: Option<FencingToken>,
    },
}

/// Events from all claims on resources whose names start with a prefix, in order of revision, none
/// missed and none twice.
///
/// A broken connection is made again, on any node, and the watch goes on after the last event it
/// delivered. It tries without end, and fails only when the cluster no longer keeps what follows.
pub struct Watch {
    events: Pin<Box<dyn Stream<Item = Result<WatchEvent, WatchError>> + Send>>,
    started_after: Revision,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("started_after", &self.started_after).finish_non_exhaustive()
    }
}

impl Watch {
    /// The revision from which the watch started: everything after it is delivered.
    pub fn started_after(&self) -> Revision {
        self.started_after
    }

    /// The next event; `None` after an error ended the watch. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, WatchError>> {
        self.events.next().await
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, WatchError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

impl Client {
    /// Watches claims on resources whose names start with `prefix`: what happens after revision
    /// `after`, or from now on. Returns once a node has said where the watch starts.
    ///
    /// # Errors
    /// [`WatchError`].
    pub async fn watch(&self, prefix: &str, after: Option<Revision>) -> Result<Watch, WatchError> {
        let mut watching = Watching {
            client: self.clone(),
            prefix: prefix.to_owned(),
            after,
            messages: None,
            events: Vec::new().into_iter(),
            covered: None,
        };
        watching.open().await?;
        let started_after = watching.after.unwrap_or_default();
        let events = futures_util::stream::unfold(Some(watching), |watching| async move {
            let mut watching = watching?;
            match watching.next().await {
                Ok(event) => Some((Ok(event), Some(watching))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Watch { events: Box::pin(events), started_after })
    }
}

struct Watching {
    client: Client,
    prefix: String,
    /// Everything up to here was handed out.
    after: Option<Revision>,
    messages: Option<Streaming<pb::WatchResponse>>,
    events: std::vec::IntoIter<pb::Event>,
    /// The revision that `after` becomes once `events` are handed out.
    covered: Option<Revision>,
}

impl Watching {
    async fn next(&mut self) -> Result<WatchEvent, WatchError> {
        loop {
            for raw in self.events.by_ref() {
                let event = event(raw).map_err(unreadable)?;
                if self.after.is_none_or(|after| event.revision > after) {
                    self.after = Some(event.revision);
                    return Ok(event);
                }
            }
            self.after = self.after.max(self.covered.take());
            self.receive().await?;
        }
    }

    /// Receives one message, on a new stream where the old one broke.
    async fn receive(&mut self) -> Result<(), WatchError> {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        loop {
            let outcome = match &mut self.messages {
                Some(messages) => read(messages.next().await),
                None => match self.open().await {
                    Ok(()) => return Ok(()),
                    Err(error) => Err(error),
                },
            };
            match outcome {
                Ok(message) => {
                    self.take(message);
                    return Ok(());
                }
                Err(WatchError::Fault(fault)) => {
                    tracing::debug!(%fault, "a watch is opened again");
                    self.messages = None;
                    tokio::time::sleep(backoff.pause(self.client.caller().random())).await;
                }
                Err(definite) => return Err(definite),
            }
        }
    }

    /// Opens a stream where the last one ended, and takes its first message.
    async fn open(&mut self) -> Result<(), WatchError> {
        let request = pb::WatchRequest {
            prefix: self.prefix.clone(),
            after_revision: self.after.map(|revision| revision.0),
        };
        // The first message is part of the call: a node may accept a stream and refuse on it.
        let call = self.client.caller().ask(|mut client| {
            let request = request.clone();
            async move {
                let (metadata, mut messages, extensions) =
                    client.watch(request).await?.into_parts();
                let first = messages.next().await.transpose()?;
                Ok(tonic::Response::from_parts(metadata, (messages, first), extensions))
            }
        });
        let (messages, first) = call.await?;
        let first = first.ok_or_else(|| Fault::OutcomeUnknown {
            why: "the node closed the watch before it said where it starts".into(),
        })?;
        self.messages = Some(messages);
        self.take(first);
        if self.after.is_none() {
            self.after = self.covered.filter(|_| self.events.as_slice().is_empty());
        }
        Ok(())
    }

    fn take(&mut self, message: pb::WatchResponse) {
        self.covered = Some(Revision(message.revision));
        self.events = message.events.into_iter();
    }
}

fn read(
    message: Option<Result<pb::WatchResponse, tonic::Status>>,
) -> Result<pb::WatchResponse, WatchError> {
    match message {
        Some(Ok(message)) => Ok(message),
        Some(Err(status)) => Err(Problem::from(&status).into()),
        None => Err(Fault::OutcomeUnknown { why: "the node closed the watch".into() }.into()),
    }
}

fn event(raw: pb::Event) -> Result<WatchEvent, BadField> {
    let pb::Event { revision, kind, resource, holder, request_id, token, ttl } = raw;
    let token = FencingToken::new(token);
    let ttl = || match &ttl {
        Some(ttl) => std_from_duration("ttl", ttl),
        None => Err(BadField::new("ttl", "nothing", "a duration")),
    };
    let kind = match pb::EventKind::try_from(kind).unwrap_or_default() {
        pb::EventKind::Granted => {
            let token = token.ok_or_else(|| BadField::new("token", "0", "1 or more"))?;
            WatchEventKind::Granted { token, ttl: ttl()? }
        }
        pb::EventKind::Queued => WatchEventKind::Queued { ttl: ttl()? },
        pb::EventKind::Released => WatchEventKind::Released { token },
        pb::EventKind::Expired => WatchEventKind::Expired { token },
        pb::EventKind::Unspecified => {
            return Err(BadField::new("kind", kind.to_string(), "one of the kinds"));
        }
    };
    Ok(WatchEvent {
        revision: Revision(revision),
        kind,
        resource: ResourceName::new(&resource)?,
        holder: Holder::new(&holder)?,
        request: RequestId::from_slice(&request_id)?,
    })
}
