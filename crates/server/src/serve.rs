//! A node's life: bind, claim the disk, take part, serve; hand over, drain, stop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use leasehold_net::Incoming;
use leasehold_raft::{AsyncRuntime, Node, TokioRuntime};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;

use crate::config::Config;
use crate::error::ServeError;
use crate::machine::Machine;
use crate::port::Port;
use crate::start::{serve_clients, serve_peers, start_node};
use crate::stopping::{Stopper, stopping};

/// How long peers have to notice that this node is gone.
const PEERS_LEAVE: Duration = Duration::from_secs(1);

/// The two ports of a node, bound.
#[derive(Debug)]
pub struct Listeners<I = TcpIncoming> {
    /// For clients.
    pub client: I,
    /// For peers.
    pub peer: I,
}

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    /// [`ServeError::Bind`].
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        let client = bind("client_listen", config.client_listen).await?;
        let peer = bind("peer_listen", config.peer_listen).await?;
        Ok(Self::tcp(client, peer))
    }

    /// Ports that the caller has bound.
    pub fn tcp(client: TcpListener, peer: TcpListener) -> Self {
        let incoming = |listener| TcpIncoming::from(listener).with_nodelay(Some(true));
        Self { client: incoming(client), peer: incoming(peer) }
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServeError::Bind { key, address, source })
}

/// Runs a node until `shutdown` resolves: then leadership is handed over, new requests are refused,
/// calls under way are drained for `timing.drain` at most, streams are ended with a status, and the
/// node stops.
///
/// # Errors
/// [`ServeError`], when it does not start or when it stops by itself.
pub async fn serve(
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    // Ports first: what is in use already is an error before anything durable changes.
    let listeners = Listeners::bind(&config).await?;
    serve_on(config, listeners, shutdown).await
}

/// [`serve()`], on ports that the caller has bound.
///
/// # Errors
/// As [`serve()`].
pub async fn serve_on(
    config: Config,
    listeners: Listeners<impl Incoming>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let machine = Machine::open(&config)?;
    serve_with::<TokioRuntime>(config, machine, listeners, shutdown).await
}

/// [`serve_on()`], on a machine and a runtime that the caller brings: `RT` is tokio, or wraps it, since
/// gRPC is tokio's. The config's own `data_dir` is not touched.
///
/// # Errors
/// As [`serve()`].
pub async fn serve_with<RT: AsyncRuntime>(
    config: Config,
    machine: Machine,
    listeners: Listeners<impl Incoming>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let mut running = Running::<RT>::start(&config, machine, listeners).await?;
    let mut shutdown = pin!(shutdown);
    let error = tokio::select! {
        () = &mut shutdown => {
            running.stop(config.timing.drain).await;
            return Ok(());
        }
        failure = running.node.failed() => ServeError::Failed(failure),
        ended = running.tasks.join_next() => ServeError::Task(ended.and_then(Result::err)),
        error = running.clients.ended() => error,
        error = running.peers.ended() => error,
    };
    tracing::error!(error = &error as &dyn std::error::Error, "stopping");
    running.stopper.begin();
    running.node.shutdown().await;
    Err(error)
}

/// A node and its two ports.
struct Running<RT: AsyncRuntime> {
    node: Node<RT>,
    clients: Port,
    peers: Port,
    tasks: JoinSet<()>,
    stopper: Stopper,
}

impl<RT: AsyncRuntime> Running<RT> {
    async fn start(
        config: &Config,
        machine: Machine,
        listeners: Listeners<impl Incoming>,
    ) -> Result<Self, ServeError> {
        let started = start_node(config, machine).await?;
        let (node, incarnation) = (started.node.clone(), started.incarnation);
        let (stopper, stopping) = stopping();
        let peers = serve_peers(&node, config, listeners.peer);
        let (clients, tasks) = serve_clients(started, config, &stopping, listeners.client);
        tracing::info!(
            cluster_id = config.cluster_id,
            node_id = config.node_id,
            incarnation,
            client = %config.client_listen,
            peer = %config.peer_listen,
            "listening"
        );
        Ok(Self { node, clients, peers, tasks, stopper })
    }

    async fn stop(mut self, drain: Duration) {
        tracing::info!("stopping: handing leadership over");
        if !self.node.hand_over_leadership().await {
            tracing::warn!("leadership was not handed over in time");
        }
        self.stopper.begin();
        if !self.clients.leave(drain).await {
            tracing::warn!(?drain, "calls were still under way when the drain was over");
        }
        self.node.shutdown().await;
        self.peers.leave(PEERS_LEAVE).await;
        self.tasks.shutdown().await;
        tracing::info!("stopped");
    }
}
