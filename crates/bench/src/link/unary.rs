//! Plain unary calls over one connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_api::pb::lease::v1::{ReleaseRequest, RenewRequest, RenewResponse};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::{Ask, Failed, NOT_ANSWERED, dial_leader};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Unary {
    client: Arc<Mutex<LeaseServiceClient<Channel>>>,
    endpoints: Arc<[String]>,
    /// Held by whoever looks for the leader.
    looking: Arc<tokio::sync::Mutex<()>>,
    timeout: Duration,
}

impl Unary {
    /// Dials the leader.
    ///
    /// # Errors
    /// Why no node answered.
    pub(crate) async fn open(endpoints: Vec<String>, timeout: Duration) -> Result<Self, String> {
        let dialled = dial_leader(&endpoints).await?;
        Ok(Self {
            client: Arc::new(Mutex::new(LeaseServiceClient::new(dialled.channel))),
            endpoints: endpoints.into(),
            looking: Arc::default(),
            timeout,
        })
    }

    pub(crate) async fn acquire(&self, ask: Ask) -> Result<u64, Failed> {
        let wait = ask.wait;
        let mut client = self.client();
        let answer = self.call(wait, client.acquire(ask.into_wire())).await?;
        Ok(answer.lease.unwrap_or_default().token)
    }

    pub(crate) async fn renew(&self, tokens: &[u64]) -> Result<RenewResponse, Failed> {
        let request = RenewRequest { tokens: tokens.to_vec(), request_ids: Vec::new() };
        let mut client = self.client();
        self.call(Duration::ZERO, client.renew(request)).await
    }

    pub(crate) async fn release(&self, resource: &str, token: u64) -> Result<(), Failed> {
        let request = ReleaseRequest { resource: resource.to_owned(), token };
        let mut client = self.client();
        self.call(Duration::ZERO, client.release(request)).await.map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, LeaseServiceClient<Channel>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> LeaseServiceClient<Channel> {
        self.lock().clone()
    }

    async fn call<T>(
        &self,
        wait: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failed> {
        let outcome = match tokio::time::timeout(wait + self.timeout, call).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => Failed::from(&status),
            Err(_) => NOT_ANSWERED,
        };
        if matches!(outcome.0, "NO_LEADER" | "SHUTTING_DOWN" | "OUTCOME_UNKNOWN" | "NOT_ANSWERED") {
            self.look_for_the_leader().await;
        }
        Err(outcome)
    }

    /// One of those that failed looks; the others go on and fail or not.
    async fn look_for_the_leader(&self) {
        let Ok(_looking) = self.looking.try_lock() else { return };
        if let Ok(dialled) = dial_leader(&self.endpoints).await {
            *self.lock() = LeaseServiceClient::new(dialled.channel);
        }
    }
}
