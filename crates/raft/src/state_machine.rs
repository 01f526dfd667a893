//! The lease state machine behind the log: decode, apply, tell.
//!
//! One task owns it. Everybody else learns what happened from [`Progress`] (a watch: only the newest
//! counts) and from the feed of [`Change`]s (a bounded broadcast: every batch, and a listener that
//! lags is told so), or asks through the owner.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use leasehold_clock::Clock;
use leasehold_core::{Batch, FrozenState, LeaseState};
use openraft::entry::EntryPayload;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use openraft_rt::AsyncRuntime;
use tokio::sync::broadcast;

use crate::lease_clock::Note;
use crate::progress::{Figures, Progress};
use crate::roster::Roster;
use crate::snapshot::{self, Document, LoadError, SnapshotFile};
use crate::type_config::{
    Entry, Leadership, Listed, LogData, LogId, Outcomes, SnapshotMeta, StoredMembership, Types,
};
use crate::watched::Changing;
use crate::{AppliedBatch, Change, Execution};

/// A snapshot as the consensus library passes it around.
pub(crate) type Snapshot = openraft::Snapshot<Leadership, u64, Listed, Bytes>;

/// The state machine and its outlets.
#[derive(Debug)]
pub(crate) struct StateMachine<RT: AsyncRuntime> {
    /// `None` until the cluster is founded.
    state: Option<LeaseState>,
    applied: Option<LogId>,
    membership: StoredMembership,
    note: Option<Note>,
    outlets: Outlets<RT>,
    clock: Arc<dyn Clock>,
    file: SnapshotFile,
    execution: Execution,
    _runtime: std::marker::PhantomData<fn() -> RT>,
}

/// Whom the state machine tells.
#[derive(Debug)]
pub(crate) struct Outlets<RT: AsyncRuntime> {
    pub(crate) progress: Changing<RT, Progress>,
    pub(crate) feed: broadcast::Sender<Arc<Change>>,
    pub(crate) roster: Roster,
}

impl<RT: AsyncRuntime> StateMachine<RT> {
    /// Starts from the snapshot on disk, or from nothing.
    pub(crate) fn open(
        file: SnapshotFile,
        outlets: Outlets<RT>,
        clock: Arc<dyn Clock>,
        execution: Execution,
    ) -> Result<Self, LoadError> {
        let mut machine = Self {
            state: None,
            applied: None,
            membership: StoredMembership::default(),
            note: None,
            outlets,
            clock,
            file,
            execution,
            _runtime: std::marker::PhantomData,
        };
        if let Some((document, _)) = machine.file.load()? {
            machine.state = document.restore()?;
            machine.applied = document.meta.last_log_id;
            machine.membership = document.meta.last_membership;
            machine.outlets.roster.note(machine.membership.membership());
            machine.publish();
            machine.tell_snapshot();
        }
        Ok(machine)
    }

    /// The state, for the owner's guests. `None` until the cluster is founded.
    pub(crate) fn state(&self) -> Option<&LeaseState> {
        self.state.as_ref()
    }

    fn apply_entry(&mut self, entry: Entry) -> io::Result<Outcomes> {
        let Entry { log_id, payload } = entry;
        let mut outcomes = Outcomes::default();
        let mut change = None;
        match payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(members) => {
                self.membership = StoredMembership::new(Some(log_id), members);
            }
            EntryPayload::Normal(LogData::Founding(bytes)) => self.found(log_id, &bytes)?,
            EntryPayload::Normal(LogData::Batch(bytes)) => {
                let (answered, batch) = self.apply_batch(log_id, &bytes)?;
                outcomes = answered;
                change = Some(Change::Batch(batch));
            }
        }
        self.applied = Some(log_id);
        self.take_note(log_id.leader_id.term);
        self.publish();
        if let Some(change) = change {
            self.tell(change);
        }
        Ok(outcomes)
    }

    fn apply_batch(&mut self, log_id: LogId, bytes: &[u8]) -> io::Result<(Outcomes, AppliedBatch)> {
        let unreadable =
            |why: String| io::Error::other(format!("entry {log_id} cannot be applied: {why}"));
        let batch =
            Batch::decode(bytes).map_err(|error| unreadable(crate::chain::one_line(&error)))?;
        let state = self
            .state
            .as_mut()
            .ok_or_else(|| unreadable("the cluster is not founded".to_owned()))?;
        let applied = state.apply(batch.at, &batch.commands);
        let change = AppliedBatch {
            log_index: log_id.index,
            revision: state.revision(),
            at: state.now(),
            events: applied.events,
        };
        Ok((Outcomes(applied.outcomes), change))
    }

    /// The first founding counts; leaders that did not know of it may have proposed others.
    fn found(&mut self, log_id: LogId, bytes: &[u8]) -> io::Result<()> {
        if self.state.is_none() {
            let unreadable =
                |error| io::Error::other(format!("entry {log_id} cannot be applied: {error}"));
            self.state = Some(LeaseState::restore(bytes).map_err(unreadable)?);
        }
        Ok(())
    }

    /// Notes where lease time and this node's clock stand at the first entry of a leadership. The
    /// clock is read after the entry was applied: late is safe, early is not.
    fn take_note(&mut self, term: u64) {
        if self.note.is_none_or(|note| note.term < term) {
            let at = self.state.as_ref().map(LeaseState::now).unwrap_or_default();
            self.note = Some(Note { term, at, clock: self.clock.read() });
        }
    }

    fn publish(&self) {
        self.outlets.progress.send_replace(Progress {
            applied: self.applied,
            note: self.note,
            figures: self.state.as_ref().map(Figures::of),
        });
    }

    fn tell(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.outlets.feed.send(Arc::new(change));
    }

    /// What lies before the state as it now is will not be told.
    fn tell_snapshot(&self) {
        if let (Some(log_id), Some(state)) = (self.applied, &self.state) {
            self.tell(Change::SnapshotInstalled {
                log_index: log_id.index,
                revision: state.revision(),
                at: state.now(),
            });
        }
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

impl<RT: AsyncRuntime> RaftStateMachine<Types<RT>> for StateMachine<RT> {
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder<RT>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types<RT>>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let outcomes = self.apply_entry(entry)?;
            if let Some(responder) = responder {
                responder.send(outcomes);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        SnapshotBuilder {
            frozen: self.state.as_ref().map(LeaseState::freeze),
            meta: self.meta(),
            file: self.file.clone(),
            execution: self.execution,
            _runtime: std::marker::PhantomData,
        }
    }

    /// Durable, checked and in place when this returns. What the document says counts, not `meta`,
    /// which is derived from it.
    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta,
        document: Bytes,
    ) -> Result<(), io::Error> {
        let file = self.file.clone();
        let install = move || -> io::Result<(Document, Option<LeaseState>)> {
            let opened = Document::open(document.clone()).map_err(broken)?;
            let state = opened.restore().map_err(broken)?;
            file.store(opened.meta.last_log_id, &document).map_err(broken)?;
            Ok((opened, state))
        };
        let (opened, state) = self.execution.run::<RT, _, _>(install).await??;
        self.state = state;
        self.applied = opened.meta.last_log_id;
        self.membership = opened.meta.last_membership;
        self.outlets.roster.note(self.membership.membership());
        self.publish();
        self.tell_snapshot();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let file = self.file.clone();
        let loaded = self.execution.run::<RT, _, _>(move || file.load()).await?.map_err(broken)?;
        Ok(loaded.map(|(document, bytes)| Snapshot { meta: document.meta, snapshot: bytes }))
    }
}

/// A snapshot about to be written: what `apply` does meanwhile does not change it.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder<RT> {
    frozen: Option<FrozenState>,
    meta: SnapshotMeta,
    file: SnapshotFile,
    execution: Execution,
    _runtime: std::marker::PhantomData<fn() -> RT>,
}

impl<RT: AsyncRuntime> RaftSnapshotBuilder<Types<RT>> for SnapshotBuilder<RT> {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let (frozen, meta, file) = (self.frozen.take(), self.meta.clone(), self.file.clone());
        let build = move || {
            let document = snapshot::encode(&meta, frozen.as_ref());
            file.store(meta.last_log_id, &document).map(|()| Snapshot { meta, snapshot: document })
        };
        self.execution.run::<RT, _, _>(build).await?.map_err(broken)
    }
}

fn broken(error: impl std::error::Error) -> io::Error {
    io::Error::other(crate::chain::one_line(&error))
}
