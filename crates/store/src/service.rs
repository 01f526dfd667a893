//! The gRPC service: wire in, checked requests on, answers and statuses out. Decides nothing.

use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::store_service_server::StoreService;
use leasehold_api::{CheckedStoreGet, CheckedStoreList, CheckedWrite, Problem};
use leasehold_fence::Mark;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Engine;
use crate::group::Written;
use crate::snapshot::Entry;
use crate::write_stream::write_stream;

/// The service over an open store.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    engine: Engine,
    /// True once the store stops: open streams then end after what they took.
    stopping: watch::Receiver<bool>,
}

impl Service {
    pub(crate) fn new(engine: Engine, stopping: watch::Receiver<bool>) -> Self {
        Self { engine, stopping }
    }

    async fn list_page(&self, raw: pb::ListRequest) -> Result<pb::ListResponse, Problem> {
        let read = self.engine.list(CheckedStoreList::try_from(raw)?).await?;
        let next_page_token = match read.found.entries.last() {
            Some(last) if read.found.more => last.key.clone(),
            _ => String::new(),
        };
        let entries = read.found.entries.into_iter().map(entry_to_wire).collect();
        Ok(pb::ListResponse { entries, next_page_token, mark: Some(mark_to_wire(read.mark)) })
    }

    async fn get_entry(&self, raw: pb::GetRequest) -> Result<pb::GetResponse, Problem> {
        let read = self.engine.get(CheckedStoreGet::try_from(raw)?).await?;
        let entry = read.found.map(entry_to_wire);
        Ok(pb::GetResponse { entry, mark: Some(mark_to_wire(read.mark)) })
    }

    async fn write_one(&self, raw: pb::WriteRequest) -> Result<pb::WriteResponse, Problem> {
        let written = self.engine.write(CheckedWrite::try_from(raw)?).await?;
        Ok(written_to_wire(written))
    }
}

#[tonic::async_trait]
impl StoreService for Service {
    async fn write(
        &self,
        request: Request<pb::WriteRequest>,
    ) -> Result<Response<pb::WriteResponse>, Status> {
        Ok(Response::new(self.write_one(request.into_inner()).await?))
    }

    type WriteStreamStream = ReceiverStream<Result<pb::WriteStreamResponse, Status>>;

    async fn write_stream(
        &self,
        request: Request<Streaming<pb::WriteStreamRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        let (engine, stopping) = (self.engine.clone(), self.stopping.clone());
        Ok(Response::new(write_stream(engine, request.into_inner(), stopping)))
    }

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::GetResponse>, Status> {
        Ok(Response::new(self.get_entry(request.into_inner()).await?))
    }

    async fn list(
        &self,
        request: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        Ok(Response::new(self.list_page(request.into_inner()).await?))
    }

    async fn status(
        &self,
        _: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let counters = self.engine.counters().await?;
        Ok(Response::new(pb::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id: counters.cluster_id.unwrap_or_default(),
            floor: counters.floor.get(),
            revision: counters.revision,
            resources: counters.resources,
            keys: counters.keys,
            highest_token: counters.highest_token,
            stale_refused: self.engine.stale_refused(),
        }))
    }
}

/// An accepted write on the wire.
pub(crate) fn written_to_wire(written: Written) -> pb::WriteResponse {
    pb::WriteResponse { mark: Some(mark_to_wire(written.mark)), revision: written.revision }
}

fn mark_to_wire(mark: Mark) -> pb::Mark {
    let (token, sequence) = mark.to_parts();
    pb::Mark { token, sequence }
}

fn entry_to_wire(entry: Entry) -> pb::Entry {
    let Entry { key, value, version, token } = entry;
    pb::Entry { key, value, version, token }
}
