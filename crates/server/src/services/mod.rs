//! The public services: one file for each group of calls, and here only the wiring.
//!
//! Every request is checked before anything else happens; what is bad never reaches the log. Whatever
//! is not an answer leaves as a [`Problem`], through its one map.

mod acquire;
mod answers;
mod commands;
mod reads;
mod session;
mod status;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_raft::{AsyncRuntime, Member, Node};
use leasehold_types::Fault;
use tokio::sync::watch::Receiver;
use tonic::{Request, Response, Status, Streaming};

use crate::config::LimitsSection;
use crate::hub::Hub;
use crate::quota::Quota;
use crate::stopping::Stopping;
use crate::waiting::WaitingRoom;

/// What the services share: handles and facts, all cheap to clone.
pub(crate) struct Services<RT: AsyncRuntime> {
    pub(crate) node: Node<RT>,
    pub(crate) hub: Hub,
    pub(crate) waiting_room: WaitingRoom,
    pub(crate) stopping: Stopping,
    pub(crate) leader: Receiver<Option<Member>>,
    pub(crate) sessions: Quota,
    pub(crate) watches: Quota,
    pub(crate) limits: Arc<LimitsSection>,
    pub(crate) watch_progress: Duration,
    pub(crate) cluster_id: String,
    pub(crate) node_id: u64,
    pub(crate) incarnation: u64,
    /// What the cluster is founded with, until it has settings of its own.
    pub(crate) request_memory_ms: u64,
}

impl<RT: AsyncRuntime> Services<RT> {
    fn refuse_when_stopping(&self) -> Result<(), Problem> {
        match self.stopping.is_on() {
            true => Err(Fault::ShuttingDown.into()),
            false => Ok(()),
        }
    }

    /// For how long the cluster remembers the request id of a claim that ended.
    async fn request_memory_ms(&self) -> u64 {
        let replicated = self.node.query(|state| state.settings().ended_memory_ms).await;
        replicated.unwrap_or(self.request_memory_ms)
    }
}

// Written by hand: a derive would ask the runtime to be cloned.
impl<RT: AsyncRuntime> Clone for Services<RT> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            hub: self.hub.clone(),
            waiting_room: self.waiting_room.clone(),
            stopping: self.stopping.clone(),
            leader: self.leader.clone(),
            sessions: self.sessions.clone(),
            watches: self.watches.clone(),
            limits: self.limits.clone(),
            watch_progress: self.watch_progress,
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            incarnation: self.incarnation,
            request_memory_ms: self.request_memory_ms,
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn answer<T>(answer: Result<T, Problem>) -> Answer<T> {
    answer.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl<RT: AsyncRuntime> pb::lease_service_server::LeaseService for Services<RT> {
    async fn acquire(&self, request: Request<pb::AcquireRequest>) -> Answer<pb::AcquireResponse> {
        answer(self.acquire_once(request.into_inner()).await)
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Answer<pb::RenewResponse> {
        answer(self.renew_many(request.into_inner()).await)
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Answer<pb::ReleaseResponse> {
        answer(self.release_one(request.into_inner()).await)
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Answer<pb::CancelResponse> {
        answer(self.cancel_one(request.into_inner()).await)
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Answer<pb::GetResponse> {
        answer(self.get_one(request.into_inner()).await)
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Answer<pb::ListResponse> {
        answer(self.list_page(request.into_inner()).await)
    }

    type WatchStream = watch::WatchStream;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Answer<Self::WatchStream> {
        answer(self.watch_from(request.into_inner()).await)
    }

    type SessionStream = session::ReplyStream;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Answer<Self::SessionStream> {
        answer(self.open_session(request.into_inner()))
    }
}
