//! A fake lease cluster over loopback gRPC: honest about claims, as faulty as the test tells it.
//!
//! All nodes share one naive [`Model`] for each resource and one clock, which the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{Stream, StreamExt};
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::lease_service_server::{LeaseService, LeaseServiceServer};
use leasehold_api::{CheckedRelease, Failure, Problem, claim_from_answer, duration_from_ms};
use leasehold_client::message::{Answer, Command};
use leasehold_clock::Clock;
use leasehold_types::{Acquire, Fault, Renew, RequestId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use super::model::Model;
use super::plain::ManualClock;

pub const CLUSTER_ID: &str = "test-cluster";

/// What a node does wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Takes what comes and neither applies nor answers it.
    pub mute: bool,
    /// So many answers are lost after their command was applied.
    pub answers_to_lose: u32,
    /// So many Acquires are held back, to be applied by [`FakeCluster::wake_held_back`].
    pub acquires_to_hold_back: u32,
    /// Answers everything with "unknown", as a leader does that is cut off from the others.
    pub cut_off: bool,
    /// Answers everything twice.
    pub twice: bool,
    /// Takes nothing unless it leads, and says where the leader is.
    pub does_not_forward: bool,
    /// Pushes nothing.
    pub no_pushes: bool,
    /// New streams are refused.
    pub down: bool,
}

/// One command as a node got it.
#[derive(Clone, Debug)]
pub struct Logged {
    pub node: u64,
    pub command: Command,
}

#[derive(Default)]
struct Shared {
    resources: BTreeMap<String, Model>,
    by_request: BTreeMap<RequestId, String>,
    log: Vec<Logged>,
    leader: u64,
    nodes: BTreeMap<u64, Node>,
    held_back: Vec<Command>,
    /// What the leader's address is said to be instead of the true one.
    said_address: Option<String>,
    watches: VecDeque<Vec<Result<pb::WatchResponse, Status>>>,
    watched: Vec<pb::WatchRequest>,
}

#[derive(Default)]
struct Node {
    address: String,
    faults: Faults,
    streams: Vec<mpsc::Sender<Result<pb::SessionResponse, Status>>>,
}

/// The cluster, for the test to look into and to harm.
#[derive(Clone)]
pub struct FakeCluster {
    clock: Arc<ManualClock>,
    cluster_id: String,
    shared: Arc<Mutex<Shared>>,
}

impl FakeCluster {
    pub async fn start(nodes: u64) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        (Self::of(CLUSTER_ID, nodes, &clock).await, clock)
    }

    /// Node 1 leads.
    pub async fn of(cluster_id: &str, nodes: u64, clock: &Arc<ManualClock>) -> Self {
        let shared = Shared { leader: 1, ..Shared::default() };
        let cluster = Self {
            clock: clock.clone(),
            cluster_id: cluster_id.into(),
            shared: Arc::new(Mutex::new(shared)),
        };
        for node in 1..=nodes {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("bound").to_string();
            cluster.lock().nodes.insert(node, Node { address, ..Node::default() });
            let service = FakeNode { node, cluster: cluster.clone() };
            let server = tonic::transport::Server::builder()
                .add_service(LeaseServiceServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::spawn(server);
        }
        cluster
    }

    pub fn endpoints(&self) -> Vec<String> {
        self.lock().nodes.values().map(|node| node.address.clone()).collect()
    }

    pub fn endpoint(&self, node: u64) -> String {
        self.lock().nodes[&node].address.clone()
    }

    pub fn harm(&self, node: u64, harm: impl FnOnce(&mut Faults)) {
        harm(&mut self.lock().nodes.get_mut(&node).expect("a node").faults);
    }

    /// Ends all streams of a node, as a crash does.
    pub fn break_streams(&self, node: u64) {
        self.lock().nodes.get_mut(&node).expect("a node").streams.clear();
    }

    /// Another node leads from now on, and all nodes say so.
    pub fn lead(&self, leader: u64) {
        let mut shared = self.lock();
        shared.leader = leader;
        for node in shared.nodes.keys().copied().collect::<Vec<_>>() {
            let welcome = self.welcome(&shared, node);
            for stream in &shared.nodes[&node].streams {
                let _ = stream.try_send(Ok(welcome.clone()));
            }
        }
    }

    /// Says that clients reach the leader at this address.
    pub fn say_leader_is_at(&self, address: &str) {
        self.lock().said_address = Some(address.into());
    }

    /// Applies the Acquires that were held back, as a node that was stopped does when it goes on.
    pub fn wake_held_back(&self) -> Vec<Answer> {
        let held_back = std::mem::take(&mut self.lock().held_back);
        held_back.iter().map(|command| self.apply(command)).collect()
    }

    /// Applies a command of nobody in particular.
    pub fn apply(&self, command: &Command) -> Answer {
        self.lock().apply(command, self.now())
    }

    /// What the next watch sends before its stream breaks.
    pub fn next_watch(&self, messages: Vec<Result<pb::WatchResponse, Status>>) {
        self.lock().watches.push_back(messages);
    }

    /// The watches that were asked for.
    pub fn watched(&self) -> Vec<pb::WatchRequest> {
        self.lock().watched.clone()
    }

    pub fn log(&self) -> Vec<Logged> {
        self.lock().log.clone()
    }

    /// The commands that are of a kind, in order of arrival.
    pub fn commands<T>(&self, pick: impl Fn(&Command) -> Option<T>) -> Vec<T> {
        self.lock().log.iter().filter_map(|logged| pick(&logged.command)).collect()
    }

    pub fn acquires(&self) -> Vec<RequestId> {
        self.commands(|command| match command {
            Command::Acquire(ask) => Some(ask.request),
            _ => None,
        })
    }

    pub fn renewals(&self) -> Vec<Vec<RequestId>> {
        self.commands(|command| match command {
            Command::Renew(requests) => Some(requests.clone()),
            _ => None,
        })
    }

    /// Releases and Cancels.
    pub fn ends(&self) -> Vec<Command> {
        self.commands(|command| match command {
            Command::Release { .. } | Command::Cancel(_) => Some(command.clone()),
            _ => None,
        })
    }

    /// The token of the live lease.
    pub fn holder(&self, resource: &str) -> Option<u64> {
        let mut shared = self.lock();
        let model = shared.resources.get_mut(resource)?;
        model.move_to(self.now());
        model.holder().map(leasehold_types::FencingToken::get)
    }

    pub fn is_free(&self, resource: &str) -> bool {
        self.holder(resource).is_none()
    }

    pub fn grants(&self, resource: &str) -> usize {
        self.lock().resources.get(resource).map_or(0, |model| model.granted.len())
    }

    pub fn streams(&self, node: u64) -> usize {
        self.lock().nodes[&node].streams.iter().filter(|stream| !stream.is_closed()).count()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.read().monotonic.as_millis()).expect("a short test")
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test panics while it holds this")
    }

    fn welcome(&self, shared: &Shared, node: u64) -> pb::SessionResponse {
        let address = shared.nodes.get(&shared.leader).map(|leader| leader.address.clone());
        let welcome = pb::SessionWelcome {
            cluster_id: self.cluster_id.clone(),
            node_id: node,
            leader_id: shared.leader,
            leader_address: shared.said_address.clone().or(address).unwrap_or_default(),
            request_memory: Some(duration_from_ms(60_000)),
        };
        pb::SessionResponse {
            attempt: 0,
            message: Some(pb::session_response::Message::Welcome(welcome)),
        }
    }

    /// What a node does with one command: the answer, unless there is none.
    fn take(&self, node: u64, command: Command) -> Option<Answer> {
        let now = self.now();
        let mut shared = self.lock();
        shared.log.push(Logged { node, command: command.clone() });
        let leader = shared.leader;
        let leader_address = shared.nodes.get(&leader).map(|leader| leader.address.clone());
        let faults = &mut shared.nodes.get_mut(&node).expect("a node").faults;
        if faults.mute {
            return None;
        }
        if faults.cut_off {
            let problem = Problem::from(Fault::OutcomeUnknown { why: "no majority".into() });
            return Some(Answer::Failed { problem, retry_after: None });
        }
        if leader == 0 || (faults.does_not_forward && leader != node) {
            let problem = Problem::from(Fault::NoLeader { leader_address });
            return Some(Answer::Failed { problem, retry_after: None });
        }
        if matches!(command, Command::Acquire(_)) && faults.acquires_to_hold_back > 0 {
            faults.acquires_to_hold_back -= 1;
            shared.held_back.push(command);
            return None;
        }
        let lost = faults.answers_to_lose > 0;
        faults.answers_to_lose = faults.answers_to_lose.saturating_sub(1);
        let answer = shared.apply(&command, now);
        (!lost).then_some(answer)
    }
}

impl Shared {
    fn apply(&mut self, command: &Command, now: u64) -> Answer {
        for model in self.resources.values_mut() {
            model.move_to(now);
        }
        let answer = match command {
            Command::Renew(requests) => {
                Answer::Renewed(requests.iter().map(|id| self.renew(*id)).collect())
            }
            Command::Acquire(ask) => {
                self.by_request.insert(ask.request, ask.resource.to_string());
                self.model(ask.resource.as_str(), now).apply(command)
            }
            Command::Release { resource, .. } => self.model(resource.as_str(), now).apply(command),
            Command::Cancel(id) => {
                let resource = self.by_request.get(id).cloned().unwrap_or_default();
                self.model(&resource, now).apply(command)
            }
        };
        self.push_grants();
        answer
    }

    fn model(&mut self, resource: &str, now: u64) -> &mut Model {
        let model = self.resources.entry(resource.to_owned()).or_default();
        model.move_to(now);
        model
    }

    fn renew(&mut self, id: RequestId) -> Result<leasehold_types::ClaimAnswer, Problem> {
        let resource = self.by_request.get(&id).cloned().unwrap_or_default();
        let model = self.resources.entry(resource).or_default();
        match model.apply(&Command::Renew(vec![id])) {
            Answer::Renewed(mut results) => results.remove(0),
            _ => unreachable!("a renewal is answered as one"),
        }
    }

    /// Every stream hears of every grant, again and again: a push is a hint.
    fn push_grants(&self) {
        for granted in self.resources.values().filter_map(|model| model.granted.last()) {
            let event = pb::Event {
                kind: pb::EventKind::Granted.into(),
                request_id: granted.as_bytes().to_vec().into(),
                ..pb::Event::default()
            };
            let message = Some(pb::session_response::Message::Pushed(event));
            for node in self.nodes.values().filter(|node| !node.faults.no_pushes) {
                for stream in &node.streams {
                    let push = pb::SessionResponse { attempt: 0, message: message.clone() };
                    let _ = stream.try_send(Ok(push));
                }
            }
        }
    }
}

#[derive(Clone)]
struct FakeNode {
    node: u64,
    cluster: FakeCluster,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl LeaseService for FakeNode {
    type SessionStream = Answers<pb::SessionResponse>;
    type WatchStream = Answers<pb::WatchResponse>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (sender, answers) = mpsc::channel(1_024);
        let weak = sender.downgrade();
        {
            let mut shared = self.cluster.lock();
            if shared.nodes[&self.node].faults.down {
                return Err(Status::unavailable("down"));
            }
            let welcome = self.cluster.welcome(&shared, self.node);
            sender.try_send(Ok(welcome)).expect("room");
            shared.nodes.get_mut(&self.node).expect("a node").streams.push(sender);
        }
        let (node, mut requests) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                let Some(sender) = weak.upgrade() else { return };
                for answer in node.answers(request) {
                    let _ = sender.send(Ok(answer)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn acquire(
        &self,
        request: Request<pb::AcquireRequest>,
    ) -> Result<Response<pb::AcquireResponse>, Status> {
        let ask = Acquire::try_from(request.into_inner()).map_err(status)?;
        match self.unary(Command::Acquire(ask)).await? {
            Answer::Acquired(claim) => Ok(Response::new(pb::AcquireResponse {
                lease: leasehold_api::lease_from_answer(&claim),
                revision: 1,
                cluster_id: self.cluster.cluster_id.clone(),
            })),
            _ => Err(Status::internal("an odd answer")),
        }
    }

    async fn renew(
        &self,
        request: Request<pb::RenewRequest>,
    ) -> Result<Response<pb::RenewResponse>, Status> {
        let renew = Renew::try_from(request.into_inner()).map_err(status)?;
        match self.unary(Command::Renew(renew.requests)).await? {
            Answer::Renewed(results) => Ok(Response::new(renew_response(results))),
            _ => Err(Status::internal("an odd answer")),
        }
    }

    async fn release(
        &self,
        request: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        let CheckedRelease { resource, token } =
            CheckedRelease::try_from(request.into_inner()).map_err(status)?;
        match self.unary(Command::Release { resource, token }).await? {
            Answer::Released { was_held } => {
                Ok(Response::new(pb::ReleaseResponse { was_held, revision: 1 }))
            }
            _ => Err(Status::internal("an odd answer")),
        }
    }

    async fn cancel(
        &self,
        request: Request<pb::CancelRequest>,
    ) -> Result<Response<pb::CancelResponse>, Status> {
        let id = RequestId::try_from(request.into_inner()).map_err(status)?;
        match self.unary(Command::Cancel(id)).await? {
            Answer::Cancelled { was_live } => {
                Ok(Response::new(pb::CancelResponse { was_live, released_token: 0, revision: 1 }))
            }
            _ => Err(Status::internal("an odd answer")),
        }
    }

    async fn get(
        &self,
        request: Request<pb::GetRequest>,
    ) -> Result<Response<pb::GetResponse>, Status> {
        let resource = request.into_inner().resource;
        let state = pb::ResourceState { resource, ..pb::ResourceState::default() };
        Ok(Response::new(pb::GetResponse { state: Some(state), revision: 1 }))
    }

    async fn list(
        &self,
        request: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        // Three pages of one resource each; each page of a later revision.
        let page = request
            .into_inner()
            .page_token
            .strip_prefix('p')
            .map_or(0, |at| at.parse::<u64>().expect("our own token"));
        let state = pb::ResourceState { resource: format!("r{page}"), ..Default::default() };
        Ok(Response::new(pb::ListResponse {
            resources: vec![state],
            next_page_token: if page < 2 { format!("p{}", page + 1) } else { String::new() },
            revision: 7 + page,
        }))
    }

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut shared = self.cluster.lock();
        shared.watched.push(request.into_inner());
        match shared.watches.pop_front() {
            Some(messages) => Ok(Response::new(Box::pin(futures_util::stream::iter(messages)))),
            None => Err(Status::unavailable("no watch was scripted")),
        }
    }
}

impl FakeNode {
    fn answers(&self, request: pb::SessionRequest) -> Vec<pb::SessionResponse> {
        use pb::session_request::Command as Wire;
        let command = match request.command.expect("a command") {
            Wire::Acquire(raw) => Acquire::try_from(raw).map(Command::Acquire),
            Wire::Renew(raw) => Renew::try_from(raw).map(|renew| Command::Renew(renew.requests)),
            Wire::Release(raw) => CheckedRelease::try_from(raw)
                .map(|CheckedRelease { resource, token }| Command::Release { resource, token }),
            Wire::Cancel(raw) => RequestId::try_from(raw).map(Command::Cancel),
        };
        let command = command.expect("the client sends what is allowed");
        let Some(answer) = self.cluster.take(self.node, command) else { return Vec::new() };
        let twice = self.cluster.lock().nodes[&self.node].faults.twice;
        vec![response(request.attempt, answer); if twice { 2 } else { 1 }]
    }

    async fn unary(&self, command: Command) -> Result<Answer, Status> {
        match self.cluster.take(self.node, command) {
            Some(Answer::Failed { problem, .. }) => Err(problem.into()),
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    }
}

fn status(bad: leasehold_types::BadField) -> Status {
    Problem::from(bad).into()
}

fn renew_response(
    results: Vec<Result<leasehold_types::ClaimAnswer, Problem>>,
) -> pb::RenewResponse {
    use pb::renew_result::Result as Wire;
    let results = results.into_iter().map(|result| pb::RenewResult {
        result: Some(match result {
            Ok(claim) => Wire::Claim(claim_from_answer(&claim)),
            Err(problem) => Wire::Refused(Failure::from(&problem).into()),
        }),
    });
    pb::RenewResponse { results: results.collect(), revision: 1 }
}

fn response(attempt: u64, answer: Answer) -> pb::SessionResponse {
    use pb::session_response::Message;
    let message = match answer {
        Answer::Acquired(claim) => Message::Acquired(pb::SessionAcquired {
            claim: Some(claim_from_answer(&claim)),
            revision: 1,
        }),
        Answer::Renewed(results) => Message::Renewed(renew_response(results)),
        Answer::Released { was_held } => {
            Message::Released(pb::ReleaseResponse { was_held, revision: 1 })
        }
        Answer::Cancelled { was_live } => {
            Message::Cancelled(pb::CancelResponse { was_live, released_token: 0, revision: 1 })
        }
        Answer::Failed { problem, .. } => Message::Failed(Failure::from(&problem).into()),
    };
    pb::SessionResponse { attempt, message: Some(message) }
}
