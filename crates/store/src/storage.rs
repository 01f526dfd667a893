//! The open database: groups of requests in, durable outcomes out.
//!
//! Every commit is a two-phase one. The cheaper kind tells a torn commit from a whole one by its
//! checksums, so after a crash a flipped bit in the newest pages makes the database quietly take the
//! commit before it, and a mark would decrease. Two syncs cost a lone writer a third more time and a
//! busy store next to nothing, because the whole group shares them.

use std::sync::Arc;

use redb::{Database, Durability, WriteTransaction};

use crate::fault::StorageFault;
use crate::group::{Group, Outcome, Request, Rules};
use crate::witness::Witness;

/// The one owner of the database's write side.
#[derive(Debug)]
pub(crate) struct Storage {
    database: Arc<Database>,
    rules: Rules,
    store_id: u64,
    commits: u64,
    witness: Option<Witness>,
}

impl Storage {
    pub(crate) fn new(database: Arc<Database>, rules: Rules, store_id: u64, commits: u64) -> Self {
        Self { database, rules, store_id, commits, witness: None }
    }

    pub(crate) fn set_witness(&mut self, witness: Witness) {
        self.witness = Some(witness);
    }

    /// For readers, who must let go of it before [`Self::close`].
    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Which store this is.
    pub(crate) fn store_id(&self) -> u64 {
        self.store_id
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// Applies the requests in order, in one transaction, and makes it durable. One outcome for each,
    /// to be told only after this returns.
    ///
    /// A group of nothing but refusals and repeats costs no sync: all it was judged by is durable.
    ///
    /// # Errors
    /// What became of the group is unknown, and the database must not be written again.
    pub(crate) fn apply<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Request>,
    ) -> Result<Vec<Outcome>, StorageFault> {
        let txn = self.database.begin_write()?;
        let mut group = Group::open(&txn, self.rules)?;
        let outcomes =
            requests.into_iter().map(|request| group.apply(request)).collect::<Result<_, _>>()?;
        match group.finish()? {
            None => txn.abort()?,
            Some(commits) => {
                commit(txn)?;
                self.commits = commits;
                if let Some(witness) = &mut self.witness {
                    witness.note(commits)?;
                }
            }
        }
        Ok(outcomes)
    }

    /// Closes the database, so that the next start need not repair it.
    pub(crate) fn close(mut self) -> Result<(), StorageFault> {
        if let Some(witness) = &mut self.witness {
            witness.note_durably(self.commits)?;
        }
        match Arc::into_inner(self.database) {
            Some(database) => Ok(database.close()?),
            // Nobody waited for the readers, and the last of them closes it.
            None => Ok(()),
        }
    }
}

/// Commits durably, in two phases: see the module.
pub(crate) fn commit(mut txn: WriteTransaction) -> Result<(), StorageFault> {
    txn.set_durability(Durability::Immediate)
        .map_err(|e| StorageFault::Database(Box::new(e.into())))?;
    txn.set_two_phase_commit(true);
    Ok(txn.commit()?)
}
