//! Writing under a lease, so that a late write of a lost holder can do no harm.
//!
//! The store accepts a write iff its (token, sequence) is above the mark. Here the second number is
//! counted. All writes of one lease to one store pass through one lane, a task that has one write
//! under way at a time: it is asked again under the same number until its outcome is known, and only
//! then does the next one get a number. So a retry that was held up somewhere finds the mark at its
//! own number, or above it, and changes nothing.
//!
//! One at a time, not pipelined, because the store remembers one answer for each resource, the last.
//! Were two writes under way when a connection breaks, and both applied, the answer to the first
//! would be gone for good; so what belongs together goes into one [`FencedStore::write`].
//!
//! The lease is checked before each send, to fail early and plainly. That check protects nothing: a
//! process can stop right after it. The store's comparison does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use leasehold_api::CheckedWrite;
use leasehold_api::pb::store::v1 as pb;
use leasehold_types::{Fault, FencingToken};
use tokio::sync::{mpsc, oneshot};

use crate::belief::SharedBelief;
use crate::config::Address;
use crate::guard::HeldLease;
use crate::store::{Entry, Mutation, StoreClient, Written};
use crate::{LeaseState, LostReason, StoreError};

/// Writes that may wait for the one under way; more wait in their callers.
const QUEUE_MAX: usize = 64;

/// A store under one lease. Clones share one order of writes.
#[derive(Clone, Debug)]
pub struct FencedStore {
    store: StoreClient,
    lease: Arc<HeldLease>,
    lane: mpsc::Sender<Job>,
}

/// The lanes of one lease, one for each store, and the count of its writes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    sequences: Arc<AtomicU64>,
    /// Locked for a look-up, never across a wait. A lane ends when its lease is let go.
    open: Mutex<Vec<(Address, mpsc::Sender<Job>)>>,
}

#[derive(Debug)]
struct Job {
    mutations: Vec<pb::Mutation>,
    reply: oneshot::Sender<Result<Written, StoreError>>,
}

impl FencedStore {
    pub(crate) fn new(store: StoreClient, lease: Arc<HeldLease>) -> Self {
        let lane = lease.lanes.lane(&store, &lease);
        Self { store, lease, lane }
    }

    /// The token under which this writes and reads.
    pub fn token(&self) -> FencingToken {
        self.lease.token
    }

    /// Sets a value. See [`write`](Self::write).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<Written, StoreError> {
        self.write(vec![Mutation::put(key, value)]).await
    }

    /// Removes a key. See [`write`](Self::write).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&self, key: &str) -> Result<Written, StoreError> {
        self.write(vec![Mutation::delete(key)]).await
    }

    /// Adds bytes to the end of a value, once however often it is sent. See [`write`](Self::write).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append(&self, key: &str, value: impl Into<Bytes>) -> Result<Written, StoreError> {
        self.write(vec![Mutation::append(key, value)]).await
    }

    /// Applies mutations atomically, after all writes asked for before. An empty list only raises the
    /// mark.
    ///
    /// Dropping the future leaves open whether it is applied; if at all, then before any write that
    /// is asked for later.
    ///
    /// # Errors
    /// [`StoreError::Lost`] and [`StoreError::BadField`]: not sent. [`StoreError::StaleToken`]: somebody
    /// else has the lease. [`StoreError::Fault`]: unknown; once a later write is accepted, an unknown
    /// one is applied no more.
    pub async fn write(&self, mutations: Vec<Mutation>) -> Result<Written, StoreError> {
        let mutations: Vec<_> = mutations.into_iter().map(pb::Mutation::from).collect();
        // Checked before it takes a place in the order: a bad field never costs a number.
        CheckedWrite::try_from(self.lease.write_request(mutations.clone(), 1))?;
        let (reply, answer) = oneshot::channel();
        let stopped = || Fault::OutcomeUnknown { why: "the client's runtime was shut down".into() };
        self.lane.send(Job { mutations, reply }).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped().into()))
    }

    /// Reads one key, after raising the mark: what was read can be changed and written back under this
    /// lease with nothing in between.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let token = self.lease.check().map_err(StoreError::Lost)?;
        let (resource, cluster_id) = (self.lease.resource.as_str(), self.lease.cluster_id.clone());
        Ok(self.store.get_as(resource, key, Some(token), cluster_id).await?.entry)
    }

    /// Reads the keys that start with `prefix`, all pages, after raising the mark.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let token = self.lease.check().map_err(StoreError::Lost)?;
        let (resource, cluster_id) = (self.lease.resource.as_str(), self.lease.cluster_id.clone());
        self.store.list_as(resource, prefix, Some(token), cluster_id).await
    }
}

impl HeldLease {
    fn write_request(&self, mutations: Vec<pb::Mutation>, sequence: u64) -> pb::WriteRequest {
        pb::WriteRequest {
            resource: self.resource.to_string(),
            token: self.token.get(),
            sequence,
            mutations,
            cluster_id: self.cluster_id.clone(),
        }
    }
}

impl Lanes {
    fn lane(&self, store: &StoreClient, lease: &HeldLease) -> mpsc::Sender<Job> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lane)) = open.iter().find(|(address, _)| address == store.address()) {
            return lane.clone();
        }
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        let lane = Lane {
            store: store.clone(),
            belief: Arc::clone(&lease.belief),
            template: lease.write_request(Vec::new(), 0),
            sequences: Arc::clone(&self.sequences),
            jobs,
        };
        tokio::spawn(lane.run());
        open.push((store.address().clone(), sender.clone()));
        sender
    }
}

/// The one writer of a lease to a store. It must not hold the lease itself: it ends when all that do
/// are gone.
struct Lane {
    store: StoreClient,
    belief: Arc<SharedBelief>,
    template: pb::WriteRequest,
    sequences: Arc<AtomicU64>,
    jobs: mpsc::Receiver<Job>,
}

impl Lane {
    async fn run(mut self) {
        while let Some(Job { mutations, reply }) = self.jobs.recv().await {
            // Nobody waits for it any more and it was never sent: nothing happened.
            if reply.is_closed() {
                continue;
            }
            let outcome = self.write(mutations).await;
            let _ = reply.send(outcome);
        }
    }

    async fn write(&self, mutations: Vec<pb::Mutation>) -> Result<Written, StoreError> {
        if let Some(reason) = self.lost() {
            return Err(StoreError::Lost(reason));
        }
        // Only lanes of this lease count here; the order between stores means nothing.
        let sequence = self.sequences.fetch_add(1, Ordering::Relaxed) + 1;
        let request = pb::WriteRequest { sequence, mutations, ..self.template.clone() };
        let outcome = self.store.write_while(request, |_| self.lost().is_none()).await;
        match (outcome, self.lost()) {
            (Err(StoreError::Fault(fault)), Some(reason)) if fault.surely_not_applied() => {
                Err(StoreError::Lost(reason))
            }
            (outcome, _) => outcome,
        }
    }

    fn lost(&self) -> Option<LostReason> {
        match self.belief.look() {
            LeaseState::Held { .. } | LeaseState::Uncertain { .. } => None,
            LeaseState::Lost { reason } => Some(reason),
        }
    }
}
