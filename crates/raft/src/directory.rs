//! Where members are reached: what this node was configured with, else what the log says.
//!
//! Who is a member is replicated. Where a member lives may change from one start to the next, and the
//! operator who moved it told the others in their config; the log still has the address it was founded
//! with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Member;
use crate::type_config::Listed;

/// The members as configured. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    configured: Arc<BTreeMap<u64, Member>>,
}

impl Directory {
    pub(crate) fn new(configured: BTreeMap<u64, Member>) -> Self {
        Self { configured: Arc::new(configured) }
    }

    /// A member that the log knows as this.
    pub(crate) fn member(&self, node_id: u64, logged: &Listed) -> Member {
        self.configured.get(&node_id).cloned().unwrap_or_else(|| Member {
            node_id,
            client_address: logged.client_address.clone(),
            peer_address: logged.peer_address.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use leasehold_disk::DiskId;

    use super::*;

    #[test]
    fn a_configured_address_wins_over_the_one_in_the_log() {
        let moved =
            Member { node_id: 1, client_address: "new:1".into(), peer_address: "new:2".into() };
        let directory = Directory::new(BTreeMap::from([(1, moved.clone())]));
        let logged = Listed {
            client_address: "old:1".into(),
            peer_address: "old:2".into(),
            disk_id: DiskId([1; 16]),
        };
        assert_eq!(directory.member(1, &logged), moved);
        assert_eq!(directory.member(2, &logged).peer_address, "old:2");
    }
}
