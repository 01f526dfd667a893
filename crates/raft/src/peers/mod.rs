//! The other nodes: who they are, how they are reached, what they ask.
//!
//! Reading order: [`gatekeeper`] decides who is believed, [`Peers`] calls out, [`network`] is what the
//! consensus library calls out with, [`handler`] answers calls.

mod commit_news;
mod gatekeeper;
mod handler;
mod network;
mod quorum_gate;
mod silence;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_api::pb::peer::v1 as pb;
use leasehold_disk::{DiskId, Reached};

pub(crate) use gatekeeper::Gatekeeper;
pub(crate) use handler::{Handler, fault_from_wire};

#[cfg(feature = "fuzz")]
pub(crate) mod fuzz {
    pub(crate) use super::handler::{fault_from_wire, fault_to_wire, gather};
}
pub(crate) use network::NetworkFactory;
pub(crate) use quorum_gate::QuorumGate;

use crate::Member;
use crate::transport::{Answer, Lane, PeerFault, PeerLink, Transport};

/// Calls to peers, every answer checked before it is believed.
#[derive(Debug)]
pub(crate) struct Peers {
    transport: Arc<dyn Transport>,
    gatekeeper: Arc<Gatekeeper>,
    links: Mutex<BTreeMap<(u64, Lane), Link>>,
}

struct Link {
    member: Member,
    link: Arc<dyn PeerLink>,
}

impl Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link to {}", self.member.peer_address)
    }
}

impl Peers {
    pub(crate) fn new(transport: Arc<dyn Transport>, gatekeeper: Arc<Gatekeeper>) -> Self {
        Self { transport, gatekeeper, links: Mutex::default() }
    }

    /// The one long-lived link of a lane; a new one when the member moved.
    fn link(&self, member: &Member, lane: Lane) -> Arc<dyn PeerLink> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        match links.get(&(member.node_id, lane)) {
            Some(known) if known.member == *member => known.link.clone(),
            _ => {
                let link = self.transport.link(member, lane);
                let entry = Link { member: member.clone(), link: link.clone() };
                links.insert((member.node_id, lane), entry);
                link
            }
        }
    }

    /// Makes one call and checks who answered.
    pub(crate) async fn call<T>(
        &self,
        member: &Member,
        lane: Lane,
        make: impl FnOnce(&dyn PeerLink, pb::Call) -> Answer<T>,
    ) -> Result<T, PeerFault> {
        let call = self.gatekeeper.call_to(member.node_id);
        let answered = make(&*self.link(member, lane), call).await?;
        self.believe(member, &answered.by)?;
        Ok(answered.reply)
    }

    /// Returns the disk of whoever answered.
    fn believe(&self, member: &Member, by: &pb::Facts) -> Result<DiskId, PeerFault> {
        let believed = self.gatekeeper.believe_answer(member.node_id, by);
        believed.map_err(|fault| PeerFault::AnswerNotBelieved { why: fault.to_string() })
    }

    /// Asks a member whether it belongs to no cluster yet; returns its disk if so.
    pub(crate) async fn introduce(
        &self,
        member: &Member,
        within: Duration,
    ) -> Result<DiskId, PeerFault> {
        let call = self.gatekeeper.call_to(member.node_id);
        let link = self.link(member, Lane::Urgent);
        let answered = link.introduce(call, pb::IntroduceRequest {}, within).await?;
        self.believe(member, &answered.by)
    }

    /// What a peer is to be told of the others; see [`Gatekeeper::news`].
    pub(crate) fn news(&self, to: u64, told: u64) -> Option<(u64, Vec<pb::Facts>)> {
        self.gatekeeper.news(to, told)
    }

    /// How far a peer is to be told that the others have come; see [`Gatekeeper::reach`].
    pub(crate) fn reach(&self, to: u64) -> Vec<pb::PeerReach> {
        self.gatekeeper.reach(to)
    }

    /// To be raised by what a believed peer says; see [`Gatekeeper::reached_by`].
    pub(crate) fn reached_by(&self, peer: u64) -> Reached {
        self.gatekeeper.reached_by(peer)
    }

    /// How far this node's own stream has come.
    pub(crate) fn own_reached(&self) -> u64 {
        self.gatekeeper.own_reached()
    }

    /// Passes client commands to the leader.
    pub(crate) async fn forward(
        &self,
        leader: &Member,
        request: pb::ForwardRequest,
        within: Duration,
    ) -> Result<pb::ForwardReply, PeerFault> {
        self.call(leader, Lane::Forward, |link, call| link.forward(call, request, within)).await
    }

    /// Asks the leader for a read point.
    pub(crate) async fn read_index(
        &self,
        leader: &Member,
        within: Duration,
    ) -> Result<pb::ReadIndexReply, PeerFault> {
        let request = pb::ReadIndexRequest {};
        self.call(leader, Lane::Urgent, |link, call| link.read_index(call, request, within)).await
    }
}
