//! A client of a lease node whose calls are recorded. Its methods are those of the generated client.

use std::sync::Arc;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_sim::history::record::{Outcome, Standing};
use tokio_stream::Stream;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::lease_lines::of_lease;
use super::outcome::{as_ref, map, outcome};
use super::verdict::Counting;
use super::{Answer, History, Session, Watch};

/// See the module.
#[derive(Clone)]
pub struct LeaseClient {
    calls: LeaseServiceClient<InterceptedService<Channel, Counting>>,
    history: Arc<History>,
    name: Arc<str>,
}

impl LeaseClient {
    pub fn new(channel: Channel, history: &Arc<History>) -> Self {
        let calls = LeaseServiceClient::with_interceptor(channel, Counting::of(history));
        Self { calls, history: Arc::clone(history), name: history.new_client() }
    }

    pub async fn acquire(&mut self, request: pb::AcquireRequest) -> Answer<pb::AcquireResponse> {
        let call = self.history.call(&self.name, &request);
        let answer = self.calls.acquire(request).await;
        call.settle(as_ref(&standing(&answer)));
        answer
    }

    pub async fn renew(&mut self, request: pb::RenewRequest) -> Answer<pb::RenewResponse> {
        let send = async |request| self.calls.renew(request).await;
        self.history.recorded(&self.name, request, send).await
    }

    pub async fn release(&mut self, request: pb::ReleaseRequest) -> Answer<pb::ReleaseResponse> {
        let send = async |request| self.calls.release(request).await;
        self.history.recorded(&self.name, request, send).await
    }

    pub async fn cancel(&mut self, request: pb::CancelRequest) -> Answer<pb::CancelResponse> {
        let send = async |request| self.calls.cancel(request).await;
        self.history.recorded(&self.name, request, send).await
    }

    pub async fn get(&mut self, request: pb::GetRequest) -> Answer<pb::GetResponse> {
        let send = async |request| self.calls.get(request).await;
        self.history.recorded(&self.name, request, send).await
    }

    pub async fn list(&mut self, request: pb::ListRequest) -> Answer<pb::ListResponse> {
        let send = async |request| self.calls.list(request).await;
        self.history.recorded(&self.name, request, send).await
    }

    pub async fn watch(&mut self, request: pb::WatchRequest) -> Result<Watch, Status> {
        self.history.opened("leasehold.lease.v1.LeaseService/Watch");
        let stream = self.calls.watch(request.clone()).await?.into_inner();
        Ok(Watch::new(stream, &self.history, &self.name, request))
    }

    pub async fn session(
        &mut self,
        requests: impl Stream<Item = pb::SessionRequest> + Send + 'static,
    ) -> Result<Session, Status> {
        self.history.opened("leasehold.lease.v1.LeaseService/Session");
        let (attempts, requests) = Session::recorded(requests, &self.history, &self.name);
        let stream = self.calls.session(requests).await?.into_inner();
        Ok(Session::new(stream, attempts, &self.history, &self.name))
    }
}

fn standing(answer: &Answer<pb::AcquireResponse>) -> Outcome<Standing> {
    map(outcome(answer), |answer| {
        of_lease(answer.lease.as_ref().expect("OK means a lease"), answer.revision)
    })
}
