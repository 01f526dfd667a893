//! What a node is made of, put together.

use std::sync::Arc;

use leasehold_api::pb::lease::v1::cluster_service_server::ClusterServiceServer;
use leasehold_api::pb::lease::v1::lease_service_server::LeaseServiceServer;
use leasehold_api::{CONNECTION_WINDOW_BYTES, DESCRIPTORS, STREAM_WINDOW_BYTES};
use leasehold_disk::Identity;
use leasehold_net::Incoming;
use leasehold_raft::{AsyncRuntime, Node, NodeConfig, grpc};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tonic::transport::Server;

use crate::config::Config;
use crate::error::ServeError;
use crate::hub::{Feed, Hub};
use crate::leadership;
use crate::machine::Machine;
use crate::port::Port;
use crate::quota::Quota;
use crate::services::Services;
use crate::stopping::Stopping;
use crate::waiting::{self, WaitingRoom};

/// Three lanes from each member and back, and room for whoever else has found the port.
const PEER_CONNECTIONS_MAX: usize = 1_024;
/// Ours are a few hundred bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// The feed has room for a replay of this many batches; of a longer one the events at its end are kept.
const REPLAY_MAX: u64 = 1 << 16;

/// A node that takes part.
pub(crate) struct Started<RT: AsyncRuntime> {
    pub(crate) node: Node<RT>,
    pub(crate) incarnation: u64,
    /// Tells everything since the state that the node started from.
    pub(crate) feed: Feed,
}

/// Claims the disk for this start and takes part in the cluster.
pub(crate) async fn start_node<RT: AsyncRuntime>(
    config: &Config,
    machine: Machine,
) -> Result<Started<RT>, ServeError> {
    let Machine { disk, fresh_disk, boot, clock, connector, execution } = machine;
    let identity = Identity::claim(&*disk, &config.cluster_id, config.node_id, fresh_disk, boot)
        .map_err(|source| ServeError::Identity { path: config.data_dir.clone(), source })?;
    let incarnation = identity.start.incarnation;
    let timing = config.timing.of_raft();
    let limits = config.limits.of_raft();
    let transport = grpc::transport(connector, &timing, &limits);
    let node_config = NodeConfig {
        cluster_id: config.cluster_id.clone(),
        node_id: config.node_id,
        members: config.members.clone(),
        timing,
        limits,
        snapshots: config.snapshots.clone(),
        execution,
        settings: config.cluster.clone(),
    };
    let (feed, heard) = broadcast::channel(feed_room(config));
    let node = Node::start_telling(feed, node_config, identity, disk, clock, transport)
        .await
        .map_err(ServeError::Start)?;
    Ok(Started { node, incarnation, feed: Feed::new(heard) })
}

/// Nobody takes out what the log replays before all of it is in: by then, about as many entries as it
/// takes until the next snapshot.
fn feed_room(config: &Config) -> usize {
    let replayed = config.snapshots.entries.min(REPLAY_MAX) as usize;
    config.limits.of_raft().feed_lag_max + replayed
}

/// Answers peers.
pub(crate) fn serve_peers<RT: AsyncRuntime>(
    node: &Node<RT>,
    config: &Config,
    connections: impl Incoming,
) -> Port {
    let keepalive = Some(config.timing.of_raft().keepalive);
    let router = Server::builder()
        .http2_keepalive_interval(keepalive)
        .http2_keepalive_timeout(keepalive)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(grpc::peer_service(node.peer_handler(), &config.limits.of_raft()));
    Port::open("peers", router, connections, PEER_CONNECTIONS_MAX)
}

/// Answers clients: the two public services, health, and reflection. Also: the tasks they rely on.
pub(crate) fn serve_clients<RT: AsyncRuntime>(
    started: Started<RT>,
    config: &Config,
    stopping: &Stopping,
    connections: impl Incoming,
) -> (Port, JoinSet<()>) {
    let Started { node, incarnation, feed } = started;
    let (health, health_service) = tonic_health::server::health_reporter();
    let (hub, hub_task) = Hub::new(feed, config.limits.events_retained_max);
    let (waiting_room, waiting_task) = waiting_room(&node, config);
    let (leader_told, leader) = watch::channel(node.status().leader);
    let mut tasks = JoinSet::new();
    tasks.spawn(hub_task.run());
    tasks.spawn(waiting_task.run());
    tasks.spawn(leadership::follow(node.watch_status(), health, stopping.clone(), leader_told));
    let services = Services {
        node,
        hub,
        waiting_room,
        stopping: stopping.clone(),
        leader,
        sessions: Quota::new(config.limits.sessions_max),
        watches: Quota::new(config.limits.watches_max),
        limits: Arc::new(config.limits.clone()),
        watch_progress: config.timing.watch_progress,
        cluster_id: config.cluster_id.clone(),
        node_id: config.node_id,
        incarnation,
        request_memory_ms: config.cluster.ended_memory_ms,
    };
    let message_bytes_max = config.limits.message_bytes_max;
    let router = Server::builder()
        .max_concurrent_streams(config.limits.streams_per_connection_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(config.timing.client_keepalive))
        .http2_keepalive_timeout(Some(config.timing.client_keepalive_timeout))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .add_service(health_service)
        .add_service(
            reflection().build_v1().expect("the descriptors were compiled into this program"),
        )
        .add_service(
            reflection().build_v1alpha().expect("the descriptors were compiled into this program"),
        )
        .add_service(
            LeaseServiceServer::new(services.clone()).max_decoding_message_size(message_bytes_max),
        )
        .add_service(
            ClusterServiceServer::new(services).max_decoding_message_size(message_bytes_max),
        );
    (Port::open("clients", router, connections, config.limits.connections_max), tasks)
}

/// A claim that cannot be renewed for as long as any proposal may take is somebody else's to watch.
fn waiting_room<RT: AsyncRuntime>(
    node: &Node<RT>,
    config: &Config,
) -> (WaitingRoom, waiting::Task<RT>) {
    let patience = config.timing.of_raft().proposal_deadline;
    WaitingRoom::new(node.clone(), config.limits.waiting_calls_max, patience)
}

/// Built once for each of the two versions of the reflection protocol: some clients speak only the
/// older one.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
