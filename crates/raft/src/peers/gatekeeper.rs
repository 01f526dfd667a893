//! Who is believed.
//!
//! A node that forgot must not vote, and must not count as a copy of the log. So every call and every
//! answer says which cluster, node, disk, incarnation and run it comes from, and whoever hears it
//! compares that with
//!
//! * the disk that the cluster was founded with for that node ([`Roster`]): an emptied disk has
//!   another. Every node that may stand for election knows the list.
//! * what is remembered, durably, of that node ([`PeerMemory`]): an old copy of a disk has a smaller
//!   incarnation or, started often enough, another past. Leaders tell their followers of each other with their heartbeats, so that it takes
//!   no call between two nodes. A follower that was down for all of the time between a start and the
//!   loss of whoever knew of it stays ignorant; `PeerMemory` says why that is so.
//!
//! A node that belongs to no cluster yet has no list. It believes the disk it sees first; it cannot
//! stand for election, and those who can know its own disk from their list, so its votes count only if
//! it is the member that was founded with. And a node that finds another disk under its own id in the
//! list knows that it forgot, and believes nobody from then on: its log may be a part of what the
//! member it was had acknowledged.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use leasehold_api::pb::peer::v1 as pb;
use leasehold_disk::{AdmitError, Admitted, BootId, DiskId, Identity, Past, PeerMemory, Start};

use crate::roster::Roster;
use crate::transport::PeerFault;

/// Why a node is not what the list of members says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unlisted {
    /// The caller or the answering node.
    #[error(
        "node {node_id} came with disk {presented}, the cluster was founded with {listed}: it was wiped or its id was reused"
    )]
    OtherDisk { node_id: u64, presented: DiskId, listed: DiskId },
    /// It is on no list.
    #[error("node {node_id} is not a member")]
    NoMember { node_id: u64 },
    /// This node itself.
    #[error(
        "this is node {node_id} with disk {own}, the cluster was founded with {listed}: this node was wiped or its id was reused, and takes no part"
    )]
    Wiped { node_id: u64, own: DiskId, listed: DiskId },
}

/// Decides who is believed, and says who this node is.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    facts: pb::Facts,
    disk_id: DiskId,
    roster: Roster,
    known: Mutex<Known>,
    /// Why nothing new can be remembered any more: from then on this node believes nobody new.
    storage_fault: OnceLock<String>,
}

#[derive(Debug)]
struct Known {
    memory: PeerMemory,
    /// How often something was learned, plus one.
    edition: u64,
    /// What each peer said when it was last believed: the usual case is that it says the same again.
    believed: BTreeMap<u64, pb::Facts>,
}

impl Gatekeeper {
    pub(crate) fn new(identity: Identity, memory: PeerMemory, roster: Roster) -> Self {
        let Identity { cluster_id, node_id, start } = identity;
        let known = Mutex::new(Known { memory, edition: 1, believed: BTreeMap::new() });
        Self {
            facts: facts_of(&cluster_id, node_id, &start),
            disk_id: start.disk_id,
            roster,
            known,
            storage_fault: OnceLock::new(),
        }
    }

    /// What the disk said when a peer could not be remembered. A node that remembers nobody is of no
    /// use and must stop.
    pub(crate) fn storage_fault(&self) -> Option<&str> {
        self.storage_fault.get().map(String::as_str)
    }

    /// The members of the cluster this node belongs to, if it does.
    pub(crate) fn members(&self) -> Option<Vec<u64>> {
        self.roster.disks().map(|disks| disks.keys().copied().collect())
    }

    /// What this node says about itself.
    pub(crate) fn facts(&self) -> pb::Facts {
        self.facts.clone()
    }

    /// What a call to `node_id` carries.
    pub(crate) fn call_to(&self, node_id: u64) -> pb::Call {
        pb::Call { from: Some(self.facts()), to_node_id: node_id }
    }

    /// Checks whoever calls; returns its node id.
    pub(crate) fn believe_call(&self, call: &pb::Call) -> Result<u64, PeerFault> {
        let from = call.from.as_ref().ok_or_else(|| malformed("call.from", "nothing"))?;
        if call.to_node_id != self.facts.node_id {
            let why = format!(
                "the call is for node {}, this is node {}",
                call.to_node_id, self.facts.node_id
            );
            return Err(PeerFault::NotBelieved { why });
        }
        self.believe(from)?;
        Ok(from.node_id)
    }

    /// Checks whoever answered a call to `expected`; returns its disk.
    pub(crate) fn believe_answer(
        &self,
        expected: u64,
        by: &pb::Facts,
    ) -> Result<DiskId, PeerFault> {
        if by.node_id != expected {
            let why = format!("node {expected} was called and node {} answered", by.node_id);
            return Err(PeerFault::NotBelieved { why });
        }
        self.believe(by)
    }

    fn believe(&self, facts: &pb::Facts) -> Result<DiskId, PeerFault> {
        if facts.cluster_id != self.facts.cluster_id {
            let why = format!(
                "node {} belongs to cluster {:?}, this node to {:?}",
                facts.node_id, facts.cluster_id, self.facts.cluster_id
            );
            return Err(PeerFault::NotBelieved { why });
        }
        if facts.node_id == self.facts.node_id {
            let why = format!("there is another node {}", facts.node_id);
            return Err(PeerFault::NotBelieved { why });
        }
        let start = start_in(facts)?;
        let disk_id = start.disk_id;
        let listed = self.check_list(facts.node_id, disk_id);
        let listed = listed.map_err(|why| PeerFault::NotBelieved { why: why.to_string() })?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.believed.get(&facts.node_id) == Some(facts) {
            return Ok(disk_id);
        }
        if listed {
            known.memory.settle(facts.node_id, disk_id);
        }
        // Once for each start of a peer this is durable before the answer: one small file.
        let admitted = known.memory.admit(facts.node_id, start);
        let admitted = admitted.map_err(|error| {
            let why = crate::chain::one_line(&error);
            if matches!(error, AdmitError::Fault(_)) {
                self.storage_fault.get_or_init(|| why.clone());
            }
            PeerFault::NotBelieved { why }
        })?;
        known.edition += u64::from(admitted == Admitted::Remembered);
        known.believed.insert(facts.node_id, facts.clone());
        Ok(disk_id)
    }

    /// What `to` is to be told of the others, unless it was told this edition of it.
    pub(crate) fn news(&self, to: u64, told: u64) -> Option<(u64, Vec<pb::Facts>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let others = || known.memory.seen().filter(|(node_id, _)| *node_id != to);
        let facts = |(node_id, start)| facts_of(&self.facts.cluster_id, node_id, start);
        (known.edition != told).then(|| (known.edition, others().map(facts).collect()))
    }

    /// Remembers, durably, what a believed leader knows of the others. So an old copy of a disk is
    /// refused also by a node that never heard of the later start from that disk itself.
    pub(crate) fn hear(&self, told: &[pb::Facts]) -> Result<(), PeerFault> {
        for facts in told.iter().filter(|facts| facts.node_id != self.facts.node_id) {
            let start = start_in(facts)?;
            if self.check_list(facts.node_id, start.disk_id).is_err() {
                continue;
            }
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let heard = known.memory.hear(facts.node_id, start);
            let news = heard.map_err(|error| {
                let why = crate::chain::one_line(&error);
                self.storage_fault.get_or_init(|| why.clone());
                PeerFault::Stopping { why }
            })?;
            if news {
                known.edition += 1;
                known.believed.remove(&facts.node_id);
            }
        }
        Ok(())
    }

    /// Whether the list says this disk for this node; false where there is no list yet.
    fn check_list(&self, node_id: u64, presented: DiskId) -> Result<bool, Unlisted> {
        let Some(disks) = self.roster.disks() else {
            return Ok(false);
        };
        let (own_id, own) = (self.facts.node_id, self.disk_id);
        match (disks.get(&own_id), disks.get(&node_id)) {
            (None, _) => Err(Unlisted::NoMember { node_id: own_id }),
            (Some(listed), _) if *listed != own => {
                Err(Unlisted::Wiped { node_id: own_id, own, listed: *listed })
            }
            (_, None) => Err(Unlisted::NoMember { node_id }),
            (_, Some(listed)) if *listed != presented => {
                Err(Unlisted::OtherDisk { node_id, presented, listed: *listed })
            }
            (Some(_), Some(_)) => Ok(true),
        }
    }
}

fn facts_of(cluster_id: &str, node_id: u64, start: &Start) -> pb::Facts {
    pb::Facts {
        cluster_id: cluster_id.to_owned(),
        node_id,
        disk_id: Bytes::copy_from_slice(&start.disk_id.0),
        incarnation: start.incarnation,
        boot_id: Bytes::copy_from_slice(&start.boot_id.0),
        past: Bytes::copy_from_slice(start.past.bytes()),
    }
}

fn start_in(facts: &pb::Facts) -> Result<Start, PeerFault> {
    let (incarnation, past) = (facts.incarnation, &facts.past);
    let disk_id = DiskId(sixteen("facts.disk_id", &facts.disk_id)?);
    let boot_id = BootId(sixteen("facts.boot_id", &facts.boot_id)?);
    let past = Past::read(incarnation, past).ok_or_else(|| {
        malformed("facts.past", &format!("{} bytes before incarnation {incarnation}", past.len()))
    })?;
    Ok(Start { disk_id, incarnation, boot_id, past })
}

fn sixteen(field: &'static str, bytes: &[u8]) -> Result<[u8; 16], PeerFault> {
    bytes.try_into().map_err(|_| malformed(field, &format!("{} bytes", bytes.len())))
}

fn malformed(field: &str, got: &str) -> PeerFault {
    PeerFault::Malformed { why: format!("{field}: {got}") }
}
