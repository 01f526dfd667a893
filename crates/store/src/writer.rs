//! The writer: the one owner of the open database, on a thread of its own.
//!
//! It takes whatever is queued, makes one transaction of it, and answers everybody after the one
//! durable commit. While the disk syncs, the next group gathers in the queue: the busier the store,
//! the more requests share a sync. Nothing waits for a group to fill. In a simulator, where there are
//! no threads, the writer is a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use leasehold_types::{Fault, StoreRefusal};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::execution::Execution;
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

/// The writer's own things.
pub(crate) struct Writer {
    pub(crate) storage: Storage,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) latch: Latch,
    pub(crate) stale_refused: Arc<AtomicU64>,
}

impl Writer {
    /// Starts it. The receiver tells how it ended; nothing at all if it panicked.
    pub(crate) fn start(
        self,
        execution: Execution,
    ) -> std::io::Result<oneshot::Receiver<Result<(), StorageFault>>> {
        let (ended, end) = oneshot::channel();
        let alarm = Alarm(self.latch.clone());
        match execution {
            Execution::Threads => {
                thread::Builder::new().name("store-writer".into()).spawn(move || {
                    let _alarm = alarm;
                    let _nobody_waits = ended.send(self.run_on_a_thread());
                })?;
            }
            Execution::Tasks { commit } => {
                tokio::spawn(async move {
                    let _alarm = alarm;
                    let _nobody_waits = ended.send(self.run_on_a_task(commit).await);
                });
            }
        }
        Ok(end)
    }

    fn run_on_a_thread(mut self) -> Result<(), StorageFault> {
        let mut orders = Vec::new();
        while self.orders.blocking_recv_many(&mut orders, GROUP_MAX) > 0 {
            if let Err(fault) = self.take(&mut orders) {
                while let Some(order) = self.orders.blocking_recv() {
                    refuse(order, &fault);
                }
                return Err(fault);
            }
        }
        self.close()
    }

    async fn run_on_a_task(mut self, commit: Duration) -> Result<(), StorageFault> {
        let mut orders = Vec::new();
        while self.orders.recv_many(&mut orders, GROUP_MAX).await > 0 {
            tokio::time::sleep(commit).await;
            if let Err(fault) = self.take(&mut orders) {
                while let Some(order) = self.orders.recv().await {
                    refuse(order, &fault);
                }
                return Err(fault);
            }
        }
        self.close()
    }

    fn close(self) -> Result<(), StorageFault> {
        self.storage.close().inspect_err(|fault| self.latch.close(fault.to_string()))
    }

    /// One group. After a fault nothing more is taken.
    fn take(&mut self, orders: &mut Vec<Order>) -> Result<(), StorageFault> {
        let jobs = self.take_jobs(orders);
        self.serve(jobs).inspect_err(|fault| {
            error!(%fault, "the store stops: its disk failed");
            self.orders.close();
        })
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
}

fn refuse(order: Order, fault: &StorageFault) {
    match order {
        Order::Job(job) => answer(job, Err(fault.to_fault())),
        Order::Stop => {}
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

/// Closes the latch if the writer dies of a panic: nobody would answer any more.
struct Alarm(Latch);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close(StorageFault::Panicked.to_string());
        }
    }
}
