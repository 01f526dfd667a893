//! Calls as anybody makes them who has only the proto files.

use std::time::Duration;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{Problem, duration_from_std};
use leasehold_types::Fault;
use tonic::Status;

pub(crate) const TTL: Duration = Duration::from_secs(3);

/// A request for `resource` under an id of its own.
pub(crate) fn acquire(resource: &str, id: u128, wait: Duration) -> pb::AcquireRequest {
    pb::AcquireRequest {
        resource: resource.to_owned(),
        holder: "plain".to_owned(),
        request_id: id.to_be_bytes().to_vec().into(),
        ttl: Some(duration_from_std(TTL)),
        wait: Some(duration_from_std(wait)),
    }
}

/// The token of a lease that was granted.
pub(crate) fn token(answer: pb::AcquireResponse) -> u64 {
    answer.lease.expect("a lease").token
}

/// Why nobody knows whether it happened.
pub(crate) fn fault(status: &Status) -> Fault {
    match Problem::from(status) {
        Problem::Fault(fault) => fault,
        definite => panic!("a definite answer: {definite}"),
    }
}
