//! The three streams, recorded: attempts by the numbers that their answers echo, events as they come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use leasehold_api::Failure;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::store::v1 as store;
use leasehold_sim::history::record::{Outcome, Record, Watched};
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

use super::lease_lines::{of_claim, of_event};
use super::outcome::failed;
use super::{Call, History};

/// A watch. What it delivered is in the history, and over which revisions it delivered everything.
pub struct Watch {
    stream: Streaming<pb::WatchResponse>,
    history: Arc<History>,
    client: Arc<str>,
    prefix: String,
    after: Option<u64>,
    number: u64,
}

impl Watch {
    pub(super) fn new(
        stream: Streaming<pb::WatchResponse>,
        history: &Arc<History>,
        client: &Arc<str>,
        request: pb::WatchRequest,
    ) -> Self {
        let (history, client) = (Arc::clone(history), Arc::clone(client));
        let number = history.new_watch();
        let (prefix, after) = (request.prefix, request.after_revision);
        Self { stream, history, client, prefix, after, number }
    }

    pub async fn message(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        let message = self.stream.message().await?;
        if let Some(message) = &message {
            self.history.saw(&self.client, &message.events);
            let after = *self.after.get_or_insert(message.revision);
            let watched = Watched {
                client: self.client.to_string(),
                prefix: self.prefix.clone(),
                after_revision: after,
                through_revision: message.revision,
            };
            self.history.watched(self.number, watched);
        }
        Ok(message)
    }
}

impl History {
    fn new_watch(&self) -> u64 {
        let mut state = self.state();
        state.watches_opened += 1;
        state.watches_opened
    }

    /// A watch delivered everything up to a revision, so far.
    fn watched(&self, number: u64, watched: Watched) {
        self.state().watches.insert(number, watched);
    }

    fn saw(&self, client: &str, events: &[pb::Event]) {
        let received_ns = self.recorder.now_ns();
        let mut state = self.state();
        for event in events {
            let line = Record::Event(of_event(client, event, received_ns));
            state.names.learn(&line);
            state.effects.note(&line);
            if !state.is_over {
                self.put(&line);
            }
        }
    }
}

/// Attempts under way on one stream, by number.
type Attempts<T> = Arc<Mutex<HashMap<u64, T>>>;

fn take<T>(attempts: &Attempts<T>, number: u64) -> Option<T> {
    attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
}

fn put<T>(attempts: &Attempts<T>, number: u64, attempt: T) {
    attempts.lock().unwrap_or_else(PoisonError::into_inner).insert(number, attempt);
}

/// A session.
pub struct Session {
    stream: Streaming<pb::SessionResponse>,
    attempts: Attempts<Attempt>,
    history: Arc<History>,
    client: Arc<str>,
}

pub(super) enum Attempt {
    Acquire(Call<pb::AcquireRequest>),
    Renew(Call<pb::RenewRequest>),
    Release(Call<pb::ReleaseRequest>),
    Cancel(Call<pb::CancelRequest>),
}

impl Session {
    /// The requests, each begun in the history when it is taken to be sent.
    pub(super) fn recorded(
        requests: impl Stream<Item = pb::SessionRequest> + Send + 'static,
        history: &Arc<History>,
        client: &Arc<str>,
    ) -> (Attempts<Attempt>, impl Stream<Item = pb::SessionRequest> + Send + 'static) {
        use pb::session_request::Command;
        let attempts = Attempts::default();
        let (under_way, history, client) =
            (Arc::clone(&attempts), Arc::clone(history), Arc::clone(client));
        let requests = requests.map(move |request| {
            let attempt = request.command.as_ref().map(|command| match command {
                Command::Acquire(acquire) => Attempt::Acquire(history.attempt(&client, acquire)),
                Command::Renew(renew) => Attempt::Renew(history.attempt(&client, renew)),
                Command::Release(release) => Attempt::Release(history.attempt(&client, release)),
                Command::Cancel(cancel) => Attempt::Cancel(history.attempt(&client, cancel)),
            });
            if let Some(attempt) = attempt {
                put(&under_way, request.attempt, attempt);
            }
            request
        });
        (attempts, requests)
    }

    pub(super) fn new(
        stream: Streaming<pb::SessionResponse>,
        attempts: Attempts<Attempt>,
        history: &Arc<History>,
        client: &Arc<str>,
    ) -> Self {
        let (history, client) = (Arc::clone(history), Arc::clone(client));
        Self { stream, attempts, history, client }
    }

    pub async fn message(&mut self) -> Result<Option<pb::SessionResponse>, Status> {
        use pb::session_response::Message;
        let message = self.stream.message().await?;
        let Some(answer) = &message else { return Ok(message) };
        if let Some(Message::Pushed(event)) = &answer.message {
            self.history.saw(&self.client, std::slice::from_ref(event));
        }
        if let (Some(attempt), Some(message)) =
            (take(&self.attempts, answer.attempt), &answer.message)
        {
            attempt.settle(message);
        }
        Ok(message)
    }
}

impl Attempt {
    fn settle(self, message: &pb::session_response::Message) {
        use pb::session_response::Message;
        match (self, message) {
            (Self::Acquire(call), Message::Acquired(answer)) => {
                let claim = answer.claim.as_ref().expect("an answer bears its claim");
                call.settle(Outcome::Ok(&of_claim(claim, answer.revision)));
            }
            (Self::Renew(call), Message::Renewed(answer)) => call.settle(Outcome::Ok(answer)),
            (Self::Release(call), Message::Released(answer)) => call.settle(Outcome::Ok(answer)),
            (Self::Cancel(call), Message::Cancelled(answer)) => call.settle(Outcome::Ok(answer)),
            (attempt, Message::Failed(no)) => {
                let no = Failure::from(no.clone());
                match attempt {
                    Self::Acquire(call) => call.settle(failed(&no)),
                    Self::Renew(call) => call.settle(failed(&no)),
                    Self::Release(call) => call.settle(failed(&no)),
                    Self::Cancel(call) => call.settle(failed(&no)),
                }
            }
            (_, message) => panic!("this answers nothing that was asked: {message:?}"),
        }
    }
}

/// A stream of writes.
pub struct WriteStream {
    stream: Streaming<store::WriteStreamResponse>,
    attempts: Attempts<Call<store::WriteRequest>>,
}

impl WriteStream {
    /// The writes, each begun in the history when it is taken to be sent.
    pub(super) fn recorded(
        requests: impl Stream<Item = store::WriteStreamRequest> + Send + 'static,
        history: &Arc<History>,
        client: &Arc<str>,
    ) -> (
        Attempts<Call<store::WriteRequest>>,
        impl Stream<Item = store::WriteStreamRequest> + Send + 'static,
    ) {
        let attempts = Attempts::default();
        let (under_way, history, client) =
            (Arc::clone(&attempts), Arc::clone(history), Arc::clone(client));
        let requests = requests.map(move |request| {
            if let Some(write) = &request.write {
                put(&under_way, request.attempt, history.attempt(&client, write));
            }
            request
        });
        (attempts, requests)
    }

    pub(super) fn new(
        stream: Streaming<store::WriteStreamResponse>,
        attempts: Attempts<Call<store::WriteRequest>>,
    ) -> Self {
        Self { stream, attempts }
    }

    pub async fn message(&mut self) -> Result<Option<store::WriteStreamResponse>, Status> {
        use store::write_stream_response::Result as Answer;
        let message = self.stream.message().await?;
        if let Some(answer) = &message
            && let Some(call) = take(&self.attempts, answer.attempt)
        {
            match answer.result.as_ref().expect("each attempt is answered") {
                Answer::Written(written) => call.settle(Outcome::Ok(written)),
                Answer::Failed(no) => call.settle(failed(&Failure::from(no.clone()))),
            }
        }
        Ok(message)
    }
}
