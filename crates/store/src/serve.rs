//! The daemon: open, bind, serve, drain, close.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use leasehold_api::pb::store::v1::store_service_server::StoreServiceServer;
use leasehold_api::{CONNECTION_WINDOW_BYTES, DESCRIPTORS, STREAM_WINDOW_BYTES};
use leasehold_net::{Incoming, incoming};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};

use crate::config::Config;
use crate::engine::{Engine, Keeper};
use crate::execution::Execution;
use crate::fault::StorageFault;
use crate::open_error::OpenError;
use crate::service::Service;

/// Connections at one time; further ones wait in the system's backlog.
const CONNECTIONS_MAX: usize = 10_000;
/// Longest message: a write of 3 MiB with everything around it.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Calls at work on one connection; further ones wait in the client.
const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// A connection that is silent this long is asked for a sign of life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// And dropped when none comes.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open calls may take to end once the store stops. A write takes milliseconds; whoever
/// holds a call open longer than this is not waiting for one.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Why the daemon did not serve, or stopped serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration contradicts what is stored. Nothing was changed, no port was bound.
    #[error("bad configuration: {0}")]
    BadConfig(#[source] OpenError),
    /// The store cannot be opened. No port was bound.
    #[error("the store cannot be opened: {0}")]
    Open(#[source] OpenError),
    /// The port cannot be bound.
    #[error("listen: {address} cannot be bound: {source}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// A task of the daemon panicked.
    #[error("a task of the store panicked")]
    Panicked,
    /// The disk failed while the store was serving.
    #[error("{0}")]
    Disk(String),
    /// The database could not be closed. Everything that was answered is durable.
    #[error("the database could not be closed: {0}")]
    Close(#[source] StorageFault),
}

impl ServeError {
    /// Whether only another configuration helps.
    pub fn is_bad_config(&self) -> bool {
        match self {
            Self::BadConfig(_) => true,
            Self::Open(_)
            | Self::Bind { .. }
            | Self::Server(_)
            | Self::Panicked
            | Self::Disk(_)
            | Self::Close(_) => false,
        }
    }
}

impl From<OpenError> for ServeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::WrongCluster { .. } => Self::BadConfig(error),
            error => Self::Open(error),
        }
    }
}

/// Runs a store until `shutdown` completes or its disk fails. Prints nothing; logs one line
/// `listening` with the address once clients can connect.
///
/// When it stops it takes no new calls, answers what it took, closes the database and returns.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    Server::bind(config).await?.run(shutdown).await
}

/// [`serve()`], for connections that the caller brings. The address of the configuration is not bound.
///
/// # Errors
/// [`ServeError`].
pub async fn serve_on(
    config: Config,
    execution: Execution,
    connections: impl Incoming,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (engine, keeper) = open(config, execution).await?;
    let served = serve_engine(&engine, connections, shutdown).await;
    close(&engine, keeper, served).await
}

/// A store that is open and whose port is bound: clients can connect, and are answered once it runs.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    keeper: Keeper,
    address: SocketAddr,
    incoming: TcpIncoming,
}

impl Server {
    /// Opens the store, then binds the port.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(config: Config) -> Result<Self, ServeError> {
        let listen = config.listen;
        let (engine, keeper) = open(config, Execution::Threads).await?;
        match listen_on(listen).await {
            Ok((address, incoming)) => Ok(Self { engine, keeper, address, incoming }),
            Err(source) => {
                keeper.stop().await.map_err(ServeError::Close)?;
                Err(ServeError::Bind { address: listen, source })
            }
        }
    }

    /// Where clients connect; the port that was taken, where the configuration asked for any.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// See [`serve`].
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let Self { engine, keeper, address, incoming } = self;
        info!(%address, "listening");
        let served = serve_engine(&engine, incoming, shutdown).await;
        close(&engine, keeper, served).await?;
        info!("stopped");
        Ok(())
    }
}

async fn open(config: Config, execution: Execution) -> Result<(Engine, Keeper), ServeError> {
    let opened = execution.run(move || Engine::open(&config, execution)).await;
    Ok(opened.map_err(|_| ServeError::Panicked)??)
}

async fn listen_on(listen: SocketAddr) -> io::Result<(SocketAddr, TcpIncoming)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    Ok((address, TcpIncoming::from(listener).with_nodelay(Some(true))))
}

async fn serve_engine(
    engine: &Engine,
    connections: impl Incoming,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (stop, stopping) = watch::channel(false);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<StoreServiceServer<Service>>().await;
    let service = StoreServiceServer::new(Service::new(engine.clone(), stopping.clone()))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION_MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(health_service)
        .add_service(
            reflection().build_v1().expect("the descriptors were compiled into this program"),
        )
        .add_service(
            reflection().build_v1alpha().expect("the descriptors were compiled into this program"),
        )
        .add_service(service);
    let mut drained = stopping;
    let connections = incoming(connections, CONNECTIONS_MAX);
    let server = router.serve_with_incoming_shutdown(connections, async move {
        let _server_gone = drained.wait_for(|stopping| *stopping).await;
    });
    let mut server = std::pin::pin!(server);
    tokio::select! {
        served = &mut server => return Ok(served?),
        () = shutdown => info!("stopping: answering what is under way"),
        why = engine.failed() => warn!(why, "stopping: the disk failed"),
    }
    announce_stop(&health, &stop).await;
    match tokio::time::timeout(DRAIN_MAX, server).await {
        Ok(served) => Ok(served?),
        Err(_) => {
            warn!(after = ?DRAIN_MAX, "calls are still open: dropping them");
            Ok(())
        }
    }
}

async fn announce_stop(health: &HealthReporter, stop: &watch::Sender<bool>) {
    health.set_not_serving::<StoreServiceServer<Service>>().await;
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    stop.send_replace(true);
}

/// Closes the store, and says what was first to go wrong.
async fn close(
    engine: &Engine,
    keeper: Keeper,
    served: Result<(), ServeError>,
) -> Result<(), ServeError> {
    let failed_before = engine.fault();
    let closed = keeper.stop().await;
    if let Some(fault) = failed_before {
        return Err(ServeError::Disk(fault.to_string()));
    }
    served?;
    closed.map_err(ServeError::Close)
}

/// Built once for each of the two versions of the reflection protocol: some clients speak only the
/// older one.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("leasehold.store.v1.StoreService")
        .with_service_name("grpc.health.v1.Health")
}
