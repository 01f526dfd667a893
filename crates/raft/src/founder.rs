//! Founding a cluster: once, by the member with the smallest id, with every member present.
//!
//! The first entry of the log lists every member's disk, so that a node which forgot is never taken for
//! one that knows. That takes all members: a cluster founded by a majority could not tell the missing
//! one from whatever turns up under its id later. And a member that knows of a cluster refuses: a
//! founder that was wiped, or any number of wiped members, never found one again over the heads of
//! those that remember. There is no way around this in here; it is an operator who gives up a cluster,
//! by emptying every disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use leasehold_disk::DiskId;
use openraft::errors::{InitializeError, RaftError};
use openraft::{Instant, Raft};
use openraft_rt::AsyncRuntime;

use crate::peers::Peers;
use crate::roster::Roster;
use crate::state_machine::StateMachine;
use crate::transport::PeerFault;
use crate::type_config::{Listed, Types};
use crate::watched::Watched;
use crate::{Member, Timing};

/// How often an unchanged reason to wait is told again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Founds the cluster; runs on the member with the smallest id until there is one.
pub(crate) struct Founder<RT: AsyncRuntime> {
    pub(crate) raft: Raft<Types<RT>, StateMachine<RT>>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) roster: Roster,
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) node_id: u64,
    pub(crate) disk_id: DiskId,
    pub(crate) timing: Timing,
    pub(crate) stop: Watched<RT, bool>,
}

/// The members that cannot be founded with, and why.
type Missing = BTreeMap<u64, PeerFault>;

impl<RT: AsyncRuntime> Founder<RT> {
    /// Runs until this node belongs to a cluster, of its founding or another's, or stops.
    pub(crate) async fn run(mut self) {
        let mut pause = self.timing.heartbeat;
        let mut told: Option<(Vec<u64>, RT::Instant)> = None;
        while self.roster.disks().is_none() {
            match self.introductions().await {
                Ok(disks) => return self.found(&disks).await,
                Err(missing) => {
                    let waits_for: Vec<u64> = missing.keys().copied().collect();
                    let old = told.as_ref().is_some_and(|(known, at)| {
                        *known == waits_for && at.elapsed() < TELL_AGAIN
                    });
                    if !old {
                        tell(&missing);
                        told = Some((waits_for, RT::Instant::now()));
                    }
                }
            }
            let stopped = async { drop(self.stop.wait_for(|stop| *stop).await) };
            tokio::select! {
                biased;
                () = stopped => return,
                () = RT::sleep(pause) => {}
            }
            pause = (pause * 2).min(self.timing.election_max);
        }
    }

    /// Every member's disk, when all of them are up and belong to no cluster.
    async fn introductions(&self) -> Result<BTreeMap<u64, DiskId>, Missing> {
        let others = self.members.values().filter(|member| member.node_id != self.node_id);
        let answers = others.map(|member| async {
            (member.node_id, self.peers.introduce(member, self.timing.connect).await)
        });
        let mut disks = BTreeMap::from([(self.node_id, self.disk_id)]);
        let mut missing = Missing::new();
        for (node_id, answer) in future::join_all(answers).await {
            match answer {
                Ok(disk_id) => drop(disks.insert(node_id, disk_id)),
                Err(fault) => drop(missing.insert(node_id, fault)),
            }
        }
        if missing.is_empty() { Ok(disks) } else { Err(missing) }
    }

    async fn found(&self, disks: &BTreeMap<u64, DiskId>) {
        let listed =
            |(id, member): (&u64, &Member)| Some((*id, Listed::new(member, *disks.get(id)?)));
        let members: BTreeMap<u64, Listed> = self.members.iter().filter_map(listed).collect();
        match self.raft.initialize(members).await {
            Ok(()) => tracing::info!(members = disks.len(), "this node founds the cluster"),
            // It may stop at any time, and says so by itself.
            Err(RaftError::Fatal(_)) => {}
            Err(RaftError::APIError(
                error @ (InitializeError::NotAllowed(_) | InitializeError::NotInMembers(_)),
            )) => {
                tracing::error!(%error, "this node cannot found the cluster: it took part in one before");
            }
        }
    }
}

fn tell(missing: &Missing) {
    let (absent, refusing): (Vec<_>, Vec<_>) = missing.iter().partition(|(_, fault)| {
        matches!(fault, PeerFault::NotDelivered { .. } | PeerFault::NoAnswer { .. })
    });
    if !absent.is_empty() {
        let absent: Vec<u64> = absent.into_iter().map(|(id, _)| *id).collect();
        tracing::info!(
            members = ?absent,
            "waits for members to be up: a cluster is founded once, with every member present"
        );
    }
    for (member, fault) in refusing {
        tracing::warn!(member, %fault, "a member will not be founded with");
    }
}
