//! The fenced store, around the real rule.
//!
//! A holder checks its lease, reads with its token, and writes what it read plus one, some time later:
//! the process may stop in between for as long as it likes. A write is admitted in the store's memory,
//! then becomes durable together with the mark, then is answered; a crash in between takes it away.

use leasehold_fence::{Admitted, Mark, Stale};

use crate::config::Config;
use crate::ghost::Flaw;
use crate::happening::Happening;
use crate::lease::token;
use crate::mutant::Mutant;
use crate::world::{Told, World, Write};

impl World {
    /// Whether a client that believes may begin one more write: writes go in order, one at a time.
    pub(crate) fn may_check(&self, config: &Config, client: usize) -> bool {
        let (Some(store), Some(_)) = (config.store, self.believes(client)) else { return false };
        let Some(claim) = &self.clients[client].claim else { return false };
        claim.writes < store.writes && !claim.is_writing && self.store.unsynced.is_none()
    }

    /// The check says yes; the read raises the mark durably before it is answered.
    pub(crate) fn check_and_read(&mut self, config: &Config, client: usize) {
        let held = self.believes(client).expect("only who believes reads");
        if config.mutant != Mutant::ReadDoesNotRaise {
            let raised = self.store.mark.raise(token(held));
            self.present(held, &raised);
            let Ok(mark) = raised else { return };
            self.store.mark = mark;
        }
        let client = &mut self.clients[client];
        let claim = client.claim.as_mut().expect("only who has a claim believes");
        claim.writes += 1;
        claim.is_writing = true;
        let sequence = u64::from(claim.writes);
        client.writes.push(Write { token: held, sequence, fresh: true, copy: false });
    }

    /// A write reaches the store. A copy of it may come again.
    pub(crate) fn admit(&mut self, config: &Config, client: usize, index: usize, copy: bool) {
        let write = self.clients[client].writes.remove(index);
        if copy {
            self.left.copies -= 1;
            self.happened.note(Happening::Copied);
            self.clients[client].writes.push(Write { copy: true, ..write });
        }
        let sequence = match config.mutant {
            Mutant::SequenceIgnored => 0,
            _ => write.sequence,
        };
        let admitted = match config.mutant {
            Mutant::UnfencedStore => Ok(Admitted::Accept(self.store.mark)),
            _ => self.store.mark.admit(token(write.token), sequence),
        };
        self.present(write.token, &admitted);
        match admitted {
            Ok(Admitted::Accept(mark)) => self.accept(config, mark, write),
            Ok(Admitted::Repeat) => {
                self.happened.note(Happening::RepeatedWrite);
                self.acknowledge(write);
            }
            Err(Stale::Sequence { .. }) => self.happened.note(Happening::StaleSequence),
            Err(_) => {}
        }
    }

    /// A refusal names a larger token, and somebody really presented that one.
    fn present<T>(&mut self, presented: u64, verdict: &Result<T, Stale>) {
        if let Err(Stale::Token { .. }) = verdict {
            self.happened.note(Happening::StaleWrite);
            self.ghost.blame_if(self.ghost.presented <= presented, Flaw::StoreFalseRefusal);
        }
        self.ghost.presented = self.ghost.presented.max(presented);
        let marked = self.store.mark.to_parts().0;
        self.ghost.blame_if(marked > self.ghost.presented, Flaw::NotesDiffer);
    }

    fn accept(&mut self, config: &Config, mark: Mark, write: Write) {
        self.ghost.blame_if(write.token < self.ghost.accepted, Flaw::StoreOrder);
        self.ghost.blame_if(!write.fresh, Flaw::UpdateLost);
        self.ghost.blame_if(mark < self.store.mark, Flaw::MarkDecreased);
        self.store.unsynced = Some((mark, write));
        if config.store.is_none_or(|store| store.crashes == 0) {
            self.sync();
        }
    }

    /// Mark and data become durable, in one transaction; then the answer.
    pub(crate) fn sync(&mut self) {
        let (mark, write) = self.store.unsynced.take().expect("something is to be synced");
        self.store.mark = mark;
        self.ghost.accepted = self.ghost.accepted.max(write.token);
        self.happened.note(Happening::Written);
        self.acknowledge(write);
        // What others read is old now; a copy of this very write would count twice.
        for other in self.clients.iter_mut().flat_map(|client| &mut client.writes) {
            other.fresh = false;
        }
    }

    /// Its writer hears that the write is done, if it still cares.
    fn acknowledge(&mut self, write: Write) {
        for claim in self.clients.iter_mut().filter_map(|client| client.claim.as_mut()) {
            let holds = claim.told == Told::Held { token: write.token };
            if holds && u64::from(claim.writes) == write.sequence {
                claim.is_writing = false;
            }
        }
    }

    /// The power goes. What was not durable is gone, and was not answered.
    pub(crate) fn crash_store(&mut self, config: &Config) {
        self.left.store_crashes -= 1;
        if let Some((_, write)) = self.store.unsynced.take() {
            self.happened.note(Happening::StoreCrashed);
            let answered = config.mutant == Mutant::AnswerBeforeSync;
            self.ghost.blame_if(answered && !write.copy, Flaw::AcknowledgedLost);
        }
        if config.mutant == Mutant::MarkNotDurable {
            self.ghost.blame_if(self.store.mark > Mark::NONE, Flaw::MarkDecreased);
            self.store.mark = Mark::NONE;
        }
    }
}
