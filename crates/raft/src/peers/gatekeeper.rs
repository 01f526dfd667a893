//! Who is believed.
//!
//! A node that forgot must not vote, and must not count as a copy of the log. So every call and every
//! answer says which cluster, node, disk, incarnation and run it comes from, and whoever hears it
//! compares that with
//!
//! * the disk that the cluster was founded with for that node ([`Roster`]): an emptied disk has
//!   another. Every node that may stand for election knows the list.
//! * what is remembered, durably, of that node ([`PeerMemory`]): an old copy of a disk has a smaller
//!   incarnation or, started often enough, another past; or, if it was made while the node ran, a
//!   shorter log. Leaders tell their followers of each other with their heartbeats, so that it takes
//!   no call between two nodes. A follower that was down for all of the time between a start and the
//!   loss of whoever knew of it stays ignorant; `PeerMemory` says why that is so.
//!
//! How far a node's log has come changes with every sync, so it is no part of what is compared. It goes
//! into a number for each peer that takes no lock, and is made durable when it has grown by
//! [`Limits::groups_unnoted_max`](crate::Limits::groups_unnoted_max).
//!
//! A node that belongs to no cluster yet has no list. It believes the disk it sees first; it cannot
//! stand for election, and those who can know its own disk from their list, so its votes count only if
//! it is the member that was founded with. And a node that finds another disk under its own id in the
//! list knows that it forgot, and believes nobody from then on: its log may be a part of what the
//! member it was had acknowledged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use leasehold_api::pb::peer::v1 as pb;
use leasehold_disk::{
    AdmitError, Admitted, BootId, DiskFault, DiskId, Identity, Past, PeerMemory, Reached, Start,
};

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
    /// Without how far this node has come, which changes.
    facts: pb::Facts,
    reached: Reached,
    disk_id: DiskId,
    roster: Roster,
    known: Mutex<Known>,
    note_every: u64,
    /// Why nothing new can be remembered any more: from then on this node believes nobody new.
    storage_fault: OnceLock<String>,
}

#[derive(Debug)]
struct Known {
    memory: PeerMemory,
    /// How often something was learned, plus one.
    edition: u64,
    /// What each peer said when it was last believed: the usual case is that it says the same again.
    believed: BTreeMap<u64, Believed>,
}

#[derive(Debug)]
struct Believed {
    facts: pb::Facts,
    reached: Reached,
}

impl Gatekeeper {
    pub(crate) fn new(
        identity: Identity,
        reached: Reached,
        memory: PeerMemory,
        roster: Roster,
        note_every: u64,
    ) -> Self {
        let Identity { cluster_id, node_id, start } = identity;
        let known = Mutex::new(Known { memory, edition: 1, believed: BTreeMap::new() });
        Self {
            facts: facts_of(&cluster_id, node_id, &start, 0),
            reached,
            disk_id: start.disk_id,
            roster,
            known,
            note_every,
            storage_fault: OnceLock::new(),
        }
    }

    /// What the disk said when a peer could not be remembered, or what it sent could not be sealed. A
    /// node that keeps nothing is of no use and must stop.
    pub(crate) fn storage_fault(&self) -> Option<&str> {
        self.storage_fault.get().map(String::as_str)
    }

    /// A peer was to be answered and the disk failed, unseen by the consensus library: the node stops.
    pub(crate) fn cannot_store(&self, why: &str) {
        self.storage_fault.get_or_init(|| why.to_owned());
    }

    /// The members of the cluster this node belongs to, if it does.
    pub(crate) fn members(&self) -> Option<Vec<u64>> {
        self.roster.disks().map(|disks| disks.keys().copied().collect())
    }

    /// What this node says about itself, after whatever it acknowledges with it.
    pub(crate) fn facts(&self) -> pb::Facts {
        pb::Facts { reached: self.own_reached(), ..self.facts.clone() }
    }

    /// How far this node's own stream has come.
    pub(crate) fn own_reached(&self) -> u64 {
        self.reached.get()
    }

    /// To be raised by what a believed peer says in the course of a call.
    pub(crate) fn reached_by(&self, peer: u64) -> Reached {
        let known = self.known();
        known.believed.get(&peer).map_or_else(Reached::default, |peer| peer.reached.clone())
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
        let disk_id = DiskId(sixteen("facts.disk_id", &facts.disk_id)?);
        let listed = self.check_list(facts.node_id, disk_id);
        let listed = listed.map_err(|why| PeerFault::NotBelieved { why: why.to_string() })?;
        let mut known = self.known();
        if let Some(believed) = known.believed.get(&facts.node_id)
            && same_start(&believed.facts, facts)
        {
            believed.reached.raise(facts.reached);
            self.note_if_due(&mut known, facts.node_id)?;
            return Ok(disk_id);
        }
        let start = start_in(facts)?;
        if listed {
            known.memory.settle(facts.node_id, disk_id);
        }
        // Once for each start of a peer this is durable before the answer: one small file.
        let admitted = known.memory.admit(facts.node_id, start);
        let admitted = admitted.map_err(|error| {
            let why = crate::chain::one_line(&error);
            if matches!(error, AdmitError::Fault(_)) {
                self.cannot_store(&why);
            }
            PeerFault::NotBelieved { why }
        })?;
        known.edition += u64::from(admitted == Admitted::Remembered);
        if let Some(reached) = known.memory.reached(facts.node_id).cloned() {
            reached.raise(facts.reached);
            known.believed.insert(facts.node_id, Believed { facts: facts.clone(), reached });
        }
        Ok(disk_id)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_if_due(&self, known: &mut Known, node_id: u64) -> Result<(), PeerFault> {
        match known.memory.is_due(node_id, self.note_every) {
            true => known.memory.note().map_err(|fault| self.forgets(&fault)),
            false => Ok(()),
        }
    }

    /// What a disk that remembers nothing more comes to.
    fn forgets(&self, fault: &DiskFault) -> PeerFault {
        let why = crate::chain::one_line(fault);
        self.cannot_store(&why);
        PeerFault::Stopping { why }
    }

    /// What `to` is to be told of the others, unless it was told this edition of it.
    pub(crate) fn news(&self, to: u64, told: u64) -> Option<(u64, Vec<pb::Facts>)> {
        let known = self.known();
        let others = || known.memory.seen().filter(|(node_id, _)| *node_id != to);
        let facts = |(node_id, start)| {
            let reached = known.memory.reached(node_id).map_or(0, Reached::get);
            facts_of(&self.facts.cluster_id, node_id, start, reached)
        };
        (known.edition != told).then(|| (known.edition, others().map(facts).collect()))
    }

    /// How far the others have come, as far as this node knows.
    pub(crate) fn reach(&self, to: u64) -> Vec<pb::PeerReach> {
        let known = self.known();
        let others = known.memory.seen().filter(|(node_id, _)| *node_id != to);
        let reach = others.map(|(node_id, start)| pb::PeerReach {
            node_id,
            boot_id: Bytes::copy_from_slice(&start.boot_id.0),
            reached: known.memory.reached(node_id).map_or(0, Reached::get),
        });
        reach.collect()
    }

    /// Remembers how far a believed leader knows the others to have come: of the very runs that this
    /// node knows, since a run it does not believe says nothing about the disk it knows.
    pub(crate) fn hear_reach(&self, told: &[pb::PeerReach]) -> Result<(), PeerFault> {
        let mut known = self.known();
        for pb::PeerReach { node_id, boot_id, reached } in told {
            let run = known.memory.seen().find(|(seen, _)| seen == node_id);
            if run.is_some_and(|(_, start)| start.boot_id.0[..] == boot_id[..])
                && let Some(known) = known.memory.reached(*node_id)
            {
                known.raise(*reached);
            }
            self.note_if_due(&mut known, *node_id)?;
        }
        Ok(())
    }

    /// Remembers, durably, what a believed leader knows of the others. So an old copy of a disk is
    /// refused also by a node that never heard of the later start from that disk itself.
    pub(crate) fn hear(&self, told: &[pb::Facts]) -> Result<(), PeerFault> {
        for facts in told.iter().filter(|facts| facts.node_id != self.facts.node_id) {
            let start = start_in(facts)?;
            if self.check_list(facts.node_id, start.disk_id).is_err() {
                continue;
            }
            let mut known = self.known();
            let heard = known.memory.hear(facts.node_id, start);
            if heard.map_err(|fault| self.forgets(&fault))? {
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

/// Whether both say the same but for how far they have come.
fn same_start(one: &pb::Facts, other: &pb::Facts) -> bool {
    let pb::Facts {
        cluster_id,
        node_id,
        disk_id,
        incarnation,
        boot_id,
        past,
        recovered,
        reached: _,
    } = one;
    (boot_id, node_id, incarnation, recovered)
        == (&other.boot_id, &other.node_id, &other.incarnation, &other.recovered)
        && (disk_id, cluster_id, past) == (&other.disk_id, &other.cluster_id, &other.past)
}

fn facts_of(cluster_id: &str, node_id: u64, start: &Start, reached: u64) -> pb::Facts {
    pb::Facts {
        cluster_id: cluster_id.to_owned(),
        node_id,
        disk_id: Bytes::copy_from_slice(&start.disk_id.0),
        incarnation: start.incarnation,
        boot_id: Bytes::copy_from_slice(&start.boot_id.0),
        past: Bytes::copy_from_slice(start.past.bytes()),
        recovered: start.recovered,
        reached,
    }
}

fn start_in(facts: &pb::Facts) -> Result<Start, PeerFault> {
    let (incarnation, past) = (facts.incarnation, &facts.past);
    let disk_id = DiskId(sixteen("facts.disk_id", &facts.disk_id)?);
    let boot_id = BootId(sixteen("facts.boot_id", &facts.boot_id)?);
    let past = Past::read(incarnation, past).ok_or_else(|| {
        malformed("facts.past", &format!("{} bytes before incarnation {incarnation}", past.len()))
    })?;
    let recovered = facts.recovered;
    if recovered > facts.reached || recovered == Start::UNOPENED {
        let got = format!("{recovered}, and {} reached", facts.reached);
        return Err(malformed("facts.recovered", &got));
    }
    Ok(Start { disk_id, incarnation, boot_id, recovered, past })
}

fn sixteen(field: &'static str, bytes: &[u8]) -> Result<[u8; 16], PeerFault> {
    bytes.try_into().map_err(|_| malformed(field, &format!("{} bytes", bytes.len())))
}

fn malformed(field: &str, got: &str) -> PeerFault {
    PeerFault::Malformed { why: format!("{field}: {got}") }
}

#[cfg(test)]
mod tests {
    use leasehold_disk::fake::FakeDisk;

    use super::*;

    const NOTE_EVERY: u64 = 10;

    /// A start of a node, whose stream stands there.
    fn start(disk: &FakeDisk, node_id: u64, boot: u8, recovered: u64) -> (Gatekeeper, Reached) {
        let (mount, fresh) = (disk.mount(), DiskId([node_id as u8; 16]));
        let claimed = Identity::claim(&*mount, "test", node_id, fresh, BootId([boot; 16]));
        let mut identity = claimed.expect("the disk is well");
        identity.opened(&*mount, recovered).expect("the disk is well");
        let memory = PeerMemory::open(mount).expect("it was made");
        let reached = Reached::new(recovered);
        let gatekeeper =
            Gatekeeper::new(identity, reached.clone(), memory, Roster::default(), NOTE_EVERY);
        (gatekeeper, reached)
    }

    fn says(from: &Gatekeeper, to: &Gatekeeper) -> Result<u64, PeerFault> {
        to.believe_call(&from.call_to(to.facts.node_id))
    }

    #[test]
    fn whoever_heard_how_far_a_node_had_come_refuses_a_copy_of_its_disk_from_before() {
        let (ours, theirs) = (FakeDisk::new(1), FakeDisk::new(2));
        let (peer, _) = start(&ours, 1, 1, 0);
        let (node, reached) = start(&theirs, 2, 2, 7);
        assert_eq!(says(&node, &peer), Ok(2));
        let copy = theirs.image();
        reached.raise(9);
        assert_eq!(says(&node, &peer), Ok(2), "what changed is not what is compared");
        // In a stream, without facts.
        peer.reached_by(2).raise(12);

        let old = says(&start(&copy, 2, 3, 11).0, &peer);
        assert!(
            matches!(&old, Err(PeerFault::NotBelieved { why })
                if why.contains("up to group 12") && why.contains("old copy")),
            "{old:?}"
        );
        // Durably: also after a power cut, and when the copy has grown.
        ours.crash_keeping(|_| false);
        let (peer, _) = start(&ours, 1, 4, 0);
        assert!(says(&start(&copy, 2, 5, 50).0, &peer).is_err());
        assert_eq!(says(&start(&theirs, 2, 6, 12).0, &peer), Ok(2));
    }

    #[test]
    fn what_was_only_heard_of_a_node_is_noted_when_it_has_grown_enough() {
        let (ours, theirs, leaders) = (FakeDisk::new(1), FakeDisk::new(2), FakeDisk::new(3));
        let (peer, _) = start(&ours, 1, 1, 0);
        let (node, reached) = start(&theirs, 2, 2, 0);
        let (leader, _) = start(&leaders, 3, 3, 0);
        assert_eq!((says(&node, &leader), says(&leader, &peer)), (Ok(2), Ok(3)));
        let (_, news) = leader.news(1, 0).expect("it heard of a node");
        peer.hear(&news).expect("the disk is well");
        let copy = theirs.image();
        let mut writes = ours.writes();
        for (group, noted) in [(9, false), (10, true), (19, false), (20, true)] {
            reached.raise(group);
            assert_eq!(says(&node, &leader), Ok(2));
            peer.hear_reach(&leader.reach(1)).expect("the disk is well");
            assert_eq!(ours.writes() > writes, noted, "{group}");
            writes = ours.writes();
        }
        ours.crash_keeping(|_| false);
        let (peer, _) = start(&ours, 1, 4, 0);
        assert!(says(&start(&copy, 2, 5, 19).0, &peer).is_err());
        assert_eq!(says(&start(&theirs, 2, 6, 20).0, &peer), Ok(2));
    }

    #[test]
    fn how_far_another_run_has_come_says_nothing_about_the_one_that_is_known() {
        let (ours, theirs) = (FakeDisk::new(1), FakeDisk::new(2));
        let (peer, _) = start(&ours, 1, 1, 0);
        let (node, _) = start(&theirs, 2, 2, 7);
        assert_eq!(says(&node, &peer), Ok(2));
        let boot_id = Bytes::copy_from_slice(&[9; 16]);
        let told = [pb::PeerReach { node_id: 2, boot_id, reached: 1_000 }];
        peer.hear_reach(&told).expect("the disk is well");
        assert_eq!(says(&start(&theirs, 2, 3, 7).0, &peer), Ok(2));
    }

    #[test]
    fn a_node_that_says_it_found_more_than_it_has_is_malformed() {
        let (peer, _) = start(&FakeDisk::new(1), 1, 1, 0);
        let (node, _) = start(&FakeDisk::new(2), 2, 2, 7);
        for (recovered, reached) in [(8, 7), (Start::UNOPENED, Start::UNOPENED)] {
            let from = Some(pb::Facts { recovered, reached, ..node.facts() });
            let answer = peer.believe_call(&pb::Call { from, to_node_id: 1 });
            assert!(matches!(answer, Err(PeerFault::Malformed { .. })), "{answer:?}");
        }
    }
}
