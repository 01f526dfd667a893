//! The writer thread: the one owner of the open database.
//!
//! It takes whatever is queued, makes one transaction of it, and answers everybody after the one
//! durable commit. While the disk syncs, the next group gathers in the queue: the busier the store,
//! the more requests share a sync. Nothing waits for a group to fill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use leasehold_types::{Fault, StoreRefusal};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::fault::StorageFault;
use crate::group::{Outcome, Request};
use crate::lane::Room;
use crate::latch::Latch;
use crate::storage::Storage;

/// Most requests in one transaction. Their bytes are bounded by the lanes.
const GROUP_MAX: usize = 1_024;

/// A queued request.
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Result<Outcome, Fault>>,
    pub(crate) room: Room,
}

/// What the queue carries.
pub(crate) enum Order {
    /// Do this, with whatever else is queued.
    Job(Job),
    /// Take nothing new, answer what is queued, close the database.
    Stop,
}

/// The thread's own things.
pub(crate) struct Writer {
    pub(crate) storage: Storage,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) latch: Latch,
    pub(crate) stale_refused: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread. The receiver tells how it ended; nothing at all if it panicked.
    pub(crate) fn start(self) -> std::io::Result<oneshot::Receiver<Result<(), StorageFault>>> {
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("store-writer".into()).spawn(move || {
            let _alarm = Alarm(self.latch.clone());
            let result = self.run();
            let _nobody_waits = ended.send(result);
        })?;
        Ok(end)
    }

    fn run(mut self) -> Result<(), StorageFault> {
        let mut orders = Vec::new();
        while self.orders.blocking_recv_many(&mut orders, GROUP_MAX) > 0 {
            let jobs = self.take_jobs(&mut orders);
            if let Err(fault) = self.serve(jobs) {
                self.fail(&fault);
                return Err(fault);
            }
        }
        self.storage.close().inspect_err(|fault| self.latch.close(fault.to_string()))
    }

    fn take_jobs(&mut self, orders: &mut Vec<Order>) -> Vec<Job> {
        let mut jobs = Vec::with_capacity(orders.len());
        for order in orders.drain(..) {
            match order {
                Order::Job(job) => jobs.push(job),
                // What is queued behind the stop is still received, and answered.
                Order::Stop => self.orders.close(),
            }
        }
        jobs
    }

    fn serve(&mut self, jobs: Vec<Job>) -> Result<(), StorageFault> {
        if jobs.is_empty() {
            return Ok(());
        }
        match self.storage.apply(jobs.iter().map(|job| &job.request)) {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    self.count(&outcome);
                    answer(job, Ok(outcome));
                }
                Ok(())
            }
            Err(fault) => {
                self.latch.close(fault.to_string());
                for job in jobs {
                    answer(job, Err(fault.to_fault()));
                }
                Err(fault)
            }
        }
    }

    fn count(&self, outcome: &Outcome) {
        if let Err(refusal) = outcome
            && is_stale(refusal)
        {
            self.stale_refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn fail(&mut self, fault: &StorageFault) {
        error!(%fault, "the store stops: its disk failed");
        self.orders.close();
        while let Some(order) = self.orders.blocking_recv() {
            if let Order::Job(job) = order {
                answer(job, Err(fault.to_fault()));
            }
        }
    }
}

/// Whether a refusal tells the caller that its lease is gone.
pub(crate) fn is_stale(refusal: &StoreRefusal) -> bool {
    match refusal {
        StoreRefusal::StaleToken { .. }
        | StoreRefusal::StaleSequence { .. }
        | StoreRefusal::BelowFloor { .. } => true,
        StoreRefusal::WrongCluster { .. }
        | StoreRefusal::VersionMismatch { .. }
        | StoreRefusal::ValueTooLarge { .. }
        | StoreRefusal::TooManyResources { .. } => false,
    }
}

fn answer(job: Job, result: Result<Outcome, Fault>) {
    let Job { request, reply, room } = job;
    drop((request, room));
    // A caller that hung up is told nothing; the write stands.
    let _hung_up = reply.send(result);
}

/// Closes the latch if the thread dies of a panic: nobody would answer any more.
struct Alarm(Latch);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close(StorageFault::Panicked.to_string());
        }
    }
}
