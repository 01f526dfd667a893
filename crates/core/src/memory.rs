//! Request ids that must not be granted any more.
//!
//! A copy of an `Acquire` may arrive long after its claim has ended, or after the `Cancel` that
//! overtook it. So ids are remembered, by lease time and by number, the oldest forgotten first. An
//! id that is remembered already keeps its place: a `Cancel` repeated for ever does not make room
//! for itself.
//!
//! What is **not** remembered: an id that was refused. A refusal has no effect, and a crowd that
//! polls a taken resource would wash out the ids that matter. A client that was told no while other
//! attempts of the same id are unanswered must cancel it, which does remember it, before it says a
//! definite no.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use leasehold_types::{EndReason, LeaseTime, RequestId};

/// Ids per block; as for claims, a snapshot copies pointers to blocks.
const BLOCK: usize = 512;

/// An id whose claim has ended, or that was cancelled before it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedId {
    pub(crate) request: RequestId,
    pub(crate) why: EndReason,
    pub(crate) at: LeaseTime,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    order: Order,
    why: HashMap<RequestId, EndReason>,
}

impl Memory {
    pub(crate) fn len(&self) -> usize {
        self.why.len()
    }

    pub(crate) fn why(&self, request: &RequestId) -> Option<EndReason> {
        self.why.get(request).copied()
    }

    pub(crate) fn oldest(&self) -> Option<&EndedId> {
        self.order.first()
    }

    /// Remembers an id that is not remembered yet, and at most `max` of them.
    pub(crate) fn remember(&mut self, id: EndedId, max: u64) {
        let Entry::Vacant(entry) = self.why.entry(id.request) else { return };
        entry.insert(id.why);
        self.order.push(id);
        if self.len() as u64 > max {
            self.forget_oldest();
        }
    }

    /// Forgets what was remembered at `until` or before.
    pub(crate) fn forget_until(&mut self, until: LeaseTime) {
        while self.oldest().is_some_and(|id| id.at <= until) {
            self.forget_oldest();
        }
    }

    /// The ids as they are now, untouched by later changes.
    pub(crate) fn freeze(&self) -> Order {
        self.order.clone()
    }

    /// Whether index and order name the same ids, each once.
    pub(crate) fn is_consistent(&self) -> bool {
        self.order.iter().count() == self.why.len()
            && self.order.iter().all(|id| self.why(&id.request) == Some(id.why))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EndedId> {
        self.order.iter()
    }

    fn forget_oldest(&mut self) {
        if let Some(id) = self.order.pop_first() {
            self.why.remove(&id.request);
        }
    }
}

/// The remembered ids, oldest first. Cheap to clone: the blocks are shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    blocks: VecDeque<Arc<Vec<EndedId>>>,
    /// How many of the first block are forgotten already.
    forgotten: usize,
}

impl Order {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &EndedId> {
        self.blocks.iter().flat_map(|block| block.iter()).skip(self.forgotten)
    }

    fn first(&self) -> Option<&EndedId> {
        self.blocks.front().and_then(|block| block.get(self.forgotten))
    }

    fn push(&mut self, id: EndedId) {
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => Arc::make_mut(block).push(id),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(id);
                self.blocks.push_back(Arc::new(block));
            }
        }
    }

    fn pop_first(&mut self) -> Option<EndedId> {
        let block = self.blocks.front()?;
        let id = *block.get(self.forgotten)?;
        self.forgotten += 1;
        if self.forgotten == block.len() {
            self.blocks.pop_front();
            self.forgotten = 0;
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    impl Memory {
        /// Breaks the index.
        pub(crate) fn lose_a_reason(&mut self, request: &RequestId) {
            self.why.remove(request);
        }

        /// Breaks the index.
        pub(crate) fn change_a_reason(&mut self, request: &RequestId) {
            self.why.insert(*request, EndReason::WaitOver);
        }
    }

    fn id(number: u32) -> EndedId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        let request = RequestId::from_bytes(bytes);
        EndedId { request, why: EndReason::Released, at: LeaseTime(number.into()) }
    }

    #[test]
    fn ids_are_remembered_in_order_over_many_blocks_and_the_blocks_are_full() {
        let mut memory = Memory::default();
        let ids: Vec<EndedId> = (0..2_000).map(id).collect();
        ids.iter().for_each(|id| memory.remember(*id, 10_000));
        assert_eq!(memory.iter().copied().collect::<Vec<_>>(), ids);
        let lengths: Vec<usize> = memory.order.blocks.iter().map(|block| block.len()).collect();
        assert_eq!(lengths, vec![BLOCK, BLOCK, BLOCK, 2_000 - 3 * BLOCK]);
        memory.forget_until(LeaseTime(999));
        assert_eq!(memory.iter().copied().collect::<Vec<_>>(), ids[1_000..]);
        assert_eq!(memory.order.blocks.len(), 3);
        assert!(memory.is_consistent());
        memory.forget_until(LeaseTime(5_000));
        assert_eq!((memory.len(), memory.order.blocks.len()), (0, 0));
    }
}
