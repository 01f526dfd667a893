//! A lease server and a store on loopback, a client between them that does what clients do, and a proxy
//! before each that writes down every message. What the client saw is a history as well.

use std::error::Error;
use std::time::Duration;

use futures_util::{Stream, StreamExt, future};
use leasehold_api::pb::lease::v1 as lease;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_api::pb::lease::v1::lease_service_server::{LeaseService, LeaseServiceServer};
use leasehold_api::pb::store::v1 as store;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use leasehold_api::pb::store::v1::store_service_server::{StoreService, StoreServiceServer};
use leasehold_client::{Client, ClientConfig, StoreClient};
use prost::Message;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::seeds::{Seeds, pieces};
use crate::texts::{server_config, store_config};

type Replies<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(crate) async fn record(seeds: &Seeds) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let ports = [port().await?, port().await?, port().await?];
    let config = server_config(directory.path(), ports[0], ports[1]);
    let lease_server =
        leasehold_server::serve(leasehold_server::Config::parse(&config)?, pending());
    let server = tokio::spawn(lease_server);
    let config = store_config(directory.path(), ports[2]);
    let storing = leasehold_store::serve(leasehold_store::fuzz::parse_config(&config)?, pending());
    let storage = tokio::spawn(storing);

    let (lease_proxy, store_proxy) = (bind().await?, bind().await?);
    let (lease_port, store_port) =
        (lease_proxy.local_addr()?.port(), store_proxy.local_addr()?.port());
    let channel = |port| {
        Endpoint::from_shared(format!("http://127.0.0.1:{port}")).map(|to| to.connect_lazy())
    };
    let before_lease =
        LeaseProxy { seeds: seeds.clone(), to: LeaseServiceClient::new(channel(ports[0])?) };
    let before_store =
        StoreProxy { seeds: seeds.clone(), to: StoreServiceClient::new(channel(ports[2])?) };
    let proxies = tokio::spawn(async move {
        let leases = Server::builder()
            .add_service(LeaseServiceServer::new(before_lease))
            .serve_with_incoming(TcpListenerStream::new(lease_proxy));
        let stores = Server::builder()
            .add_service(StoreServiceServer::new(before_store))
            .serve_with_incoming(TcpListenerStream::new(store_proxy));
        tokio::join!(leases, stores)
    });
    work(lease_port, store_port).await?;
    proxies.abort();
    server.abort();
    storage.abort();
    Ok(())
}

async fn pending() {
    std::future::pending().await
}

async fn bind() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}

/// A port that was free just now.
async fn port() -> std::io::Result<u16> {
    bind().await?.local_addr().map(|address| address.port())
}

async fn work(lease_port: u16, store_port: u16) -> Result<(), Box<dyn Error>> {
    let config = |holder: &str| ClientConfig {
        endpoints: vec![format!("127.0.0.1:{lease_port}")],
        holder: holder.to_owned(),
        ..ClientConfig::default()
    };
    let (ann, bob) = (Client::new(config("ann/1/nightly"))?, Client::new(config("bob/2/wéb"))?);
    let store = StoreClient::new(&format!("127.0.0.1:{store_port}"))?;
    let mut watch = ann.watch("jobs/", None).await?;
    let ttl = Duration::from_millis(1_500);
    for round in 0..3 {
        let held = ann.acquire("jobs/nightly").ttl(ttl).wait(Duration::from_secs(5)).await?;
        let refused = bob.acquire("jobs/nightly").ttl(ttl).await;
        assert!(refused.is_err(), "it is taken");
        let waited = bob.acquire("jobs/nightly").ttl(ttl).wait(Duration::from_millis(200)).await;
        assert!(waited.is_err(), "it is still taken");
        let fenced = store.fenced(&held);
        fenced.put("status", format!("round {round}")).await?;
        fenced.append("log", "begun; ").await?;
        fenced.get("status").await?;
        drop(bob.acquire("jobs/nightly").wait(Duration::from_secs(9)).into_future());
        // Long enough for some renewals.
        sleep(Duration::from_millis(1_200)).await;
        fenced.append("log", "done; ").await?;
        fenced.delete("status").await?;
        let token = held.token();
        held.release().await?;
        ann.renew(&[token], &[]).await?;
        store.write_with("jobs/nightly", token, 0, Vec::new()).await?;
        store.list("jobs/nightly", "", None).await?;
        store.get("jobs/nightly", "log", Some(token)).await?;
        ann.get("jobs/nightly").await?;
        bob.list("jobs/").await?;
        let _ = tokio::time::timeout(Duration::from_millis(200), watch.next()).await;
    }
    Ok(())
}

struct LeaseProxy {
    seeds: Seeds,
    to: LeaseServiceClient<Channel>,
}

impl LeaseProxy {
    /// Kinds of messages, as the target `lease_requests` tells them apart.
    fn note<M: Message>(&self, kind: u8, request: &Request<M>) {
        self.seeds.message("lease_requests", kind, request.get_ref());
    }
}

#[tonic::async_trait]
impl LeaseService for LeaseProxy {
    type WatchStream = Replies<lease::WatchResponse>;
    type SessionStream = Replies<lease::SessionResponse>;

    async fn acquire(
        &self,
        request: Request<lease::AcquireRequest>,
    ) -> Result<Response<lease::AcquireResponse>, Status> {
        self.note(0, &request);
        self.to.clone().acquire(request).await
    }

    async fn renew(
        &self,
        request: Request<lease::RenewRequest>,
    ) -> Result<Response<lease::RenewResponse>, Status> {
        self.note(1, &request);
        self.to.clone().renew(request).await
    }

    async fn release(
        &self,
        request: Request<lease::ReleaseRequest>,
    ) -> Result<Response<lease::ReleaseResponse>, Status> {
        self.note(2, &request);
        self.to.clone().release(request).await
    }

    async fn cancel(
        &self,
        request: Request<lease::CancelRequest>,
    ) -> Result<Response<lease::CancelResponse>, Status> {
        self.note(3, &request);
        self.to.clone().cancel(request).await
    }

    async fn get(
        &self,
        request: Request<lease::GetRequest>,
    ) -> Result<Response<lease::GetResponse>, Status> {
        self.note(4, &request);
        self.to.clone().get(request).await
    }

    async fn list(
        &self,
        request: Request<lease::ListRequest>,
    ) -> Result<Response<lease::ListResponse>, Status> {
        self.note(5, &request);
        self.to.clone().list(request).await
    }

    async fn watch(
        &self,
        request: Request<lease::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.note(6, &request);
        let events = self.to.clone().watch(request).await?.into_inner();
        Ok(Response::new(events.boxed()))
    }

    async fn session(
        &self,
        request: Request<Streaming<lease::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (asked, answered) = (self.seeds.clone(), self.seeds.clone());
        let note = move |message: lease::SessionRequest| {
            note_command(&asked, &message);
            message
        };
        let requests =
            request.into_inner().filter_map(|message| future::ready(message.ok())).map(note);
        let replies = self.to.clone().session(requests).await?.into_inner();
        let note = move |reply: &Result<lease::SessionResponse, Status>| {
            if let Ok(reply) = reply {
                answered.message("session", 1, reply);
            }
        };
        Ok(Response::new(replies.inspect(note).boxed()))
    }
}

/// A command of a session is also what the unary call takes.
fn note_command(seeds: &Seeds, message: &lease::SessionRequest) {
    use lease::session_request::Command;
    seeds.message("session", 0, message);
    match &message.command {
        Some(Command::Acquire(raw)) => seeds.message("lease_requests", 0, raw),
        Some(Command::Renew(raw)) => seeds.message("lease_requests", 1, raw),
        Some(Command::Release(raw)) => seeds.message("lease_requests", 2, raw),
        Some(Command::Cancel(raw)) => seeds.message("lease_requests", 3, raw),
        None => {}
    }
}

struct StoreProxy {
    seeds: Seeds,
    to: StoreServiceClient<Channel>,
}

impl StoreProxy {
    /// Kinds of messages, as the target `store_requests` tells them apart.
    fn note<M: Message>(&self, kind: u8, request: &Request<M>) {
        self.seeds.message("store_requests", kind, request.get_ref());
    }
}

#[tonic::async_trait]
impl StoreService for StoreProxy {
    type WriteStreamStream = Replies<store::WriteStreamResponse>;

    async fn write(
        &self,
        request: Request<store::WriteRequest>,
    ) -> Result<Response<store::WriteResponse>, Status> {
        self.note(0, &request);
        let write = request.get_ref().encode_to_vec();
        self.seeds.take("store_engine", 0, &pieces([&write[..], &write]));
        self.to.clone().write(request).await
    }

    async fn write_stream(
        &self,
        request: Request<Streaming<store::WriteStreamRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        let seeds = self.seeds.clone();
        let note = move |message: store::WriteStreamRequest| {
            seeds.message("store_requests", 3, &message);
            message
        };
        let requests =
            request.into_inner().filter_map(|message| future::ready(message.ok())).map(note);
        let replies = self.to.clone().write_stream(requests).await?.into_inner();
        Ok(Response::new(replies.boxed()))
    }

    async fn get(
        &self,
        request: Request<store::GetRequest>,
    ) -> Result<Response<store::GetResponse>, Status> {
        self.note(1, &request);
        self.to.clone().get(request).await
    }

    async fn list(
        &self,
        request: Request<store::ListRequest>,
    ) -> Result<Response<store::ListResponse>, Status> {
        self.note(2, &request);
        self.to.clone().list(request).await
    }

    async fn status(
        &self,
        request: Request<store::StatusRequest>,
    ) -> Result<Response<store::StatusResponse>, Status> {
        self.to.clone().status(request).await
    }
}
