//! What one lease node says of itself: asked directly, once, and believed only as a hint.

use std::time::Duration;

use leasehold_api::pb::lease::v1::StatusRequest;
use leasehold_api::pb::lease::v1::cluster_service_client::ClusterServiceClient;
use leasehold_api::pb::lease::v1::{NodeRole, StatusResponse};
use serde::Serialize;
use tonic::Code;
use tonic::transport::Endpoint;

/// A node as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NodeReport {
    /// The cluster's id.
    pub(crate) cluster_id: String,
    /// The node.
    pub(crate) node_id: u64,
    /// leader, follower, candidate, learner or stopping.
    pub(crate) role: &'static str,
    /// The Raft term.
    pub(crate) term: u64,
    /// Who leads, as far as this node knows.
    pub(crate) leader_id: Option<u64>,
    /// Index of the last entry applied.
    pub(crate) applied_index: u64,
    /// The state's revision.
    pub(crate) revision: u64,
    /// Live claims, waiting and held.
    pub(crate) claims: u64,
    /// The largest token known to be issued.
    pub(crate) last_token: u64,
    /// How often the node was started.
    pub(crate) incarnation: u64,
    /// How many members its cluster has.
    pub(crate) members: usize,
    /// The version of its program.
    pub(crate) version: String,
}

impl From<StatusResponse> for NodeReport {
    fn from(said: StatusResponse) -> Self {
        let role = match said.role() {
            NodeRole::Leader => "leader",
            NodeRole::Follower => "follower",
            NodeRole::Candidate => "candidate",
            NodeRole::Learner => "learner",
            NodeRole::Stopping => "stopping",
            NodeRole::Unspecified => "unknown",
        };
        Self {
            role,
            leader_id: (said.leader_id != 0).then_some(said.leader_id),
            cluster_id: said.cluster_id,
            node_id: said.node_id,
            term: said.term,
            applied_index: said.applied_index,
            revision: said.revision,
            claims: said.claims,
            last_token: said.last_token,
            incarnation: said.incarnation,
            members: said.members.len(),
            version: said.version,
        }
    }
}

/// Asks the node at `address`, `host:port` with or without `http://`.
///
/// # Errors
/// Why it did not answer, for people.
pub(crate) async fn ask(address: &str, patience: Duration) -> Result<NodeReport, String> {
    let bare = address.strip_prefix("http://").unwrap_or(address);
    let endpoint = Endpoint::from_shared(format!("http://{bare}"));
    let endpoint = endpoint.map_err(|error| error.to_string())?.connect_timeout(patience);
    let asked = async {
        let channel = endpoint.connect().await.map_err(|_| "no connection".to_owned())?;
        let answer = ClusterServiceClient::new(channel).status(StatusRequest {}).await;
        answer.map(|said| said.into_inner().into()).map_err(|status| match status.code() {
            Code::Unimplemented => "not a lease node".to_owned(),
            _ => status.message().to_owned(),
        })
    };
    let timed = tokio::time::timeout(patience, asked).await;
    timed.unwrap_or_else(|_| Err("no answer".to_owned()))
}

/// Asks all of them at once.
pub(crate) async fn ask_all(
    addresses: &[String],
    patience: Duration,
) -> Vec<Result<NodeReport, String>> {
    futures_util::future::join_all(addresses.iter().map(|address| ask(address, patience))).await
}
