//! Processes that can be stopped and killed from outside, on a runtime that knows only tasks.
//!
//! The simulated runtime polls tasks on one thread and never drops one. Here every task belongs to a
//! process: a task of a stopped process is not polled until the process goes on, and a task of a dead
//! one is dropped where it stands, in the middle of whatever it was doing, as SIGKILL leaves it.
//!
//! [`SimProcesses`] is the runtime the real code is given. A task spawned by a task belongs to the same
//! process; [`spawn_in`] crosses that border, and only the network and the world use it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use leasehold_raft::AsyncRuntime;
use openraft_rt::OptionalSend;
use openraft_rt_sim::{SimInstant, SimRuntime};

/// A process, or [`WORLD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pid(u64);

/// What belongs to no process: the network, the world itself. Never stopped.
pub(crate) const WORLD: Pid = Pid(0);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Dead,
}

struct Process {
    state: State,
    tasks: BTreeMap<u64, Waker>,
}

#[derive(Default)]
struct Table {
    seed: u64,
    last_pid: u64,
    last_task: u64,
    processes: BTreeMap<Pid, Process>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
    static CURRENT: Cell<Pid> = const { Cell::new(WORLD) };
}

fn with_table<T>(change: impl FnOnce(&mut Table) -> T) -> T {
    TABLE.with(|table| change(&mut table.borrow_mut()))
}

/// Forgets all processes of an earlier run on this thread.
pub(crate) fn reset(seed: u64) {
    with_table(|table| *table = Table { seed, ..Table::default() });
    CURRENT.set(WORLD);
}

/// A new process without tasks.
pub(crate) fn new_process() -> Pid {
    with_table(|table| {
        table.last_pid += 1;
        let pid = Pid(table.last_pid);
        table.processes.insert(pid, Process { state: State::Running, tasks: BTreeMap::new() });
        pid
    })
}

/// Whether it can still do anything.
pub(crate) fn lives(pid: Pid) -> bool {
    pid == WORLD || with_table(|table| table.processes.contains_key(&pid))
}

/// SIGSTOP.
pub(crate) fn stop(pid: Pid) {
    with_table(|table| {
        if let Some(process) = table.processes.get_mut(&pid) {
            process.state = State::Stopped;
        }
    });
}

/// SIGCONT.
pub(crate) fn go_on(pid: Pid) {
    change_and_wake(pid, State::Running);
}

/// SIGKILL: its tasks are dropped before virtual time moves on.
pub(crate) fn kill(pid: Pid) {
    change_and_wake(pid, State::Dead);
    with_table(|table| table.processes.remove(&pid));
}

fn change_and_wake(pid: Pid, state: State) {
    let wakers: Vec<Waker> = with_table(|table| {
        let Some(process) = table.processes.get_mut(&pid) else { return Vec::new() };
        process.state = state;
        process.tasks.values().cloned().collect()
    });
    wakers.into_iter().for_each(Waker::wake);
}

/// Starts a task of another process. It never runs if that process is dead.
pub(crate) fn spawn_in(pid: Pid, task: impl Future<Output = ()> + Send + 'static) {
    drop(SimRuntime::spawn(Owned::new(pid, task)));
}

/// A future that is polled only while its process runs; `None` when the process was killed.
struct Owned<F> {
    pid: Pid,
    number: u64,
    inner: Option<Pin<Box<F>>>,
}

impl<F: Future> Owned<F> {
    fn new(pid: Pid, inner: F) -> Self {
        let number = with_table(|table| {
            table.last_task += 1;
            table.last_task
        });
        Self { pid, number, inner: Some(Box::pin(inner)) }
    }

    fn admit(&self, waker: &Waker) -> State {
        if self.pid == WORLD {
            return State::Running;
        }
        with_table(|table| match table.processes.get_mut(&self.pid) {
            None => State::Dead,
            Some(process) => {
                process.tasks.entry(self.number).or_insert_with(|| waker.clone());
                process.state
            }
        })
    }

    /// Drops what is left, as its process would.
    fn end(&mut self) {
        let within = CURRENT.replace(self.pid);
        self.inner = None;
        CURRENT.set(within);
        with_table(|table| {
            if let Some(process) = table.processes.get_mut(&self.pid) {
                process.tasks.remove(&self.number);
            }
        });
    }
}

impl<F: Future> Future for Owned<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.admit(context.waker()) {
            State::Stopped => return Poll::Pending,
            State::Dead => {
                self.end();
                return Poll::Ready(None);
            }
            State::Running => {}
        }
        let pid = self.pid;
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let within = CURRENT.replace(pid);
        let polled = inner.as_mut().poll(context);
        CURRENT.set(within);
        polled.map(|output| {
            self.end();
            Some(output)
        })
    }
}

/// The runtime under test: the simulated one, with processes.
#[derive(Debug)]
pub(crate) struct SimProcesses;

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoResult {
    /// Its process was killed.
    #[error("the process was killed")]
    Killed,
    /// It panicked, or the runtime ended.
    #[error(transparent)]
    Runtime(openraft_rt_sim::SimJoinError),
}

/// The result of a task.
pub(crate) struct Joined<T>(openraft_rt_sim::SimJoinHandle<Option<T>>);

impl<T> Future for Joined<T> {
    type Output = Result<T, NoResult>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|joined| match joined {
            Ok(output) => output.ok_or(NoResult::Killed),
            Err(error) => Err(NoResult::Runtime(error)),
        })
    }
}

impl AsyncRuntime for SimProcesses {
    type JoinError = NoResult;
    type JoinHandle<T: OptionalSend + 'static> = Joined<T>;
    type Sleep = <SimRuntime as AsyncRuntime>::Sleep;
    type Instant = SimInstant;
    type TimeoutError = <SimRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <SimRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <SimRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <SimRuntime as AsyncRuntime>::Mpsc;
    type Watch = <SimRuntime as AsyncRuntime>::Watch;
    type Oneshot = <SimRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <SimRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        Joined(SimRuntime::spawn(Owned::new(CURRENT.get(), future)))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        SimRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        SimRuntime::sleep_until(deadline)
    }

    fn timeout<R, F>(duration: Duration, future: F) -> Self::Timeout<R, F>
    where
        F: Future<Output = R> + OptionalSend,
    {
        SimRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F>
    where
        F: Future<Output = R> + OptionalSend,
    {
        SimRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        matches!(error, NoResult::Runtime(error) if SimRuntime::is_panic(error))
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        SimRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        let _ = threads;
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        SimRuntime::with_seed(with_table(|table| table.seed)).block_on(future)
    }

    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        SimRuntime::spawn_blocking(work)
    }
}

/// True time: what no process can read.
pub(crate) fn true_time() -> Duration {
    SimInstant::try_now().map(SimInstant::elapsed_since_start).unwrap_or_default()
}

/// Waits, for whoever calls.
pub(crate) async fn sleep(duration: Duration) {
    SimRuntime::sleep(duration).await;
}

/// Waits until a moment of [`true_time`].
pub(crate) async fn sleep_until(at: Duration) {
    SimRuntime::sleep(at.saturating_sub(true_time())).await;
}
