//! The wire: generated gRPC code, and the only conversions between it and checked types.
//!
//! This is the only crate that says `pb` with authority. Requests come in through `TryFrom`, which
//! checks every field once and names the one it refuses; past that line nothing is "maybe valid".
//! Answers go out through `From`. Everything that is not an answer is a [`Problem`], and one
//! exhaustive map ([`Problem::code`]) gives its gRPC status; [`Failure`] is its form on the wire, in
//! a status or inside a stream, and reads back into the same `Problem` at the other end.
//!
//! Deliberately absent: services, channels, retries.

mod claim;
mod duration;
mod failure;
mod lease;
mod problem;
mod sealed;
mod store;
mod window;

pub use claim::{
    answer_from_claim, answer_from_lease, claim_from_answer, event_to_wire, lease_from_answer,
};
pub use duration::{duration_from_ms, duration_from_std, std_from_duration};
pub use failure::{ERROR_DOMAIN, Failure};
pub use lease::{CheckedList, CheckedRelease, CheckedWatch, PREFIX_BYTES_MAX, RENEW_ITEMS_MAX};
pub use problem::Problem;
pub use sealed::{SealedCodec, Sealer, Unsealer, seal, unseal};
pub use store::{
    CLUSTER_ID_BYTES_MAX, CheckedMutation, CheckedStoreGet, CheckedStoreList, CheckedWrite,
    KEY_BYTES_MAX, MUTATIONS_MAX, MutationKind, PAGE_BYTES_MAX, VALUE_BYTES_MAX, WRITE_BYTES_MAX,
};
pub use window::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};

/// The generated code, one module for each proto package: `leasehold.lease.v1` and
/// `leasehold.store.v1` are public, `leasehold.peer.v1` is spoken only between nodes.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated; documented in the proto files"
)]
pub mod pb {
    pub mod lease {
        pub mod v1 {
            tonic::include_proto!("leasehold.lease.v1");
        }
    }
    pub mod store {
        pub mod v1 {
            tonic::include_proto!("leasehold.store.v1");
        }
    }
    pub mod peer {
        pub mod v1 {
            tonic::include_proto!("leasehold.peer.v1");
        }
    }
}

/// The descriptors of the two public packages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
