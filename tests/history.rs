//! The recording of the other tests, tested: with servers that lie, the history is what turns red.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::history::{History, LeaseClient, StoreClient};
use harness::wire::{acquire, acquire_waiting, channel, read, write};
use harness::{Cluster, PATIENCE};
use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::lease_service_server::{LeaseService, LeaseServiceServer};
use leasehold_api::pb::store::v1 as store;
use leasehold_api::pb::store::v1::store_service_server::{StoreService, StoreServiceServer};
use leasehold_types::BadField;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

const TTL: Duration = Duration::from_secs(30);

/// What a server says next, whatever it is asked.
enum Says {
    Acquired(pb::AcquireResponse),
    Released(pb::ReleaseResponse),
    Got(pb::GetResponse),
    Written(store::WriteResponse),
    Read(store::GetResponse),
    No(Problem),
    Nothing,
}

/// A lease node and a store that say what they were told to say.
#[derive(Clone, Default)]
struct Puppet {
    lines: Arc<Mutex<VecDeque<Says>>>,
}

type Answer<T> = Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Puppet {
    async fn next(&self) -> Result<Says, Status> {
        let says = self.lines.lock().unwrap().pop_front();
        match says.expect("the script has an answer for each call") {
            Says::No(problem) => Err(problem.into()),
            Says::Nothing => std::future::pending().await,
            says => Ok(says),
        }
    }
}

#[tonic::async_trait]
impl LeaseService for Puppet {
    type WatchStream = Messages<pb::WatchResponse>;
    type SessionStream = Messages<pb::SessionResponse>;

    async fn acquire(&self, _: Request<pb::AcquireRequest>) -> Answer<pb::AcquireResponse> {
        let Says::Acquired(answer) = self.next().await? else { panic!("not in the script") };
        Ok(Response::new(answer))
    }

    async fn release(&self, _: Request<pb::ReleaseRequest>) -> Answer<pb::ReleaseResponse> {
        let Says::Released(answer) = self.next().await? else { panic!("not in the script") };
        Ok(Response::new(answer))
    }

    async fn get(&self, _: Request<pb::GetRequest>) -> Answer<pb::GetResponse> {
        let Says::Got(answer) = self.next().await? else { panic!("not in the script") };
        Ok(Response::new(answer))
    }

    async fn renew(&self, _: Request<pb::RenewRequest>) -> Answer<pb::RenewResponse> {
        panic!("not in any script")
    }

    async fn cancel(&self, _: Request<pb::CancelRequest>) -> Answer<pb::CancelResponse> {
        panic!("not in any script")
    }

    async fn list(&self, _: Request<pb::ListRequest>) -> Answer<pb::ListResponse> {
        panic!("not in any script")
    }

    async fn watch(&self, _: Request<pb::WatchRequest>) -> Answer<Self::WatchStream> {
        panic!("not in any script")
    }

    async fn session(
        &self,
        _: Request<Streaming<pb::SessionRequest>>,
    ) -> Answer<Self::SessionStream> {
        panic!("not in any script")
    }
}

#[tonic::async_trait]
impl StoreService for Puppet {
    type WriteStreamStream = Messages<store::WriteStreamResponse>;

    async fn write(&self, _: Request<store::WriteRequest>) -> Answer<store::WriteResponse> {
        let Says::Written(answer) = self.next().await? else { panic!("not in the script") };
        Ok(Response::new(answer))
    }

    async fn get(&self, _: Request<store::GetRequest>) -> Answer<store::GetResponse> {
        let Says::Read(answer) = self.next().await? else { panic!("not in the script") };
        Ok(Response::new(answer))
    }

    async fn list(&self, _: Request<store::ListRequest>) -> Answer<store::ListResponse> {
        panic!("not in any script")
    }

    async fn status(&self, _: Request<store::StatusRequest>) -> Answer<store::StatusResponse> {
        panic!("not in any script")
    }

    async fn write_stream(
        &self,
        _: Request<Streaming<store::WriteStreamRequest>>,
    ) -> Answer<Self::WriteStreamStream> {
        panic!("not in any script")
    }
}

/// A history, and clients of a server that says these things one after the other.
struct Stage {
    history: Arc<History>,
    address: String,
    leases: LeaseClient,
    store: StoreClient,
}

impl Stage {
    async fn set(script: impl IntoIterator<Item = Says>) -> Self {
        let puppet = Puppet { lines: Arc::new(Mutex::new(script.into_iter().collect())) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tonic::transport::Server::builder()
            .add_service(LeaseServiceServer::new(puppet.clone()))
            .add_service(StoreServiceServer::new(puppet));
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(server.serve_with_incoming(incoming));
        let history = History::begin();
        let leases = LeaseClient::new(channel(&address), &history);
        let store = StoreClient::new(channel(&address), &history);
        Self { history, address, leases, store }
    }

    /// The history must be refused for this, and its file kept.
    fn must_turn_red(self, because: &str) {
        let broken = self.history.finish(true).expect_err("it is broken");
        assert!(broken.contains(because), "{broken}");
        assert!(broken.contains(&self.history.path().display().to_string()), "{broken}");
        std::fs::remove_file(self.history.path()).expect("a broken history stays");
    }
}

fn granted(request: &pb::AcquireRequest, token: u64, revision: u64) -> Says {
    let lease = pb::Lease {
        resource: request.resource.clone(),
        token,
        valid_for: request.ttl,
        ttl: request.ttl,
        ..pb::Lease::default()
    };
    Says::Acquired(pb::AcquireResponse { lease: Some(lease), revision, cluster_id: String::new() })
}

fn free(revision: u64) -> Says {
    let state = Some(pb::ResourceState::default());
    Says::Got(pb::GetResponse { state, revision })
}

fn written(token: u64, revision: u64) -> Says {
    let mark = Some(store::Mark { token, sequence: 1 });
    Says::Written(store::WriteResponse { mark, revision })
}

#[tokio::test]
async fn an_honest_history_passes_and_its_file_goes() {
    let request = acquire("r", "ann", TTL);
    let released = pb::ReleaseResponse { was_held: true, revision: 4 };
    let script = [granted(&request, 1, 2), Says::Released(released), free(5), written(1, 1)];
    let mut stage = Stage::set(script).await;
    stage.leases.acquire(request).await.unwrap();
    let release = pb::ReleaseRequest { resource: "r".into(), token: 1 };
    stage.leases.release(release).await.unwrap();
    stage.leases.get(pb::GetRequest { resource: "r".into() }).await.unwrap();
    stage.store.write(write("r", 1, 1, "k", "v")).await.unwrap();
    let checked = stage.history.finish(true).unwrap();
    let counts = checked.counts;
    assert_eq!((counts.calls, counts.grants, counts.releases, counts.writes), (4, 1, 1, 1));
    assert!(!stage.history.path().exists());
}

#[tokio::test]
async fn a_real_cluster_is_recorded_and_watched_from_its_first_grant_to_its_last() {
    let mut cluster = Cluster::start(3).await;
    let short = acquire("short", "ann", Duration::from_secs(1));
    cluster.acquire(short).await.unwrap();
    let queue = acquire_waiting("short", "bob", TTL, PATIENCE);
    let second = cluster.lease_client(1).acquire(queue).await.unwrap().into_inner();
    let leader = cluster.wait_for_leader().await;
    cluster.kill(leader);
    cluster.wait_for_leader().await;
    let third = cluster.acquire(acquire("other", "ann", TTL)).await.unwrap();
    let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    let held = cluster.acquire_through(&others, acquire("other", "bob", TTL)).await;
    held.unwrap_err();
    let mut client = cluster.lease_client(others[0]);
    let release = pb::ReleaseRequest { resource: "other".into(), token: third.token };
    client.release(release).await.unwrap();
    let request_id = second.lease.unwrap().request_id;
    client.cancel(pb::CancelRequest { request_id }).await.unwrap();
    let checked = cluster.finish();
    let counts = checked.counts;
    // Three grants, one wait, one end by time, one release, one cancel.
    assert_eq!((counts.grants, counts.waits, counts.expiries, counts.events), (3, 1, 1, 7));
    assert_eq!((counts.releases, counts.cancels), (1, 1));
    assert_eq!((checked.malformed, checked.nameless), (0, 0));
}

#[tokio::test]
async fn one_token_for_two_grants_turns_red() {
    let (one, other) = (acquire("a", "ann", TTL), acquire("b", "bob", TTL));
    let mut stage = Stage::set([granted(&one, 7, 1), granted(&other, 7, 2)]).await;
    stage.leases.acquire(one).await.unwrap();
    stage.leases.acquire(other).await.unwrap();
    stage.must_turn_red("S1 uniqueness");
}

#[tokio::test]
async fn a_stale_read_turns_red() {
    let request = acquire("r", "ann", TTL);
    let mut stage = Stage::set([granted(&request, 1, 2), free(1)]).await;
    stage.leases.acquire(request).await.unwrap();
    stage.leases.get(pb::GetRequest { resource: "r".into() }).await.unwrap();
    stage.must_turn_red("revision order");
}

#[tokio::test]
async fn a_stale_write_that_is_accepted_turns_red() {
    let mut stage = Stage::set([written(2, 1), written(1, 2)]).await;
    stage.store.write(write("r", 2, 1, "k", "new")).await.unwrap();
    stage.store.write(write("r", 1, 1, "k", "stale")).await.unwrap();
    stage.must_turn_red("S5 fenced store");
}

#[tokio::test]
async fn a_write_that_was_lost_turns_red() {
    let nothing = Says::Read(store::GetResponse::default());
    let mut stage = Stage::set([written(1, 1), nothing]).await;
    stage.store.write(write("r", 1, 1, "k", "v")).await.unwrap();
    stage.store.get(read("r", "k")).await.unwrap();
    stage.must_turn_red("S5 fenced store");
}

#[tokio::test]
async fn a_call_that_was_given_up_or_is_still_open_is_unknown() {
    let (one, other) = (acquire("a", "ann", TTL), acquire("b", "ann", TTL));
    let mut stage = Stage::set([Says::Nothing, Says::Nothing]).await;
    let call = tokio::time::timeout(Duration::from_millis(50), stage.leases.acquire(one));
    call.await.unwrap_err();
    let mut again = stage.leases.clone();
    let open = tokio::spawn(async move { again.acquire(other).await });
    while stage.history.asked() < 2 {
        tokio::task::yield_now().await;
    }
    let checked = stage.history.finish(true).unwrap();
    assert_eq!((checked.counts.calls, checked.counts.unknowns), (2, 2));
    open.abort();
}

#[tokio::test]
async fn a_call_past_the_recording_turns_red() {
    let request = acquire("r", "ann", TTL);
    let stage = Stage::set([granted(&request, 1, 2)]).await;
    let mut unrecorded = stage.history.generated_client(channel(&stage.address));
    unrecorded.acquire(request).await.unwrap();
    stage.must_turn_red("sent were");
}

#[tokio::test]
async fn what_a_line_cannot_say_is_counted_if_it_was_refused_and_turns_red_if_not() {
    let release = pb::ReleaseRequest { resource: "r".into(), token: 0 };
    let bad = BadField::new("token", "0", "1 or more");
    let mut stage = Stage::set([Says::No(bad.into())]).await;
    stage.leases.release(release.clone()).await.unwrap_err();
    let checked = stage.history.finish(true).unwrap();
    assert_eq!((checked.malformed, checked.counts.calls), (1, 0));

    let released = pb::ReleaseResponse { was_held: true, revision: 1 };
    let mut stage = Stage::set([Says::Released(released)]).await;
    stage.leases.release(release).await.unwrap();
    stage.must_turn_red("has no line");
}
