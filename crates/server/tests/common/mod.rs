//! Real nodes on loopback, in this process: real ports, real disks, short timings.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::cluster_service_client::ClusterServiceClient;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_api::{CONNECTION_WINDOW_BYTES, Problem, STREAM_WINDOW_BYTES};
use leasehold_disk::MachineDisk;
use leasehold_server::{Config, Listeners, ServeError, serve_on};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The shortest ttl these clusters allow.
pub(crate) const TTL: Duration = Duration::from_millis(800);

pub(crate) type Lease = LeaseServiceClient<Channel>;

/// A cluster of some nodes and their data directories.
pub(crate) struct Cluster {
    nodes: Vec<TestNode>,
    directory: tempfile::TempDir,
    extra: String,
}

struct TestNode {
    client_port: u16,
    peer_port: u16,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Cluster {
    /// Starts `size` nodes and waits until each knows the leader.
    pub(crate) async fn start(size: usize) -> Self {
        Self::start_with(size, "").await
    }

    /// The same with more lines for the `[limits]` section.
    pub(crate) async fn start_with(size: usize, limits: &str) -> Self {
        // Shown for a failing test, when RUST_LOG says what.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let mut listeners = Vec::new();
        let mut nodes = Vec::new();
        for _ in 0..size {
            let (client, peer) = (any_port().await, any_port().await);
            let port = |bound: &TcpListener| bound.local_addr().expect("bound").port();
            let (client_port, peer_port) = (port(&client), port(&peer));
            nodes.push(TestNode { client_port, peer_port, running: None });
            listeners.push(Listeners::tcp(client, peer));
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut cluster = Self { nodes, directory, extra: limits.to_owned() };
        for (at, bound) in listeners.into_iter().enumerate() {
            cluster.run(at, bound);
        }
        cluster.settled().await;
        cluster
    }

    fn config(&self, at: usize) -> Config {
        let node = &self.nodes[at];
        let mut text = format!(
            "cluster_id = \"test\"\nnode_id = {}\ndata_dir = {:?}\nclient_listen = \"127.0.0.1:{}\"\npeer_listen = \"127.0.0.1:{}\"\n",
            at + 1,
            self.data_dir(at),
            node.client_port,
            node.peer_port,
        );
        for (at, member) in self.nodes.iter().enumerate() {
            text += &format!(
                "[[members]]\nnode_id = {}\nclient_address = \"127.0.0.1:{}\"\npeer_address = \"127.0.0.1:{}\"\n",
                at + 1,
                member.client_port,
                member.peer_port,
            );
        }
        text += "[timing]\nheartbeat = \"50ms\"\nelection_min = \"150ms\"\nelection_max = \"300ms\"\ndrain = \"5s\"\nwatch_progress = \"100ms\"\n";
        text +=
            "[cluster]\nttl_min = \"800ms\"\nstamp_interval = \"100ms\"\nended_memory = \"7s\"\n";
        text += &format!("[limits]\n{}\n", self.extra);
        Config::parse(&text).expect("a good config")
    }

    fn data_dir(&self, at: usize) -> PathBuf {
        self.directory.path().join(format!("node-{}", at + 1))
    }

    fn run(&mut self, at: usize, listeners: Listeners) {
        let (stop, stopped) = oneshot::channel::<()>();
        let config = self.config(at);
        let ended = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let end = serve_on(config, listeners, stopped).await;
            if let Err(error) = &end {
                eprintln!("node {} ended: {error:?}", at + 1);
            }
            end
        });
        self.nodes[at].running = Some(Running { stop, ended });
    }

    /// Stops a node in order and returns what its `serve` returned.
    pub(crate) async fn stop(&mut self, at: usize) -> Result<(), ServeError> {
        let running = self.nodes[at].running.take().expect("the node runs");
        running.stop.send(()).expect("the node still runs");
        within(running.ended).await.expect("serve did not panic")
    }

    /// Tells a node to stop without waiting for it.
    pub(crate) fn begin_stop(&mut self, at: usize) -> JoinHandle<Result<(), ServeError>> {
        let running = self.nodes[at].running.take().expect("the node runs");
        running.stop.send(()).expect("the node still runs");
        running.ended
    }

    /// Starts a stopped node on its old ports and disk.
    pub(crate) async fn restart(&mut self, at: usize) {
        self.begin(at).await;
        self.settled().await;
    }

    /// Starts every node again, all of them stopped.
    pub(crate) async fn restart_all(&mut self) {
        for at in 0..self.nodes.len() {
            self.begin(at).await;
        }
        self.settled().await;
    }

    async fn begin(&mut self, at: usize) {
        let bind = |port| TcpListener::bind(("127.0.0.1", port));
        let (client, peer) = (self.nodes[at].client_port, self.nodes[at].peer_port);
        let client = bind(client).await.expect("the port is free again");
        let peer = bind(peer).await.expect("the port is free again");
        // A process that is gone has let go of its disk; here its last tasks may still end.
        eventually("the disk is let go", async || MachineDisk::open(self.data_dir(at)).ok()).await;
        self.run(at, Listeners::tcp(client, peer));
    }

    /// A connection of its own to a node.
    pub(crate) fn channel(&self, at: usize) -> Channel {
        let uri = format!("http://127.0.0.1:{}", self.nodes[at].client_port);
        Endpoint::from_shared(uri)
            .expect("a good address")
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .connect_lazy()
    }

    pub(crate) fn lease(&self, at: usize) -> Lease {
        LeaseServiceClient::new(self.channel(at))
    }

    pub(crate) async fn status(&self, at: usize) -> Option<pb::StatusResponse> {
        let status = ClusterServiceClient::new(self.channel(at)).status(pb::StatusRequest {}).await;
        status.ok().map(tonic::Response::into_inner)
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|at| self.nodes[*at].running.is_some())
    }

    /// Returns when every running node knows the same leader and it answers; which one.
    pub(crate) async fn settled(&self) -> usize {
        eventually("the nodes agree on a leader", async || {
            let mut leaders = Vec::new();
            for at in self.running() {
                assert!(!self.has_ended(at), "node {} ended by itself", at + 1);
                leaders.push(self.status(at).await?.leader_id);
            }
            let first = *leaders.first()?;
            let leads = usize::try_from(first).ok()?.checked_sub(1)?;
            let agreed = leaders.iter().all(|leader| *leader == first);
            let answers = agreed && self.nodes[leads].running.is_some() && self.reads(leads).await;
            answers.then_some(leads)
        })
        .await
    }

    fn has_ended(&self, at: usize) -> bool {
        self.nodes[at].running.as_ref().is_some_and(|running| running.ended.is_finished())
    }

    async fn reads(&self, at: usize) -> bool {
        self.lease(at).get(pb::GetRequest { resource: "any".into() }).await.is_ok()
    }

    /// A node that does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.settled().await;
        self.running().find(|at| *at != leader).expect("more than one node")
    }
}

async fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// Waits for a state, not for a time.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Bounded, so that a test that hangs fails.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// A request id that no other call of this process has.
pub(crate) fn fresh_id() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = vec![0xab; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    id
}

pub(crate) fn wire(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).expect("a small duration")
}

pub(crate) fn std(duration: Option<prost_types::Duration>) -> Duration {
    duration.expect("a duration").try_into().expect("not negative")
}

/// An acquire with the shortest ttl that does not wait.
pub(crate) fn acquire(resource: &str) -> pb::AcquireRequest {
    pb::AcquireRequest {
        resource: resource.into(),
        holder: "test/1/holder".into(),
        request_id: fresh_id().into(),
        ttl: Some(wire(TTL)),
        wait: None,
    }
}

/// The same with a long ttl.
pub(crate) fn acquire_long(resource: &str) -> pb::AcquireRequest {
    pb::AcquireRequest { ttl: Some(wire(Duration::from_secs(60))), ..acquire(resource) }
}

/// An acquire with the shortest ttl that waits for half a minute.
pub(crate) fn acquire_waiting(resource: &str) -> pb::AcquireRequest {
    pb::AcquireRequest { wait: Some(wire(PATIENCE)), ..acquire(resource) }
}

pub(crate) fn problem(status: &tonic::Status) -> Problem {
    Problem::from(status)
}

pub(crate) fn reason(status: &tonic::Status) -> &'static str {
    problem(status).reason()
}

/// The lease of an acquire that is granted.
pub(crate) async fn granted(client: &mut Lease, request: pb::AcquireRequest) -> pb::Lease {
    let response = within(client.acquire(request)).await.expect("granted").into_inner();
    assert_eq!(response.cluster_id, "test");
    response.lease.expect("OK comes with a lease")
}

pub(crate) async fn get(client: &mut Lease, resource: &str) -> pb::ResourceState {
    let request = pb::GetRequest { resource: resource.into() };
    within(client.get(request)).await.expect("read").into_inner().state.expect("a state")
}

pub(crate) async fn release(client: &mut Lease, lease: &pb::Lease) -> pb::ReleaseResponse {
    let request = pb::ReleaseRequest { resource: lease.resource.clone(), token: lease.token };
    within(client.release(request)).await.expect("released").into_inner()
}

/// Returns when so many claims wait for the resource.
pub(crate) async fn queue_is(client: &Lease, resource: &str, length: u64) {
    eventually("the queue has that length", async || {
        let state = get(&mut client.clone(), resource).await;
        (state.queue_length == length).then_some(())
    })
    .await;
}
