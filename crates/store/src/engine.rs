//! The store without its network: writes in, durable answers out; reads of the last durable commit.
//!
//! Writes, and reads whose token is new, go through one bounded queue to the [`Writer`]. Other reads
//! run beside it on blocking threads, a bounded number at a time, each on a snapshot of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use leasehold_api::{CheckedStoreGet, CheckedStoreList, CheckedWrite, Problem};
use leasehold_fence::Mark;
use leasehold_types::{Fault, FencingToken};
use redb::Database;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::error;

use crate::config::Config;
use crate::execution::Execution;
use crate::fault::StorageFault;
use crate::group::{Outcome, Request, Rules, Written, pass_cluster, refusal_of};
use crate::lane::{Lane, Room};
use crate::latch::Latch;
use crate::open::{Options, open_directory};
use crate::open_error::OpenError;
use crate::snapshot::{Counters, Entry, Page, Snapshot};
use crate::storage::Storage;
use crate::writer::{Job, Order, Writer, is_stale};

/// Reads at work at one time. The database reads from memory as a rule, so few keep a machine busy.
const READS_MAX: u32 = 16;
/// Reads at work or waiting for their turn.
const READS_QUEUED_MAX: usize = 4_096;

/// Handle to an open store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    orders: mpsc::Sender<Order>,
    calls: Lane,
    streams: Lane,
    database: Weak<Database>,
    rules: Rules,
    reads: Arc<Semaphore>,
    reads_queued: Arc<Semaphore>,
    stale_refused: Arc<AtomicU64>,
    latch: Latch,
    execution: Execution,
}

/// Whoever has this can stop the store and learn how it ended. Once this and every [`Engine`] are
/// dropped the store closes too, but nobody learns of it.
#[derive(Debug)]
pub struct Keeper {
    engine: Engine,
    end: oneshot::Receiver<Result<(), StorageFault>>,
}

/// What a read with or without a token answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// What was read.
    pub found: T,
    /// The resource's mark at that moment.
    pub mark: Mark,
}

impl Engine {
    /// Opens the store of a configuration and starts its writer. Blocks, and may read the whole
    /// database.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &Config, execution: Execution) -> Result<(Self, Keeper), OpenError> {
        let storage = open_directory(&config.data_dir, &Options::from(config))?;
        Self::start(storage, config.queue_max, execution)
            .map_err(|source| OpenError::Directory { path: config.data_dir.clone(), source })
    }

    /// Starts the writer of an open storage.
    pub(crate) fn start(
        storage: Storage,
        queue_max: usize,
        execution: Execution,
    ) -> std::io::Result<(Self, Keeper)> {
        // Room for both lanes and the stop: whoever has room in a lane has it here.
        let (sender, orders) = mpsc::channel(2 * queue_max + 1);
        let engine = Self {
            orders: sender,
            calls: Lane::new(queue_max),
            streams: Lane::new(queue_max),
            database: Arc::downgrade(storage.database()),
            rules: storage.rules(),
            reads: Arc::new(Semaphore::new(READS_MAX as usize)),
            reads_queued: Arc::new(Semaphore::new(READS_QUEUED_MAX)),
            stale_refused: Arc::default(),
            latch: Latch::new(),
            execution,
        };
        let writer = Writer {
            storage,
            orders,
            latch: engine.latch.clone(),
            stale_refused: engine.stale_refused.clone(),
        };
        let end = writer.start(execution)?;
        Ok((engine.clone(), Keeper { engine, end }))
    }

    /// Applies a write, durably.
    ///
    /// # Errors
    /// The store's refusal, `QUEUE_FULL` at once when too much is under way, or another fault.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws nothing: the write may still be applied.
    pub async fn write(&self, write: CheckedWrite) -> Result<Written, Problem> {
        let pending = self.submit(Request::Write(write)).await?;
        self.outcome(pending).await
    }

    /// As [`Self::write`], in two steps: first its place in the queue, waiting for room instead of
    /// answering `QUEUE_FULL`, then the answer. Writes are applied in the order of the first steps.
    ///
    /// # Errors
    /// A fault: the store is stopping or has failed. Then no later write is queued either.
    pub(crate) async fn enqueue(&self, write: CheckedWrite) -> Result<Pending, Fault> {
        let request = Request::Write(write);
        let room = self.streams.enter(request.bytes()).await;
        self.queue(request, room).await
    }

    async fn submit(&self, request: Request) -> Result<Pending, Fault> {
        let room = self.calls.try_enter(request.bytes())?;
        self.queue(request, room).await
    }

    async fn queue(&self, request: Request, room: Room) -> Result<Pending, Fault> {
        let (reply, pending) = oneshot::channel();
        let order = Order::Job(Job { request, reply, room });
        self.orders.send(order).await.map_err(|_| self.gone())?;
        Ok(Pending(pending))
    }

    /// The answer to an enqueued write.
    pub(crate) async fn outcome(&self, pending: Pending) -> Result<Written, Problem> {
        match pending.0.await {
            Ok(Ok(outcome)) => outcome.map_err(Problem::from),
            Ok(Err(fault)) => Err(fault.into()),
            Err(_) => Err(self.latch.fault().unwrap_or_else(unanswered).into()),
        }
    }

    /// Reads one key.
    ///
    /// # Errors
    /// With a token: the store's refusal. Any fault.
    pub async fn get(&self, ask: CheckedStoreGet) -> Result<Read<Option<Entry>>, Problem> {
        let CheckedStoreGet { resource, key, token, cluster_id } = ask;
        let guard = Guard { resource: resource.as_str().to_owned(), token, cluster_id };
        self.read_guarded(guard, move |snapshot| snapshot.get(resource.as_str(), &key)).await
    }

    /// Reads one page of keys.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(&self, ask: CheckedStoreList) -> Result<Read<Page>, Problem> {
        let guard = Guard {
            resource: ask.resource.as_str().to_owned(),
            token: ask.token,
            cluster_id: ask.cluster_id.clone(),
        };
        self.read_guarded(guard, move |snapshot| snapshot.list(&ask)).await
    }

    /// What the store knows of itself.
    ///
    /// # Errors
    /// Any fault.
    pub async fn counters(&self) -> Result<Counters, Problem> {
        Ok(self.read(Snapshot::counters).await?)
    }

    /// Writes and reads refused as stale since the store was started.
    pub fn stale_refused(&self) -> u64 {
        self.stale_refused.load(Ordering::Relaxed)
    }

    /// What is answered since the disk failed, if it has.
    pub fn fault(&self) -> Option<Fault> {
        self.latch.fault()
    }

    /// Waits until the disk has failed, and says how. The store answers nothing from then on.
    pub async fn failed(&self) -> String {
        self.latch.closed().await
    }

    /// Reads under the guard's token. Where the mark already has that token, the snapshot proves it;
    /// where it is smaller, it is raised durably first, and the read starts over.
    async fn read_guarded<T: Send + 'static>(
        &self,
        guard: Guard,
        find: impl Fn(&Snapshot) -> Result<T, StorageFault> + Clone + Send + 'static,
    ) -> Result<Read<T>, Problem> {
        loop {
            let (asked, find) = (guard.clone(), find.clone());
            let rules = self.rules;
            match self.read(move |snapshot| asked.look(rules, snapshot, find)).await? {
                Looked::Found(read) => return Ok(read),
                Looked::Refused(problem) => {
                    if matches!(&problem, Problem::Store(refusal) if is_stale(refusal)) {
                        self.stale_refused.fetch_add(1, Ordering::Relaxed);
                    }
                    return Err(problem);
                }
                Looked::MarkIsBelow(token) => {
                    let Guard { resource, cluster_id, .. } = guard.clone();
                    let raise = Request::Raise { resource, token, cluster_id };
                    let pending = self.submit(raise).await?;
                    self.outcome(pending).await?;
                }
            }
        }
    }

    /// Runs one read where it delays nobody else. A fault of the disk closes the latch.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, StorageFault> + Send + 'static,
    ) -> Result<T, Fault> {
        if let Some(fault) = self.latch.fault() {
            return Err(fault);
        }
        let queued = self.reads_queued.clone().try_acquire_owned();
        let queued = queued.map_err(|_| Fault::QueueFull { limit: READS_QUEUED_MAX as u64 })?;
        let turn = self.reads.clone().acquire_owned().await.map_err(|_| self.gone())?;
        let (database, latch) = (self.database.clone(), self.latch.clone());
        let done = self.execution.run(move || {
            let result = match database.upgrade() {
                Some(database) => Snapshot::take(&database).and_then(|snapshot| read(&snapshot)),
                None => return Err(latch.fault().unwrap_or(Fault::ShuttingDown)),
            };
            // The turn ends last: whoever has all turns knows that nobody has the database.
            drop((queued, turn));
            result.map_err(|fault| {
                error!(%fault, "the store stops: its disk failed");
                latch.close(fault.to_string());
                fault.to_fault()
            })
        });
        done.await.unwrap_or_else(|_| {
            self.latch.close(String::from("a read panicked"));
            Err(self.gone())
        })
    }

    fn gone(&self) -> Fault {
        self.latch.fault().unwrap_or(Fault::ShuttingDown)
    }
}

impl Keeper {
    /// Takes nothing new, answers what is queued, and closes the database.
    ///
    /// # Errors
    /// The fault that the store failed of, now or before.
    pub async fn stop(self) -> Result<(), StorageFault> {
        let Self { engine, end } = self;
        if let Ok(all) = engine.reads.acquire_many(READS_MAX).await {
            all.forget();
            engine.reads.close();
        }
        // A writer that has stopped already took itself out of the queue.
        let _stopped_already = engine.orders.send(Order::Stop).await;
        end.await.unwrap_or(Err(StorageFault::Panicked))
    }
}

/// A write that has its place in the queue.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Result<Outcome, Fault>>);

/// What a read has to pass.
#[derive(Clone, Debug)]
struct Guard {
    resource: String,
    token: Option<FencingToken>,
    cluster_id: Option<String>,
}

enum Looked<T> {
    Found(Read<T>),
    Refused(Problem),
    MarkIsBelow(FencingToken),
}

impl Guard {
    fn look<T>(
        &self,
        rules: Rules,
        snapshot: &Snapshot,
        find: impl FnOnce(&Snapshot) -> Result<T, StorageFault>,
    ) -> Result<Looked<T>, StorageFault> {
        let pinned = snapshot.cluster_id()?;
        if let Err(refusal) = pass_cluster(pinned.as_deref(), self.cluster_id.as_deref()) {
            return Ok(Looked::Refused(refusal.into()));
        }
        let mark = snapshot.mark(&self.resource)?;
        if let Some(token) = self.token {
            match rules.floor.admit(token).and_then(|()| mark.raise(token)) {
                Err(stale) => return Ok(Looked::Refused(refusal_of(stale).into())),
                Ok(raised) if raised != mark => return Ok(Looked::MarkIsBelow(token)),
                Ok(_) => {}
            }
        }
        Ok(Looked::Found(Read { found: find(snapshot)?, mark }))
    }
}

fn unanswered() -> Fault {
    Fault::OutcomeUnknown { why: String::from("the writer went away without an answer") }
}
