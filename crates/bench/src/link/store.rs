//! The two ways to write to the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use leasehold_api::Failure;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use leasehold_api::pb::store::v1::write_stream_response::Result as Outcome;
use leasehold_api::pb::store::v1::{WriteRequest, WriteStreamRequest, WriteStreamResponse};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::{BROKEN, Failed, NOT_ANSWERED, OUTGOING_MAX, connect};

/// Cheap to clone; shared by many clients.
#[derive(Clone, Debug)]
pub(crate) enum StoreLink {
    Stream(WriteStream),
    Unary(StoreServiceClient<Channel>, Duration),
}

impl StoreLink {
    /// # Errors
    /// Why the store did not answer.
    pub(crate) async fn unary(address: &str, timeout: Duration) -> Result<Self, String> {
        let channel = connect(address).await.map_err(|why| format!("{address}: {why}"))?;
        Ok(Self::Unary(StoreServiceClient::new(channel), timeout))
    }

    /// # Errors
    /// Why the store did not answer.
    pub(crate) async fn stream(address: &str, timeout: Duration) -> Result<Self, String> {
        WriteStream::open(address, timeout).await.map(Self::Stream)
    }

    pub(crate) async fn send(&self, write: WriteRequest) -> Result<(), Failed> {
        match self {
            Self::Stream(stream) => stream.write(write).await,
            Self::Unary(client, timeout) => {
                let mut client = client.clone();
                match tokio::time::timeout(*timeout, client.write(write)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(status)) => Err(Failed::from(&status)),
                    Err(_) => Err(NOT_ANSWERED),
                }
            }
        }
    }
}

/// One WriteStream.
#[derive(Clone, Debug)]
pub(crate) struct WriteStream {
    outgoing: mpsc::Sender<WriteStreamRequest>,
    shared: Arc<Shared>,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    next_attempt: AtomicU64,
    answers: Mutex<HashMap<u64, oneshot::Sender<Result<(), Failed>>>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<(), Failed>>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteStream {
    async fn open(address: &str, timeout: Duration) -> Result<Self, String> {
        let at = |why: String| format!("{address}: {why}");
        let channel = connect(address).await.map_err(at)?;
        let (outgoing, requests) = mpsc::channel(OUTGOING_MAX);
        let mut client = StoreServiceClient::new(channel);
        let answer = client.write_stream(ReceiverStream::new(requests)).await;
        let incoming = answer.map_err(|status| at(status.message().to_owned()))?.into_inner();
        let shared = Arc::default();
        tokio::spawn(read(Arc::downgrade(&shared), incoming));
        Ok(Self { outgoing, shared, timeout })
    }

    async fn write(&self, write: WriteRequest) -> Result<(), Failed> {
        let attempt = self.shared.next_attempt.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.shared.lock().insert(attempt, answered);
        let asked = async {
            let request = WriteStreamRequest { attempt, write: Some(write) };
            self.outgoing.send(request).await.map_err(|_| BROKEN)?;
            answer.await.unwrap_or(Err(BROKEN))
        };
        let outcome = tokio::time::timeout(self.timeout, asked).await.unwrap_or(Err(NOT_ANSWERED));
        if outcome.is_err() {
            self.shared.lock().remove(&attempt);
        }
        outcome
    }
}

async fn read(shared: Weak<Shared>, mut incoming: Streaming<WriteStreamResponse>) {
    while let Ok(Some(response)) = incoming.message().await {
        let Some(shared) = shared.upgrade() else { return };
        let outcome = match response.result {
            Some(Outcome::Written(_)) => Ok(()),
            Some(Outcome::Failed(raw)) => Err(Failed(Failure::from(raw).problem().reason())),
            None => Err(BROKEN),
        };
        if let Some(asked) = shared.lock().remove(&response.attempt) {
            let _ = asked.send(outcome);
        }
    }
    if let Some(shared) = shared.upgrade() {
        shared.lock().clear();
    }
}
