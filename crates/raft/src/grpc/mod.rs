//! Peers over gRPC: the two ends of [`crate::transport`] on the network.
//!
//! Each lane to each peer has one long-lived connection. Every call has a deadline of its own, every
//! message a bound. Who calls and who answers travels in metadata, so that it can be checked before
//! anything else is read.
//!
//! This is the one module that needs tokio's own timers; connections come from a
//! [`Connector`](leasehold_net::Connector) and from whoever serves [`peer_service`].

mod client;
mod server;

use bytes::Bytes;
use leasehold_api::pb::peer::v1 as pb;
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};

pub use client::transport;
pub use server::{GrpcPeers, peer_service};

use crate::transport::PeerFault;

/// Says who calls, and whom.
const CALL: &str = "leasehold-call-bin";
/// Says who answers.
const FACTS: &str = "leasehold-facts-bin";
/// On a failed call: which fault the peer's handler, and no gRPC library on the way, gave.
const FAULT: &str = "leasehold-peer-fault";

const NOT_BELIEVED: &str = "NOT_BELIEVED";
const MALFORMED: &str = "MALFORMED";
const STOPPING: &str = "STOPPING";

fn put(metadata: &mut MetadataMap, key: &'static str, message: &impl Message) {
    metadata.insert_bin(key, MetadataValue::from_bytes(&leasehold_api::seal(message)));
}

fn get<M: Message + Default>(metadata: &MetadataMap, key: &'static str) -> Result<M, PeerFault> {
    let malformed = |what: &str| PeerFault::Malformed { why: format!("metadata {key} {what}") };
    let value = metadata.get_bin(key).ok_or_else(|| malformed("is missing"))?;
    let bytes: Bytes = value.to_bytes().map_err(|_| malformed("is not base64"))?;
    leasehold_api::unseal(bytes).ok_or_else(|| malformed("is not what its checksum says"))
}

fn facts(metadata: &MetadataMap) -> Result<pb::Facts, PeerFault> {
    get(metadata, FACTS)
}
