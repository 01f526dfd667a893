//! Claims found by a field that only one of them can have: places alone, hashed by what the claim in that
//! place says.
//!
//! Tables that keep the field beside the place take 59 bytes more for each of a million leases (request id
//! and token together), and save nothing: whoever looks a claim up reads it next.
//!
//! The price: a table that grows asks every claim for its field again. The acquire that is the 917,505th live one
//! takes a fifth of a second so, in which three tables double, and an eighth with the fields beside the places.

use core::hash::{BuildHasher, Hash};
use core::marker::PhantomData;

use hashbrown::{DefaultHashBuilder, HashTable};
use leasehold_types::{FencingToken, RequestId};

use crate::claim::Claim;
use crate::slab::{Slab, Slot};

/// A field that tells a claim from all others.
pub(crate) trait Key: Hash + Eq {
    /// The claim's own; `None` while it has none.
    fn of(claim: &Claim) -> Option<Self>
    where
        Self: Sized;
}

impl Key for RequestId {
    fn of(claim: &Claim) -> Option<Self> {
        Some(claim.request)
    }
}

impl Key for FencingToken {
    fn of(claim: &Claim) -> Option<Self> {
        claim.token()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Index<K> {
    slots: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    key: PhantomData<K>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self { slots: HashTable::new(), hasher: DefaultHashBuilder::default(), key: PhantomData }
    }
}

impl<K: Key> Index<K> {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn find(&self, slab: &Slab, key: &K) -> Option<Slot> {
        let is_it = |slot: &Slot| K::of(slab.get(*slot)).as_ref() == Some(key);
        self.slots.find(self.hasher.hash_one(key), is_it).copied()
    }

    /// Takes in a claim that lives in the slab and has a key.
    pub(crate) fn insert(&mut self, slab: &Slab, slot: Slot, key: &K) {
        let hash = self.hasher.hash_one(key);
        self.slots.insert_unique(hash, slot, |slot| hash_of::<K>(&self.hasher, slab, *slot));
    }

    /// Takes out what was taken in under this key; the claim may be gone by now.
    pub(crate) fn remove(&mut self, slot: Slot, key: &K) {
        if let Ok(entry) = self.slots.find_entry(self.hasher.hash_one(key), |other| *other == slot)
        {
            entry.remove();
        }
    }
}

fn hash_of<K: Key>(hasher: &DefaultHashBuilder, slab: &Slab, slot: Slot) -> u64 {
    let key = K::of(slab.get(slot)).expect("what is in an index has a key");
    hasher.hash_one(key)
}
