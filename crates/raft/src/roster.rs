//! The members and the disk each was founded with, as this node's log and snapshots list them.
//!
//! The list is in the first entry of the log and never changes. So a node that may stand for election
//! knows everybody's disk, also that of a peer it never talked to.

use std::collections::BTreeMap;
use std::sync::Arc;

use leasehold_disk::DiskId;
use tokio::sync::watch;

use crate::type_config::Membership;

/// Node ids and their disks.
pub(crate) type Disks = Arc<BTreeMap<u64, DiskId>>;

/// See the module. Cheap to clone; log and state machine write it before anything can come of what
/// they were given, the gatekeeper reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    disks: watch::Sender<Option<Disks>>,
}

impl Roster {
    /// Takes over what an entry or a snapshot lists.
    pub(crate) fn note(&self, members: &Membership) {
        let disks: BTreeMap<u64, DiskId> =
            members.nodes().map(|(id, member)| (*id, member.disk_id)).collect();
        if !disks.is_empty() {
            self.disks.send_replace(Some(Arc::new(disks)));
        }
    }

    /// `None` on a node that belongs to no cluster yet.
    pub(crate) fn disks(&self) -> Option<Disks> {
        self.disks.borrow().clone()
    }
}
