//! The live claims and the four ways to find one. One owner for both, so that an index cannot
//! disagree with what it indexes (I3).
//!
//! What is looked up is hashed: with a million claims a tree costs six cache misses more for each of ten
//! look-ups in the life of a lease. Clients choose ids and names, so the hash is seeded anew in each
//! process; nothing that is decided depends on the order of a table.

use alloc::boxed::Box;
use core::ops::Bound;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use leasehold_types::{FencingToken, LeaseTime, RequestId, ResourceName, Revision};

use crate::claim::{Claim, Phase};
use crate::deadlines::Deadlines;
use crate::index::Index;
use crate::names::Names;
use crate::queue::Queue;
use crate::slab::{Slab, Slot};

#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    pub(crate) slab: Slab,
    pub(crate) by_request: Index<RequestId>,
    pub(crate) by_token: Index<FencingToken>,
    /// The order in which claims end if nothing happens: by what is due first, then by age.
    pub(crate) deadlines: Deadlines,
    pub(crate) by_resource: HashMap<ResourceName, Resource>,
    pub(crate) names: Names,
}

/// A resource with live claims. Without any it is not here: an idle resource costs nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    /// Empty only between the end of a lease and the hand-over, within one `apply`.
    pub(crate) lease: Option<Slot>,
    /// Most resources never have any.
    waiters: Option<Box<Queue>>,
}

impl Resource {
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.as_ref().map_or(0, |queue| queue.len())
    }

    /// The waiters with their ages, the next in line first.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = (Revision, Slot)> {
        self.waiters.iter().flat_map(|queue| queue.iter())
    }

    pub(crate) fn join(&mut self, age: Revision, slot: Slot) {
        self.waiters.get_or_insert_default().push(age, slot);
    }

    pub(crate) fn leave(&mut self, age: Revision) {
        if let Some(queue) = &mut self.waiters {
            queue.remove(age);
            if queue.is_empty() {
                self.waiters = None;
            }
        }
    }
}

/// A claim that was taken out.
pub(crate) struct Removed {
    pub(crate) claim: Claim,
    /// Whether its resource is free now and somebody waits for it: the caller hands it over.
    pub(crate) frees_for_waiters: bool,
}

impl Claims {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn get(&self, slot: Slot) -> &Claim {
        self.slab.get(slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Claim)> {
        self.slab.iter()
    }

    /// The claims as they are now, untouched by later changes.
    pub(crate) fn freeze(&self) -> Slab {
        self.slab.freeze()
    }

    pub(crate) fn with_request(&self, request: &RequestId) -> Option<Slot> {
        self.by_request.find(&self.slab, request)
    }

    pub(crate) fn with_token(&self, token: FencingToken) -> Option<Slot> {
        self.by_token.find(&self.slab, &token)
    }

    pub(crate) fn resource(&self, name: &str) -> Option<&Resource> {
        self.by_resource.get(name)
    }

    /// The resources from `start` on, in byte order.
    pub(crate) fn resources(&self, start: Bound<&str>) -> impl Iterator<Item = (&str, &Resource)> {
        let names = self.names.from(start);
        names.filter_map(|name| Some((name.as_str(), self.by_resource.get(name)?)))
    }

    /// The claim that ends first if nothing happens, and when.
    pub(crate) fn first_due(&self) -> Option<(LeaseTime, Slot)> {
        self.deadlines.first()
    }

    /// Whoever should get `resource`, if it is free and somebody waits.
    pub(crate) fn next_in_line(&self, resource: &ResourceName) -> Option<Slot> {
        let resource = self.by_resource.get(resource)?;
        if resource.lease.is_some() { None } else { resource.waiters.as_ref()?.first() }
    }

    /// A waiting claim's place, 1 is next.
    pub(crate) fn place(&self, claim: &Claim) -> u64 {
        let resource = self.by_resource.get(&claim.resource);
        let queue = resource.and_then(|resource| resource.waiters.as_ref());
        let place = queue.and_then(|queue| queue.place(claim.age));
        place.expect("a waiting claim is in its resource's queue")
    }

    /// Takes in a claim: as the lease of a free resource, or at the end of the queue.
    pub(crate) fn insert(&mut self, mut claim: Claim) -> Slot {
        let entry = self.by_resource.entry(claim.resource);
        claim.resource = entry.key().clone();
        if let Entry::Vacant(_) = entry {
            self.names.insert(&claim.resource);
        }
        let (request, age, token, due) = (claim.request, claim.age, claim.token(), claim.due());
        let slot = self.slab.insert(claim);
        let resource = entry.or_default();
        match token {
            Some(token) => {
                resource.lease = Some(slot);
                self.by_token.insert(&self.slab, slot, &token);
            }
            None => resource.join(age, slot),
        }
        self.by_request.insert(&self.slab, slot, &request);
        self.deadlines.push(due, age, slot);
        slot
    }

    /// Takes a claim out.
    pub(crate) fn remove(&mut self, slot: Slot) -> Removed {
        let claim = self.slab.remove(slot);
        self.by_request.remove(slot, &claim.request);
        self.deadlines.settle(&self.slab);
        let Entry::Occupied(mut entry) = self.by_resource.entry(claim.resource.clone()) else {
            unreachable!("a resource with live claims is indexed")
        };
        let resource = entry.get_mut();
        match claim.token() {
            Some(token) => {
                self.by_token.remove(slot, &token);
                resource.lease = None;
            }
            None => resource.leave(claim.age),
        }
        let frees_for_waiters = resource.lease.is_none() && resource.waiting() > 0;
        if resource.lease.is_none() && resource.waiting() == 0 {
            entry.remove();
            self.names.remove(&claim.resource);
        }
        Removed { claim, frees_for_waiters }
    }

    /// Makes a waiting claim the lease of its resource. Its deadline stays.
    pub(crate) fn grant(&mut self, slot: Slot, token: FencingToken, since: LeaseTime) {
        self.change(slot, |claim| claim.phase = Phase::Held { token, since });
        self.by_token.insert(&self.slab, slot, &token);
        let claim = self.slab.get(slot);
        let resource = self.by_resource.get_mut(&claim.resource);
        let resource = resource.expect("a resource with live claims is indexed");
        resource.leave(claim.age);
        resource.lease = Some(slot);
    }

    /// Moves a deadline on, never back.
    pub(crate) fn renew(&mut self, slot: Slot, deadline: LeaseTime) {
        self.change(slot, |claim| claim.deadline = claim.deadline.max(deadline));
    }

    /// Moves the end of a wait on, never back. A lease does not wait.
    pub(crate) fn lengthen_wait(&mut self, slot: Slot, wait_ms: u64) {
        self.change(slot, |claim| {
            if let Phase::Waiting { since, until } = &mut claim.phase {
                *until = since.plus_ms(wait_ms).max(*until);
            }
        });
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Claim)) {
        let claim = self.slab.get_mut(slot);
        let before = claim.due();
        change(claim);
        debug_assert!(before <= claim.due(), "a claim's due time only moves on");
        self.deadlines.settle(&self.slab);
    }
}
