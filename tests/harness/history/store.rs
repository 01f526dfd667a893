//! A client of a store whose calls are recorded. Its methods are those of the generated client.

use std::sync::Arc;

use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use tokio_stream::Stream;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::verdict::Counting;
use super::{Answer, History, WriteStream};

/// See the module.
#[derive(Clone)]
pub struct StoreClient {
    calls: StoreServiceClient<InterceptedService<Channel, Counting>>,
    history: Arc<History>,
    name: Arc<str>,
}

impl StoreClient {
    pub fn new(channel: Channel, history: &Arc<History>) -> Self {
        let calls = StoreServiceClient::with_interceptor(channel, Counting::of(history));
        // The largest value that fits a message fits an answer too.
        let calls = calls.max_decoding_message_size(8 << 20);
        Self { calls, history: Arc::clone(history), name: history.new_client() }
    }

    pub async fn write(&mut self, request: pb::WriteRequest) -> Answer<pb::WriteResponse> {
        let send = async |request| self.calls.write(request).await;
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

    pub async fn write_stream(
        &mut self,
        requests: impl Stream<Item = pb::WriteStreamRequest> + Send + 'static,
    ) -> Result<WriteStream, Status> {
        self.history.opened("leasehold.store.v1.StoreService/WriteStream");
        let (attempts, requests) = WriteStream::recorded(requests, &self.history, &self.name);
        let stream = self.calls.write_stream(requests).await?.into_inner();
        Ok(WriteStream::new(stream, attempts))
    }

    /// Tells nothing of claims or writes of anybody, so it is counted and has no line.
    pub async fn status(&mut self, request: pb::StatusRequest) -> Answer<pb::StatusResponse> {
        self.history.opened("leasehold.store.v1.StoreService/Status");
        self.calls.status(request).await
    }
}
