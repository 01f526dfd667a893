//! One Session stream that many clients share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use leasehold_api::pb::lease::v1::claim::Standing;
use leasehold_api::pb::lease::v1::renew_result::Result as Item;
use leasehold_api::pb::lease::v1::session_request::Command;
use leasehold_api::pb::lease::v1::session_response::Message;
use leasehold_api::pb::lease::v1::{
    Claim, Event, EventKind, ReleaseRequest, RenewRequest, RenewResponse, SessionRequest,
    SessionResponse,
};
use leasehold_api::{Failure, RENEW_ITEMS_MAX};
use tokio::sync::{mpsc, oneshot};
use tonic::Streaming;

use super::{Ask, BROKEN, Dialled, Failed, NOT_ANSWERED, dial_leader};

/// Between two attempts to dial.
const REDIAL_PAUSE: Duration = Duration::from_millis(20);

/// Cheap to clone. The stream ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    timeout: Duration,
}

#[derive(Debug)]
struct Shared {
    next_attempt: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None while there is no stream.
    outgoing: Option<mpsc::Sender<SessionRequest>>,
    answers: HashMap<u64, oneshot::Sender<Result<Message, Failed>>>,
    waiting: HashMap<Bytes, Waiting>,
}

/// A claim that may have to wait.
#[derive(Debug)]
struct Waiting {
    granted: oneshot::Sender<Result<u64, Failed>>,
    /// Renewed by its id only once its acquire was answered.
    answered: bool,
}

impl Session {
    /// Dials the leader.
    ///
    /// # Errors
    /// Why no node welcomed.
    pub(crate) async fn open(
        endpoints: Vec<String>,
        ttl: Duration,
        timeout: Duration,
    ) -> Result<Self, String> {
        let dialled = dial_leader(&endpoints).await?;
        let shared = Arc::new(Shared { next_attempt: AtomicU64::new(1), state: Mutex::default() });
        shared.lock().outgoing = Some(dialled.outgoing);
        tokio::spawn(read(Arc::downgrade(&shared), dialled.incoming, endpoints));
        tokio::spawn(keep_alive(Arc::downgrade(&shared), ttl / 3));
        Ok(Self { shared, timeout })
    }

    pub(crate) async fn acquire(&self, ask: Ask) -> Result<u64, Failed> {
        let request = ask.request.clone();
        let (wait, timeout) = (ask.wait, self.timeout);
        let (granted, grant) = oneshot::channel();
        if !wait.is_zero() {
            // Before it is sent: the push may be right behind the answer.
            let waiting = Waiting { granted, answered: false };
            self.shared.lock().waiting.insert(request.clone(), waiting);
        }
        let outcome = match self.ask(Command::Acquire(ask.into_wire())).await {
            Ok(Message::Acquired(answer)) => match answer.claim.and_then(|claim| claim.standing) {
                Some(Standing::Lease(lease)) => Ok(lease.token),
                Some(Standing::Waiting(_)) => {
                    if let Some(waiting) = self.shared.lock().waiting.get_mut(&request) {
                        waiting.answered = true;
                    }
                    let granted = tokio::time::timeout(wait + timeout, grant).await;
                    granted.map_or(Err(NOT_ANSWERED), |sent| sent.unwrap_or(Err(BROKEN)))
                }
                None => Err(BROKEN),
            },
            Ok(_) => Err(BROKEN),
            Err(failed) => Err(failed),
        };
        if !wait.is_zero() {
            self.shared.lock().waiting.remove(&request);
        }
        outcome
    }

    pub(crate) async fn renew(&self, tokens: &[u64]) -> Result<RenewResponse, Failed> {
        let request = RenewRequest { tokens: tokens.to_vec(), request_ids: Vec::new() };
        match self.ask(Command::Renew(request)).await? {
            Message::Renewed(answer) => Ok(answer),
            _ => Err(BROKEN),
        }
    }

    pub(crate) async fn release(&self, resource: &str, token: u64) -> Result<(), Failed> {
        let request = ReleaseRequest { resource: resource.to_owned(), token };
        match self.ask(Command::Release(request)).await? {
            Message::Released(_) => Ok(()),
            _ => Err(BROKEN),
        }
    }

    async fn ask(&self, command: Command) -> Result<Message, Failed> {
        let attempt = self.shared.next_attempt.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        let outgoing = {
            let mut state = self.shared.lock();
            let outgoing = state.outgoing.clone();
            outgoing.inspect(|_| drop(state.answers.insert(attempt, answered)))
        };
        let Some(outgoing) = outgoing else {
            // Whoever asks as fast as answers come leaves time to dial.
            tokio::time::sleep(REDIAL_PAUSE).await;
            return Err(BROKEN);
        };
        let asked = async {
            let request = SessionRequest { attempt, command: Some(command) };
            outgoing.send(request).await.map_err(|_| BROKEN)?;
            answer.await.unwrap_or(Err(BROKEN))
        };
        let outcome = tokio::time::timeout(self.timeout, asked).await;
        outcome.unwrap_or_else(|_| {
            self.shared.lock().answers.remove(&attempt);
            Err(NOT_ANSWERED)
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, response: SessionResponse) {
        let SessionResponse { attempt, message } = response;
        let Some(message) = message else { return };
        let mut state = self.lock();
        match (state.answers.remove(&attempt), message) {
            (_, Message::Pushed(event)) => state.pushed(event),
            (Some(asked), Message::Failed(raw)) => {
                let reason = Failure::from(raw).problem().reason();
                let _ = asked.send(Err(Failed(reason)));
            }
            // Whoever asked may have stopped waiting.
            (Some(asked), message) => drop(asked.send(Ok(message))),
            (None, Message::Renewed(answer)) => state.kept_alive(answer),
            (None, _) => {}
        }
    }

    /// Nobody will answer what is under way.
    fn broke(&self) {
        let mut state = self.lock();
        state.outgoing = None;
        state.answers.clear();
        state.waiting.clear();
    }
}

impl State {
    fn pushed(&mut self, event: Event) {
        let outcome = match event.kind() {
            EventKind::Granted => Ok(event.token),
            EventKind::Expired => Err(Failed("WAIT_OVER")),
            EventKind::Released => Err(Failed("ENDED")),
            EventKind::Queued | EventKind::Unspecified => return,
        };
        self.decided(&event.request_id, outcome);
    }

    /// The answer to a renewal of waiting claims repairs a push that was lost.
    fn kept_alive(&mut self, answer: RenewResponse) {
        for item in answer.results {
            if let Some(Item::Claim(Claim { standing: Some(Standing::Lease(lease)) })) = item.result
            {
                self.decided(&lease.request_id, Ok(lease.token));
            }
        }
    }

    fn decided(&mut self, request: &Bytes, outcome: Result<u64, Failed>) {
        if let Some(waiting) = self.waiting.remove(request) {
            let _ = waiting.granted.send(outcome);
        }
    }
}

/// Reads until the last clone is gone, on a new stream where one broke.
async fn read(
    shared: Weak<Shared>,
    mut incoming: Streaming<SessionResponse>,
    endpoints: Vec<String>,
) {
    loop {
        // A stream ends when its sender is dropped, with the last clone.
        while let Ok(Some(response)) = incoming.message().await {
            let Some(shared) = shared.upgrade() else { return };
            shared.hear(response);
        }
        let Some(broken) = shared.upgrade() else { return };
        broken.broke();
        drop(broken);
        let dialled = loop {
            if shared.strong_count() == 0 {
                return;
            }
            match dial_leader(&endpoints).await {
                Ok(dialled) => break dialled,
                Err(_) => tokio::time::sleep(REDIAL_PAUSE).await,
            }
        };
        let Dialled { outgoing, incoming: next, .. } = dialled;
        incoming = next;
        let Some(shared) = shared.upgrade() else { return };
        shared.lock().outgoing = Some(outgoing);
    }
}

/// Renews what waits.
async fn keep_alive(shared: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else { return };
        let (outgoing, waiting) = {
            let state = shared.lock();
            let waiting = state.waiting.iter().filter(|(_, waiting)| waiting.answered);
            let waiting: Vec<Bytes> = waiting.map(|(request, _)| request.clone()).collect();
            (state.outgoing.clone(), waiting)
        };
        let Some(outgoing) = outgoing else { continue };
        for some in waiting.chunks(RENEW_ITEMS_MAX) {
            let attempt = shared.next_attempt.fetch_add(1, Ordering::Relaxed);
            let renew = RenewRequest { tokens: Vec::new(), request_ids: some.to_vec() };
            let command = Some(Command::Renew(renew));
            if outgoing.send(SessionRequest { attempt, command }).await.is_err() {
                break;
            }
        }
    }
}
