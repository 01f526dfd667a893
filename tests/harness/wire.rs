//! Messages of the public protocol, and what its answers say: what a stock client in another language has.

use std::time::Duration;

use leasehold_api::pb::lease::v1::cluster_service_client::ClusterServiceClient;
use leasehold_api::pb::lease::v1::{AcquireRequest, Lease, StatusRequest, StatusResponse};
use leasehold_api::pb::store::v1 as store;
use leasehold_api::pb::store::v1::store_service_client::StoreServiceClient;
use leasehold_api::{Failure, duration_from_std};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::history::LeaseClient;

pub fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address of ours")
        .connect_timeout(Duration::from_secs(2))
        .connect_lazy()
}

/// What a node says of itself; `None` when it does not answer soon.
pub async fn status(address: &str) -> Option<StatusResponse> {
    let mut client = ClusterServiceClient::new(channel(address));
    let call = client.status(StatusRequest {});
    let answer = tokio::time::timeout(Duration::from_secs(1), call).await.ok()?;
    Some(answer.ok()?.into_inner())
}

pub async fn store_status(address: &str) -> Option<store::StatusResponse> {
    let mut client = StoreServiceClient::new(channel(address));
    let call = client.status(store::StatusRequest {});
    let answer = tokio::time::timeout(Duration::from_secs(1), call).await.ok()?;
    Some(answer.ok()?.into_inner())
}

pub fn request_id() -> bytes::Bytes {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the system has randomness");
    id.to_vec().into()
}

/// An acquire with a new request id that does not wait.
pub fn acquire(resource: &str, holder: &str, ttl: Duration) -> AcquireRequest {
    AcquireRequest {
        resource: resource.into(),
        holder: holder.into(),
        request_id: request_id(),
        ttl: Some(duration_from_std(ttl)),
        wait: None,
    }
}

/// The same, waiting up to `wait`.
pub fn acquire_waiting(
    resource: &str,
    holder: &str,
    ttl: Duration,
    wait: Duration,
) -> AcquireRequest {
    AcquireRequest { wait: Some(duration_from_std(wait)), ..acquire(resource, holder, ttl) }
}

/// Sends one acquire, the same id again after every unknown outcome, to whichever node answers.
pub async fn acquire_anywhere(
    mut clients: Vec<LeaseClient>,
    request: AcquireRequest,
) -> Result<Lease, Status> {
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    let count = clients.len();
    for turn in 0.. {
        let call = clients[turn % count].acquire(request.clone());
        match tokio::time::timeout(Duration::from_secs(5), call).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner().lease.expect("OK means a lease")),
            Ok(Err(status)) if is_definite(&status) => return Err(status),
            Ok(Err(_)) | Err(_) => {}
        }
        assert!(tokio::time::Instant::now() < deadline, "nobody answered an acquire");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("a turn comes after every other")
}

fn is_definite(status: &Status) -> bool {
    Failure::from_status(status).is_some()
        && !matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal)
        && reason(status) != "QUEUE_FULL"
}

/// `ErrorInfo.reason`, empty when the status was not made by a Leasehold server.
pub fn reason(status: &Status) -> String {
    Failure::from_status(status).map(|failure| failure.reason).unwrap_or_default()
}

/// The field that a BAD_FIELD names.
pub fn bad_field(status: &Status) -> String {
    let failure = Failure::from_status(status).unwrap_or_else(|| panic!("not ours: {status:?}"));
    assert_eq!(
        (status.code(), failure.reason.as_str()),
        (Code::InvalidArgument, "BAD_FIELD"),
        "{status:?}"
    );
    assert!(status.message().contains(&failure.metadata["field"]), "{status:?}");
    failure.metadata["field"].clone()
}

pub fn write(
    resource: &str,
    token: u64,
    sequence: u64,
    key: &str,
    value: &str,
) -> store::WriteRequest {
    let put = store::Put { key: key.into(), value: value.as_bytes().to_vec().into() };
    let mutation = store::Mutation {
        operation: Some(store::mutation::Operation::Put(put)),
        expected_version: None,
    };
    store::WriteRequest {
        resource: resource.into(),
        token,
        sequence,
        mutations: vec![mutation],
        cluster_id: String::new(),
    }
}

pub fn read(resource: &str, key: &str) -> store::GetRequest {
    store::GetRequest { resource: resource.into(), key: key.into(), ..Default::default() }
}
