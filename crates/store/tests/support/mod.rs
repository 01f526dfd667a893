//! A running store and the words to speak to it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::time::Duration;

use leasehold_api::pb::store::v1 as pb;
use leasehold_api::pb::store::v1::mutation::Operation;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use leasehold_api::{CONNECTION_WINDOW_BYTES, Failure, STREAM_WINDOW_BYTES};
use leasehold_store::{Config, ServeError, Server};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Far longer than anything here takes.
pub const BOUND: Duration = Duration::from_secs(30);

pub type Client = StoreServiceClient<Channel>;

/// A running store, and the directory it leaves behind.
pub struct Store {
    pub client: Client,
    pub address: String,
    pub stop: oneshot::Sender<()>,
    pub served: JoinHandle<Result<(), ServeError>>,
}

pub fn config(dir: &tempfile::TempDir) -> Config {
    let listen = "127.0.0.1:0".parse().expect("an address");
    Config { data_dir: dir.path().join("store"), listen, ..Config::default() }
}

pub fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

pub async fn start(config: Config) -> Store {
    let server = Server::bind(config).await.expect("starts");
    let address = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.run(async move {
        let _told_or_dropped = stopped.await;
    }));
    let endpoint = Endpoint::from_shared(address.clone())
        .expect("an address")
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let client = Client::new(endpoint.connect().await.expect("connects"));
    Store { client, address, stop, served }
}

impl Store {
    pub async fn stop(self) -> Result<(), ServeError> {
        let Self { client, stop, served, .. } = self;
        drop(client);
        stop.send(()).expect("it runs");
        timeout(BOUND, served).await.expect("stops in time").expect("does not panic")
    }
}

pub fn put(key: &str, value: impl Into<Vec<u8>>) -> pb::Mutation {
    let put = pb::Put { key: key.to_owned(), value: value.into().into() };
    pb::Mutation { operation: Some(Operation::Put(put)), expected_version: None }
}

pub fn append(key: &str, value: &str) -> pb::Mutation {
    let append = pb::Append { key: key.to_owned(), value: value.to_owned().into() };
    pb::Mutation { operation: Some(Operation::Append(append)), expected_version: None }
}

pub fn delete(key: &str) -> pb::Mutation {
    let delete = pb::Delete { key: key.to_owned() };
    pb::Mutation { operation: Some(Operation::Delete(delete)), expected_version: None }
}

pub fn write<const N: usize>(
    resource: &str,
    token: u64,
    sequence: u64,
    mutations: [pb::Mutation; N],
) -> pb::WriteRequest {
    let (resource, cluster_id) = (resource.to_owned(), String::new());
    pb::WriteRequest { resource, token, sequence, mutations: mutations.into(), cluster_id }
}

pub fn get(resource: &str, key: &str) -> pb::GetRequest {
    let (resource, key) = (resource.to_owned(), key.to_owned());
    pb::GetRequest { resource, key, ..pb::GetRequest::default() }
}

pub fn list(resource: &str) -> pb::ListRequest {
    pb::ListRequest { resource: resource.to_owned(), ..pb::ListRequest::default() }
}

pub fn failure(status: &Status) -> Failure {
    Failure::from_status(status).unwrap_or_else(|| panic!("no details: {status:?}"))
}

pub fn assert_refused(status: &Status, code: Code, reason: &str) {
    let failure = failure(status);
    assert_eq!((failure.code, failure.reason.as_str()), (code, reason), "{failure:?}");
}
