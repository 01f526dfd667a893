//! Who is believed.
//!
//! A node that forgot must not vote, and must not count as a copy of the log. So every call and every
//! answer says which cluster, node, disk, incarnation and run it comes from, and whoever hears it
//! compares that with what is remembered, durably, of that node.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use leasehold_api::pb::peer::v1 as pb;
use leasehold_disk::{AdmitError, BootId, DiskId, Identity, PeerMemory};

use crate::transport::PeerFault;

/// Decides who is believed, and says who this node is.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    facts: pb::Facts,
    known: Mutex<Known>,
    /// Why nothing new can be remembered any more: from then on this node believes nobody new.
    storage_fault: OnceLock<String>,
}

#[derive(Debug)]
struct Known {
    memory: PeerMemory,
    /// What each peer said when it was last believed: the usual case is that it says the same again.
    believed: BTreeMap<u64, pb::Facts>,
}

impl Gatekeeper {
    pub(crate) fn new(identity: &Identity, boot_id: BootId, memory: PeerMemory) -> Self {
        let facts = pb::Facts {
            cluster_id: identity.cluster_id.clone(),
            node_id: identity.node_id,
            disk_id: Bytes::copy_from_slice(&identity.disk_id.0),
            incarnation: identity.incarnation,
            boot_id: Bytes::copy_from_slice(&boot_id.0),
        };
        let known = Mutex::new(Known { memory, believed: BTreeMap::new() });
        Self { facts, known, storage_fault: OnceLock::new() }
    }

    /// What the disk said when a peer could not be remembered. A node that remembers nobody is of no
    /// use and must stop.
    pub(crate) fn storage_fault(&self) -> Option<&str> {
        self.storage_fault.get().map(String::as_str)
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

    /// Checks whoever answered a call to `expected`.
    pub(crate) fn believe_answer(&self, expected: u64, by: &pb::Facts) -> Result<(), PeerFault> {
        if by.node_id != expected {
            let why = format!("node {expected} was called and node {} answered", by.node_id);
            return Err(PeerFault::NotBelieved { why });
        }
        self.believe(by)
    }

    fn believe(&self, facts: &pb::Facts) -> Result<(), PeerFault> {
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
        let disk_id = DiskId(sixteen("facts.disk_id", &facts.disk_id)?);
        let boot_id = BootId(sixteen("facts.boot_id", &facts.boot_id)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.believed.get(&facts.node_id) == Some(facts) {
            return Ok(());
        }
        // Once for each start of a peer this is durable before the answer: one small file.
        let admitted = known.memory.admit(facts.node_id, disk_id, facts.incarnation, boot_id);
        admitted.map_err(|error| {
            let why = crate::chain::one_line(&error);
            if matches!(error, AdmitError::Fault(_)) {
                self.storage_fault.get_or_init(|| why.clone());
            }
            PeerFault::NotBelieved { why }
        })?;
        known.believed.insert(facts.node_id, facts.clone());
        Ok(())
    }
}

fn sixteen(field: &'static str, bytes: &[u8]) -> Result<[u8; 16], PeerFault> {
    bytes.try_into().map_err(|_| malformed(field, &format!("{} bytes", bytes.len())))
}

fn malformed(field: &str, got: &str) -> PeerFault {
    PeerFault::Malformed { why: format!("{field}: {got}") }
}
