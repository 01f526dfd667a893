//! Where claims live: one slab, addressed by small integers.
//!
//! The slab is cut into chunks behind reference counts, so that a snapshot of a million claims starts
//! with copying some ten thousand pointers. From then on the first change in a chunk copies that chunk;
//! `apply` never waits for a snapshot, and a snapshot never sees a later change.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::array;

use crate::claim::Claim;

/// Claims per chunk: small enough that the copy after a snapshot costs microseconds.
const CHUNK: usize = 16;

type Chunk = [Option<Claim>; CHUNK];

/// A claim's place in the slab. Reused after its end, so never an identity: that is the claim's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("settings bound the number of claims far below 2^32"))
    }

    fn split(self) -> (usize, usize) {
        (self.0 as usize / CHUNK, self.0 as usize % CHUNK)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Arc<Chunk>>,
    free: Vec<Slot>,
    used: usize,
}

impl Slab {
    pub(crate) fn len(&self) -> usize {
        self.used - self.free.len()
    }

    pub(crate) fn get(&self, slot: Slot) -> &Claim {
        let (chunk, index) = slot.split();
        self.chunks[chunk][index].as_ref().expect("an index names live claims only")
    }

    /// The claim in a slot that may be free by now.
    pub(crate) fn find(&self, slot: Slot) -> Option<&Claim> {
        let (chunk, index) = slot.split();
        self.chunks.get(chunk).and_then(|chunk| chunk[index].as_ref())
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Claim {
        self.cell(slot).as_mut().expect("an index names live claims only")
    }

    pub(crate) fn insert(&mut self, claim: Claim) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| self.extend());
        *self.cell(slot) = Some(claim);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Claim {
        let claim = self.cell(slot).take().expect("an index names live claims only");
        self.free.push(slot);
        claim
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Claim)> {
        let cells = self.chunks.iter().flat_map(|chunk| chunk.iter());
        let numbered = cells.enumerate();
        numbered.filter_map(|(index, cell)| cell.as_ref().map(|claim| (Slot::new(index), claim)))
    }

    /// The claims as they are now, untouched by later changes.
    pub(crate) fn freeze(&self) -> Self {
        Self { chunks: self.chunks.clone(), free: Vec::new(), used: self.used }
    }

    fn extend(&mut self) -> Slot {
        let slot = Slot::new(self.used);
        if slot.split().0 == self.chunks.len() {
            self.chunks.push(Arc::new(array::from_fn(|_| None)));
        }
        self.used += 1;
        slot
    }

    fn cell(&mut self, slot: Slot) -> &mut Option<Claim> {
        let (chunk, index) = slot.split();
        &mut Arc::make_mut(&mut self.chunks[chunk])[index]
    }
}
