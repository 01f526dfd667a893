//! What can be read from the state as it stands.

use alloc::vec::Vec;
use core::ops::Bound;

use leasehold_types::{FencingToken, LeaseTime, Revision};

use crate::claim::Phase;
use crate::claims::Resource;
use crate::{ClaimAnswer, LeaseState, Settings};

/// One resource with live claims, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceView {
    /// The claim that holds it; `valid_for_ms` is what is left of it now.
    pub lease: ClaimAnswer,
    /// Milliseconds of lease time since the grant.
    pub held_for_ms: u64,
    /// Claims waiting for it.
    pub queue_length: u64,
}

impl LeaseState {
    /// Lease time.
    pub fn now(&self) -> LeaseTime {
        self.counters.now
    }

    /// The largest revision so far.
    pub fn revision(&self) -> Revision {
        self.counters.revision
    }

    /// The token of the next grant. Every token issued is below it.
    pub fn next_token(&self) -> FencingToken {
        self.counters.next_token
    }

    /// The cluster's bounds.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Live claims, waiting and held.
    pub fn claims_len(&self) -> usize {
        self.claims.len()
    }

    /// Request ids of ended claims that are remembered.
    pub fn ended_len(&self) -> usize {
        self.memory.len()
    }

    /// How far back ended request ids are remembered when their number is at its bound, in ms of
    /// lease time; otherwise the setting. Where this comes near the time for which clients retry, late
    /// copies can claim again.
    pub fn ended_memory_reach_ms(&self) -> u64 {
        match self.memory.oldest() {
            Some(oldest) if self.memory.len() as u64 >= self.settings.ended_memory_max => {
                self.counters.now.since_ms(oldest.at)
            }
            _ => self.settings.ended_memory_ms,
        }
    }

    /// The lease time at which something ends unless something happens: the earliest deadline of a
    /// claim or end of a wait. When its clock is there, the leader proposes `Pulse`. Not after
    /// [`Self::now`] while more is due than one entry ends.
    pub fn next_deadline(&self) -> Option<LeaseTime> {
        self.claims.first_due().map(|(due, _)| due)
    }

    /// Whether something is due that the last entry left to the next.
    pub fn ends_are_left(&self) -> bool {
        self.next_deadline().is_some_and(|due| due <= self.counters.now)
    }

    /// Whether anything depends on lease time moving on, so that the leader must commit a stamp
    /// every [`Settings::stamp_interval_ms`]: a live claim, a remembered id, an embargo.
    pub fn has_live_claims_or_memory(&self) -> bool {
        self.claims.len() > 0 || self.memory.len() > 0 || self.counters.now < self.counters.embargo
    }

    /// One resource as it stands; `None` when it is free.
    pub fn get(&self, resource: &str) -> Option<ResourceView> {
        self.claims.resource(resource).and_then(|resource| self.view(resource))
    }

    /// Resources with live claims whose names start with `prefix`, in byte order of their names, at
    /// most `limit` of them, and only those behind `after`. Costs as much as it returns.
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<ResourceView> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let matching =
            self.claims.resources(start).take_while(|(name, _)| name.starts_with(prefix));
        matching.filter_map(|(_, resource)| self.view(resource)).take(limit).collect()
    }

    /// `None` only between an end and its hand-over, which nobody sees.
    fn view(&self, resource: &Resource) -> Option<ResourceView> {
        let slot = resource.lease?;
        let Phase::Held { since, .. } = self.claims.get(slot).phase else { return None };
        Some(ResourceView {
            lease: self.answer(slot),
            held_for_ms: self.counters.now.since_ms(since),
            queue_length: resource.waiting() as u64,
        })
    }
}
