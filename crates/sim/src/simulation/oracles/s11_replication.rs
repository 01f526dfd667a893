//! S11: one leader in a term; a node's term and what it applied never go back while it runs; and
//! nothing but its disk stops a node or keeps it from starting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leasehold_raft::Role;

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct Replication {
    leaders: BTreeMap<u64, u64>,
    terms: BTreeMap<u64, u64>,
    applied: BTreeMap<u64, u64>,
    hurt: BTreeSet<u64>,
}

impl Oracle for Replication {
    fn name(&self) -> &'static str {
        "S11 replication"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::DiskHurt { node } => _ = self.hurt.insert(*node),
            Seen::Failed { node, why } if !self.hurt.contains(node) => {
                return Err(format!("node {node} stopped although its disk is whole: {why}"));
            }
            Seen::Booted { node, outcome } => {
                self.applied.remove(node);
                match outcome {
                    Err(why) if !self.hurt.contains(node) => {
                        return Err(format!("node {node} does not start: {why}"));
                    }
                    _ => {}
                }
            }
            Seen::Stands { node, term, role, applied, .. } => {
                self.stands(*node, *term, *role, *applied)?
            }
            _ => {}
        }
        Ok(())
    }
}

impl Replication {
    fn stands(
        &mut self,
        node: u64,
        term: u64,
        role: Role,
        applied: Option<u64>,
    ) -> Result<(), String> {
        if role == Role::Leader {
            let leader = *self.leaders.entry(term).or_insert(node);
            if leader != node {
                return Err(format!("nodes {leader} and {node} both lead in term {term}"));
            }
        }
        let (last_term, last_applied) =
            (self.terms.entry(node).or_default(), self.applied.entry(node).or_default());
        if term < *last_term && role != Role::Stopped && !self.hurt.contains(&node) {
            return Err(format!("node {node} went from term {last_term} back to {term}"));
        }
        if applied.is_some_and(|applied| applied < *last_applied) {
            return Err(format!("node {node} went from {last_applied} applied to {applied:?}"));
        }
        *last_term = term;
        *last_applied = applied.unwrap_or(*last_applied);
        Ok(())
    }
}
