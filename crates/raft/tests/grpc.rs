//! The same nodes over gRPC on loopback.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leasehold_core::{Answer, Standing};
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, Identity};
use leasehold_net::TcpConnector;
use leasehold_raft::transport::{Lane, PeerFault};
use leasehold_raft::{Limits, Member, NodeConfig, Role, SnapshotPolicy, TokioNode, grpc, pb};
use support::{BOUND, Options, ask, config, grant, next_boot, until};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

struct Running {
    node: TokioNode,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

struct Loopback {
    members: BTreeMap<u64, Member>,
    disks: BTreeMap<u64, FakeDisk>,
    running: BTreeMap<u64, Running>,
    options: Options,
}

impl Loopback {
    async fn start(options: Options) -> Self {
        let mut listeners = BTreeMap::new();
        let mut members = BTreeMap::new();
        for node_id in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let peer_address = listener.local_addr().expect("bound").to_string();
            members.insert(
                node_id,
                Member { node_id, client_address: "client:1".to_owned(), peer_address },
            );
            listeners.insert(node_id, listener);
        }
        let disks = (1..=3).map(|id| (id, FakeDisk::new(id))).collect();
        let mut cluster = Self { members, disks, running: BTreeMap::new(), options };
        for (id, listener) in listeners {
            cluster.run(id, listener).await;
        }
        cluster
    }

    fn config(&self, id: u64) -> NodeConfig {
        NodeConfig { members: self.members.clone(), ..config(id, &self.options) }
    }

    async fn run(&mut self, id: u64, listener: TcpListener) {
        let config = self.config(id);
        let (disk, byte) = (&self.disks[&id], u8::try_from(id).expect("small"));
        let own = DiskId([byte; 16]);
        let identity = Identity::claim(&*disk.mount(), "test", id, own, next_boot());
        let identity = identity.expect("its own disk");
        let transport = grpc::transport(Arc::new(TcpConnector), &config.timing, &config.limits);
        let limits = config.limits.clone();
        let clock = self.options.clock.clone();
        let node = TokioNode::start(config, identity, disk.mount(), clock, transport).await;
        let node = node.expect("the node starts");
        let service = grpc::peer_service(node.peer_handler(), &limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::builder().add_service(service);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let served = tokio::spawn(
            server.serve_with_incoming_shutdown(incoming, async { drop(stopped.await) }),
        );
        self.running.insert(id, Running { node, stop, served });
    }

    async fn restart(&mut self, id: u64) {
        let listener = TcpListener::bind(&self.members[&id].peer_address)
            .await
            .expect("the port is free again");
        self.run(id, listener).await;
    }

    /// From one moment to the next it answers nothing.
    async fn kill(&mut self, id: u64) {
        let Running { node, stop, served } = self.running.remove(&id).expect("it runs");
        served.abort();
        drop((stop, served.await));
        self.disks[&id].kill_process();
        node.shutdown().await;
    }

    fn node(&self, id: u64) -> &TokioNode {
        &self.running[&id].node
    }

    async fn leader(&self) -> u64 {
        let some = *self.running.keys().next().expect("one runs");
        let leads = |role, serving| role == Role::Leader && serving;
        let status = until(self.node(some), "a leader", |status| {
            let leader =
                status.leader.as_ref().and_then(|leader| self.running.get(&leader.node_id));
            leader.is_some_and(|leader| {
                let status = leader.node.status();
                leads(status.role, status.serving)
            })
        })
        .await;
        status.leader.expect("waited for").node_id
    }

    async fn shutdown(mut self) {
        for (_, Running { node, stop, served }) in std::mem::take(&mut self.running) {
            node.shutdown().await;
            drop(stop);
            let ended = tokio::time::timeout(BOUND, served).await;
            assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn a_cluster_over_grpc_elects_commits_forwards_reads_and_fails_over() {
    let mut cluster = Loopback::start(Options::default()).await;
    let old = cluster.leader().await;
    let follower = (1..=3).find(|id| *id != old).expect("three nodes");
    let first = grant(cluster.node(follower), "by a follower", 60_000).await;
    cluster.node(follower).barrier().await.expect("a majority answers");
    let seen =
        cluster.node(follower).query(|state| state.get("by a follower")).await.expect("founded");
    assert_eq!(seen.map(|view| view.lease.standing), Some(Standing::Held { token: first }));
    cluster.kill(old).await;
    let second = grant(cluster.node(follower), "after", 60_000).await;
    assert!(second > first);
    cluster.restart(old).await;
    let third = grant(cluster.node(old), "by the old leader", 60_000).await;
    assert!(third > second);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_snapshot_of_many_chunks_arrives_over_grpc() {
    let snapshots = SnapshotPolicy { entries: 20, keep: 2, ..SnapshotPolicy::default() };
    let limits = Limits { snapshot_chunk_bytes: 1024, ..Limits::default() };
    let options = Options { snapshots, limits, ..Options::default() };
    let mut cluster = Loopback::start(options).await;
    let leader = cluster.leader().await;
    let behind = (1..=3).find(|id| *id != leader).expect("three nodes");
    cluster.kill(behind).await;
    for n in 0..100 {
        grant(cluster.node(leader), &format!("resource/{n:04}/{}", "x".repeat(80)), 600_000).await;
    }
    until(cluster.node(leader), "a snapshot", |status| status.snapshot_index > Some(60)).await;
    cluster.restart(behind).await;
    until(cluster.node(behind), "the state", |status| status.claims == 100).await;
    assert!(cluster.node(behind).status().snapshot_index > Some(40));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_peer_of_another_cluster_and_one_that_is_not_there_are_told_apart() {
    let cluster = Loopback::start(Options::default()).await;
    let config = cluster.config(1);
    let transport = grpc::transport(Arc::new(TcpConnector), &config.timing, &config.limits);
    let vote = |cluster_id: &str, to: u64| {
        let from = pb::Facts {
            cluster_id: cluster_id.to_owned(),
            ..cluster.node(2).peer_handler().facts()
        };
        let vote = pb::Vote { term: 99, node_id: 2, committed: false };
        let request =
            pb::VoteRequest { vote: Some(vote), last_log_id: None, leadership_transfer: false };
        let link = transport.link(&cluster.members[&1], Lane::Urgent);
        link.vote(pb::Call { from: Some(from), to_node_id: to }, request, Duration::from_secs(5))
    };
    let other = vote("another", 1).await.map(|answered| answered.reply);
    assert!(
        matches!(&other, Err(PeerFault::NotBelieved { why }) if why.contains("another")),
        "{other:?}"
    );
    let astray = vote("test", 3).await.map(|answered| answered.reply);
    assert!(matches!(&astray, Err(PeerFault::NotBelieved { .. })), "{astray:?}");

    let unused = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let peer_address = unused.local_addr().expect("bound").to_string();
    drop(unused);
    let nobody = Member { peer_address, ..cluster.members[&1].clone() };
    let call = pb::Call { from: Some(cluster.node(2).peer_handler().facts()), to_node_id: 1 };
    let link = transport.link(&nobody, Lane::Urgent);
    let answer = link.read_index(call, pb::ReadIndexRequest {}, Duration::from_secs(5)).await;
    assert!(matches!(answer, Err(PeerFault::NotDelivered { .. })), "{answer:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_repeated_request_after_a_failover_is_answered_as_it_stands() {
    let mut cluster = Loopback::start(Options::default()).await;
    let old = cluster.leader().await;
    let command = support::acquire("once", 60_000);
    let first = ask(cluster.node(old), command.clone()).await;
    cluster.kill(old).await;
    let other = *cluster.running.keys().next().expect("two run");
    let again = ask(cluster.node(other), command).await;
    assert_eq!(support::token(&again), support::token(&first));
    assert!(matches!(again.answer, Answer::Claim(_)));
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cluster_whose_nodes_moved_to_other_addresses_finds_itself_again() {
    let mut cluster = Loopback::start(Options::default()).await;
    let leader = cluster.leader().await;
    let before = grant(cluster.node(leader), "before", 60_000).await;
    let mut listeners = Vec::new();
    for id in 1..=3 {
        cluster.kill(id).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let moved = listener.local_addr().expect("bound").to_string();
        cluster.members.get_mut(&id).expect("a member").peer_address = moved;
        listeners.push((id, listener));
    }
    for (id, listener) in listeners {
        cluster.run(id, listener).await;
    }
    let after = grant(cluster.node(1), "after", 60_000).await;
    assert!(after > before);
    cluster.shutdown().await;
}
