//! Which node to try next. Pure: time is an argument.
//!
//! The leader's own address is the best one when it can be reached, and one forward less. Where it
//! cannot (a container's inside address, a firewall) any configured node forwards: so a leader that
//! failed is left alone for a while, and the configured nodes are tried in turn without end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Address;

/// How long a leader's address that could not be dialled is left alone.
const UNREACHABLE_FOR: Duration = Duration::from_secs(30);
/// How long a leader whose stream failed is left alone: another node may know better.
const GIVEN_UP_FOR: Duration = Duration::from_secs(3);
/// At least this long between two moves to where another node says the leader is.
const MOVE_GAP: Duration = Duration::from_millis(250);
/// More leaders than a cluster has nodes: forget and begin again.
const LEFT_ALONE_MAX: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Endpoints {
    configured: Vec<Address>,
    next: usize,
    leader: Option<Address>,
    /// Addresses to leave alone as leaders, and until when.
    left_alone: BTreeMap<Address, Duration>,
    moved_at: Option<Duration>,
}

impl Endpoints {
    /// Starts at `first`, so that not all clients begin with the same node.
    pub(crate) fn new(configured: Vec<Address>, first: usize) -> Self {
        Self { configured, next: first, leader: None, left_alone: BTreeMap::new(), moved_at: None }
    }

    /// The address to dial when there is no stream.
    pub(crate) fn pick(&mut self, at: Duration) -> Address {
        // A leader is tried once: if it is the one that just failed, it is no longer remembered.
        if let Some(leader) = self.leader.take().filter(|leader| self.may_try(leader, at)) {
            return leader;
        }
        let address = self.configured[self.next % self.configured.len()].clone();
        self.next = self.next.wrapping_add(1);
        address
    }

    /// A node other than the one at `current` is said to lead, at `text`. Where to move, if at all.
    pub(crate) fn move_to(
        &mut self,
        text: &str,
        current: &Address,
        at: Duration,
    ) -> Option<Address> {
        let leader = Address::new("leader_address", text).ok()?;
        let moved_lately = self.moved_at.is_some_and(|moved| at < moved + MOVE_GAP);
        if leader == *current || moved_lately || !self.may_try(&leader, at) {
            return None;
        }
        self.moved_at = Some(at);
        Some(leader)
    }

    /// The stream to this address is up, and whether its node leads.
    pub(crate) fn opened(&mut self, address: &Address, leads: bool) {
        self.left_alone.remove(address);
        self.leader = leads.then(|| address.clone());
    }

    /// This address could not be dialled.
    pub(crate) fn unreachable(&mut self, address: &Address, at: Duration) {
        self.leave_alone(address, at + UNREACHABLE_FOR);
    }

    /// The stream to this address broke, or its node was of no use.
    pub(crate) fn gave_up(&mut self, address: &Address, at: Duration) {
        self.leave_alone(address, at + GIVEN_UP_FOR);
    }

    fn leave_alone(&mut self, address: &Address, until: Duration) {
        if self.leader.as_ref() == Some(address) {
            self.leader = None;
        }
        if self.left_alone.len() >= LEFT_ALONE_MAX {
            self.left_alone.clear();
        }
        self.left_alone.insert(address.clone(), until);
    }

    fn may_try(&self, leader: &Address, at: Duration) -> bool {
        self.left_alone.get(leader).is_none_or(|until| at >= *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> Address {
        Address::new("endpoint", text).expect("an address")
    }

    fn endpoints() -> Endpoints {
        Endpoints::new(vec![address("a:1"), address("b:1"), address("c:1")], 1)
    }

    #[test]
    fn configured_nodes_are_tried_in_turn_without_end() {
        let mut endpoints = endpoints();
        let picked: Vec<_> = (0..4).map(|_| endpoints.pick(SECOND).to_string()).collect();
        assert_eq!(picked, ["b:1", "c:1", "a:1", "b:1"]);
    }

    #[test]
    fn a_client_moves_to_where_the_leader_is_but_not_to_where_it_stands() {
        let mut endpoints = endpoints();
        let (a, b) = (address("a:1"), address("b:1"));
        assert_eq!(endpoints.move_to("a:1", &a, SECOND), None);
        assert_eq!(endpoints.move_to("b:1", &a, SECOND), Some(b));
        assert_eq!(endpoints.move_to("not an address", &a, SECOND * 2), None);
    }

    #[test]
    fn two_nodes_that_point_at_each_other_do_not_make_a_client_spin() {
        let mut endpoints = endpoints();
        let (a, b) = (address("a:1"), address("b:1"));
        assert!(endpoints.move_to("b:1", &a, SECOND).is_some());
        assert_eq!(endpoints.move_to("a:1", &b, SECOND + MOVE_GAP / 2), None);
        assert!(endpoints.move_to("a:1", &b, SECOND + MOVE_GAP).is_some());
    }

    #[test]
    fn a_leader_that_cannot_be_dialled_is_left_alone_for_a_while() {
        let mut endpoints = endpoints();
        let (a, inside) = (address("a:1"), address("lease1:7100"));
        endpoints.unreachable(&inside, SECOND);
        assert_eq!(endpoints.move_to("lease1:7100", &a, SECOND * 2), None);
        let later = SECOND + UNREACHABLE_FOR;
        assert_eq!(endpoints.move_to("lease1:7100", &a, later), Some(inside));
    }

    #[test]
    fn a_configured_node_that_failed_is_still_tried_in_its_turn() {
        let mut endpoints = endpoints();
        endpoints.unreachable(&address("b:1"), SECOND);
        assert_eq!(endpoints.pick(SECOND).to_string(), "b:1");
    }

    #[test]
    fn a_leader_whose_stream_failed_is_left_alone_for_less_long() {
        let mut endpoints = endpoints();
        let (a, b) = (address("a:1"), address("b:1"));
        endpoints.gave_up(&b, SECOND);
        assert_eq!(endpoints.move_to("b:1", &a, SECOND * 2), None);
        assert_eq!(endpoints.move_to("b:1", &a, SECOND + GIVEN_UP_FOR), Some(b));
    }
}
