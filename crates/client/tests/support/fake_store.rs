//! A fake store over loopback gRPC: one mark, a log of what came, faults on demand.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::Stream;
use leasehold_api::Problem;
use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::store_service_server::{StoreService, StoreServiceServer};
use leasehold_types::{Fault, StoreRefusal};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

/// What happens to the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is applied and its answer is lost: "unknown".
    AppliedAnswerLost,
    /// The same, and then somebody with the next token comes.
    AppliedAnswerLostThenOvertaken,
    /// It is neither applied nor answered with more than "unknown".
    LostUnknown,
    /// It is surely not applied.
    NotApplied,
    /// It is applied and never answered.
    AppliedThenSilence,
}

#[derive(Default)]
struct Shared {
    mark: (u64, u64),
    value: Vec<u8>,
    revision: u64,
    last: pb::WriteResponse,
    log: Vec<pb::WriteRequest>,
    fates: VecDeque<Fate>,
}

/// The store, for the test to look into and to harm.
#[derive(Clone, Default)]
pub struct FakeStore {
    shared: Arc<Mutex<Shared>>,
}

impl FakeStore {
    pub async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let store = Self::default();
        let server = tonic::transport::Server::builder()
            .add_service(StoreServiceServer::new(store.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        (store, address)
    }

    pub fn meets(&self, fates: impl IntoIterator<Item = Fate>) {
        self.lock().fates.extend(fates);
    }

    pub fn raise_mark(&self, token: u64) {
        self.lock().mark = (token, 0);
    }

    pub fn value(&self) -> String {
        String::from_utf8(self.lock().value.clone()).expect("text")
    }

    pub fn log(&self) -> Vec<pb::WriteRequest> {
        self.lock().log.clone()
    }

    pub fn sequences(&self) -> Vec<u64> {
        self.lock().log.iter().map(|write| write.sequence).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test panics while it holds this")
    }

    fn read(&self, token: Option<u64>) -> Result<pb::Mark, Status> {
        let mut shared = self.lock();
        if let Some(token) = token {
            if token < shared.mark.0 {
                return Err(Problem::from(stale(token, shared.mark)).into());
            }
            shared.mark = shared.mark.max((token, 0));
        }
        Ok(mark(shared.mark))
    }
}

impl Shared {
    fn write(&mut self, write: &pb::WriteRequest) -> Result<pb::WriteResponse, StoreRefusal> {
        let own = (write.token, write.sequence);
        if own == self.mark && write.sequence > 0 {
            return Ok(self.last);
        }
        if write.token < self.mark.0 {
            return Err(stale(write.token, self.mark));
        }
        if own < self.mark {
            return Err(StoreRefusal::StaleSequence {
                sequence: write.sequence,
                mark_token: self.mark.0,
                mark_sequence: self.mark.1,
            });
        }
        self.mark = own;
        self.revision += 1;
        for mutation in &write.mutations {
            match &mutation.operation {
                Some(pb::mutation::Operation::Append(append)) => {
                    self.value.extend_from_slice(&append.value);
                }
                Some(pb::mutation::Operation::Put(put)) => self.value = put.value.to_vec(),
                Some(pb::mutation::Operation::Delete(_)) | None => self.value.clear(),
            }
        }
        self.last = pb::WriteResponse { mark: Some(mark(own)), revision: self.revision };
        Ok(self.last)
    }
}

fn stale(token: u64, mark: (u64, u64)) -> StoreRefusal {
    StoreRefusal::StaleToken { token, mark_token: mark.0, mark_sequence: mark.1 }
}

fn mark((token, sequence): (u64, u64)) -> pb::Mark {
    pb::Mark { token, sequence }
}

fn unknown() -> Status {
    Problem::from(Fault::OutcomeUnknown { why: "the answer was lost".into() }).into()
}

#[tonic::async_trait]
impl StoreService for FakeStore {
    type WriteStreamStream =
        Pin<Box<dyn Stream<Item = Result<pb::WriteStreamResponse, Status>> + Send>>;

    async fn write(
        &self,
        request: Request<pb::WriteRequest>,
    ) -> Result<Response<pb::WriteResponse>, Status> {
        let write = request.into_inner();
        let (fate, outcome) = {
            let mut shared = self.lock();
            shared.log.push(write.clone());
            let fate = shared.fates.pop_front();
            let applies = !matches!(fate, Some(Fate::LostUnknown | Fate::NotApplied));
            let outcome = applies.then(|| shared.write(&write));
            if fate == Some(Fate::AppliedAnswerLostThenOvertaken) {
                shared.mark = (write.token + 1, 0);
            }
            (fate, outcome)
        };
        match (fate, outcome) {
            (Some(Fate::AppliedThenSilence), _) => std::future::pending().await,
            (Some(Fate::NotApplied), _) => Err(Problem::from(Fault::QueueFull { limit: 1 }).into()),
            (Some(Fate::AppliedAnswerLost | Fate::LostUnknown), _) | (None, None) => Err(unknown()),
            (Some(Fate::AppliedAnswerLostThenOvertaken), _) => Err(unknown()),
            (None, Some(Ok(written))) => Ok(Response::new(written)),
            (None, Some(Err(refusal))) => Err(Problem::from(refusal).into()),
        }
    }

    async fn write_stream(
        &self,
        _: Request<Streaming<pb::WriteStreamRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        Err(Status::unimplemented("not used"))
    }

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::GetResponse>, Status> {
        let pb::GetRequest { key, token, .. } = request.into_inner();
        let mark = self.read(token)?;
        let value = self.lock().value.clone().into();
        let entry = pb::Entry { key, value, version: 1, token: mark.token };
        Ok(Response::new(pb::GetResponse { entry: Some(entry), mark: Some(mark) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        // Three pages of one key each.
        let pb::ListRequest { page_token, token, .. } = request.into_inner();
        let mark = self.read(token)?;
        let (key, next) = match page_token.as_str() {
            "" => ("a", "a"),
            "a" => ("b", "b"),
            _ => ("c", ""),
        };
        Ok(Response::new(pb::ListResponse {
            entries: vec![pb::Entry { key: key.into(), ..pb::Entry::default() }],
            next_page_token: next.into(),
            mark: Some(mark),
        }))
    }

    async fn status(
        &self,
        _: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        Ok(Response::new(pb::StatusResponse::default()))
    }
}
