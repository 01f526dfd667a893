//! What this node knows of itself and its cluster.

use leasehold_api::pb::lease::v1 as pb;
use leasehold_raft::{AsyncRuntime, Member, NodeStatus, Role};
use leasehold_types::FencingToken;
use tonic::{Request, Response, Status};

use super::Services;

#[tonic::async_trait]
impl<RT: AsyncRuntime> pb::cluster_service_server::ClusterService for Services<RT> {
    async fn status(
        &self,
        _request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let status = self.node.status();
        let role = match self.stopping.is_on() {
            true => pb::NodeRole::Stopping,
            false => role_to_wire(status.role),
        };
        Ok(Response::new(self.describe(status, role)))
    }
}

impl<RT: AsyncRuntime> Services<RT> {
    fn describe(&self, status: NodeStatus, role: pb::NodeRole) -> pb::StatusResponse {
        pb::StatusResponse {
            cluster_id: self.cluster_id.clone(),
            node_id: status.node_id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: role.into(),
            leader_id: status.leader.map_or(0, |leader| leader.node_id),
            term: status.term,
            last_log_index: status.last_log_index.unwrap_or(0),
            applied_index: status.applied_index.unwrap_or(0),
            snapshot_index: status.snapshot_index.unwrap_or(0),
            revision: status.revision.0,
            claims: status.claims,
            last_token: status.last_token.map_or(0, FencingToken::get),
            incarnation: self.incarnation,
            members: status.members.into_iter().map(member_to_wire).collect(),
        }
    }
}

fn member_to_wire(member: Member) -> pb::Member {
    let Member { node_id, client_address, peer_address } = member;
    pb::Member { node_id, client_address, peer_address }
}

fn role_to_wire(role: Role) -> pb::NodeRole {
    match role {
        Role::Leader => pb::NodeRole::Leader,
        Role::Follower => pb::NodeRole::Follower,
        Role::Candidate => pb::NodeRole::Candidate,
        Role::Learner => pb::NodeRole::Learner,
        Role::Stopped => pb::NodeRole::Stopping,
    }
}
