//! Peers over gRPC.

use std::sync::Arc;

use leasehold_api::pb::peer::v1::peer_service_server::PeerServiceServer;

use crate::transport::{PeerHandler, Transport};
use crate::{Limits, Timing};

/// The service to mount on the peer port; `handler` is [`crate::Node::peer_handler`].
pub fn peer_service(
    _handler: Arc<dyn PeerHandler>,
    _limits: &Limits,
) -> PeerServiceServer<GrpcPeers> {
    unimplemented!()
}

/// The far end of [`transport`].
#[derive(Debug)]
pub struct GrpcPeers {}

/// Links over gRPC: one long-lived connection for each peer and lane.
pub fn transport(_timing: &Timing, _limits: &Limits) -> Arc<dyn Transport> {
    unimplemented!()
}
