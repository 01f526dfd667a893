//! What the clients of one cluster asked and were answered: written down, and checked at the end.
//!
//! A test's clients speak like generated ones, and each of their calls becomes lines of a history
//! (`docs/history-format.md`). A call that was dropped, or is still open when the cluster goes, is one
//! whose outcome is unknown. When the cluster is dropped its history is read back from the file and
//! checked; a broken promise fails the test, and the file stays.
//!
//! A check that did not see everything would pass for the wrong reason, so messages are counted twice:
//! here, and below the generated clients, where they leave. The two numbers must agree, and so must the
//! lines written and the lines read.
//!
//! What a line cannot say is counted and not written: a call so malformed that it has no line (token 0,
//! a negative duration), accepted only if it was answered BAD_FIELD; and a renewed item of which nobody
//! ever told the resource. Calls for the status of a node tell of no claim and are not in it. Nor is what
//! commands do: they are processes, and what they print is not all that they sent. [`witness`] sees
//! their effects all the same.

mod effects;
mod lease;
mod lease_lines;
mod names;
mod outcome;
mod store;
mod store_lines;
mod streams;
mod verdict;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leasehold_sim::history::Recorder;
use leasehold_sim::history::record::{Outcome, Record, Watched};
use tonic::{Response, Status};

pub use lease::LeaseClient;
pub use store::StoreClient;
pub use streams::{Session, Watch, WriteStream};
pub use verdict::Checked;
pub use witness::Witness;

use effects::Effects;
use names::Names;
use outcome::outcome;

type Answer<T> = Result<Response<T>, Status>;

/// The history of one cluster while it is written.
pub struct History {
    recorder: Recorder,
    path: PathBuf,
    clients: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Messages that left, counted below the generated clients, by method.
    sent: BTreeMap<String, u64>,
    /// The same, counted here.
    begun: BTreeMap<String, u64>,
    /// Unary calls and attempts on streams.
    asked: u64,
    /// Those not yet answered, with the lines that they are if they never are.
    open: BTreeMap<u64, Option<Vec<Record>>>,
    /// Those with a line in the file.
    told: BTreeSet<u64>,
    /// Lines that wait for somebody to tell their resource.
    nameless: Vec<(u64, Record)>,
    names: Names,
    /// Calls without a line that were answered BAD_FIELD.
    malformed: u64,
    /// Calls without a line that were not.
    inexpressible: Vec<String>,
    /// Lines of calls in the file.
    lines: u64,
    /// How far each watch has come.
    watches: BTreeMap<u64, Watched>,
    watches_opened: u64,
    effects: Effects,
    is_over: bool,
}

/// Who asked, and when.
pub struct At<'a> {
    pub client: &'a str,
    pub invoked_ns: u64,
    pub answered_ns: Option<u64>,
}

/// A request that a history has lines for.
pub trait Asks: Clone {
    /// What it is answered, as far as a history tells it.
    type Answer;
    /// Its gRPC method, as `service/Method`.
    const METHOD: &'static str;

    /// Its lines, at least one; `None` where the format cannot say what was asked.
    fn lines(&self, at: &At<'_>, outcome: Outcome<&Self::Answer>) -> Option<Vec<Record>>;
}

/// A call that was begun. Dropped without an answer, its outcome is unknown.
pub struct Call<Q: Asks> {
    history: Arc<History>,
    client: Arc<str>,
    number: u64,
    request: Q,
    invoked_ns: u64,
}

impl History {
    /// Begins the history of a test, in a file that bears its name.
    pub fn begin() -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("histories");
        std::fs::create_dir_all(&folder).expect("the build's own folder can be written to");
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("test").replace("::", "-");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{test}-{}-{number}.jsonl", std::process::id()));
        let recorder = Recorder::create(&path).expect("a new file");
        Arc::new(Self { recorder, path, clients: AtomicU64::new(0), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_client(&self) -> Arc<str> {
        format!("c{}", 1 + self.clients.fetch_add(1, Ordering::Relaxed)).into()
    }

    /// A unary call is about to be sent.
    fn call<Q: Asks>(self: &Arc<Self>, client: &Arc<str>, request: &Q) -> Call<Q> {
        self.opened(Q::METHOD);
        self.attempt(client, request)
    }

    /// A unary call whose lines tell its answer as it is.
    async fn recorded<Q: Asks>(
        self: &Arc<Self>,
        client: &Arc<str>,
        request: Q,
        send: impl AsyncFnOnce(Q) -> Answer<Q::Answer>,
    ) -> Answer<Q::Answer> {
        let call = self.call(client, &request);
        let answer = send(request).await;
        call.settle(outcome(&answer));
        answer
    }

    /// A stream is about to be opened.
    fn opened(&self, method: &str) {
        *self.state().begun.entry(method.to_owned()).or_default() += 1;
    }

    /// An attempt is about to be sent, alone or on a stream.
    fn attempt<Q: Asks>(self: &Arc<Self>, client: &Arc<str>, request: &Q) -> Call<Q> {
        let invoked_ns = self.recorder.now_ns();
        let at = At { client, invoked_ns, answered_ns: None };
        let unanswered = request.lines(&at, Outcome::Unknown);
        let mut state = self.state();
        let number = state.asked;
        state.asked += 1;
        for line in unanswered.iter().flatten() {
            state.names.learn(line);
        }
        state.open.insert(number, unanswered);
        let (history, client, request) = (Arc::clone(self), Arc::clone(client), request.clone());
        Call { history, client, number, request, invoked_ns }
    }

    fn conclude(&self, number: u64, lines: Option<Vec<Record>>, said: impl FnOnce() -> String) {
        let mut state = self.state();
        if state.open.remove(&number).is_none() {
            return;
        }
        match lines {
            Some(lines) => lines.into_iter().for_each(|line| self.write(&mut state, number, line)),
            None => {
                let said = said();
                if said.ends_with("BAD_FIELD") {
                    state.malformed += 1;
                } else {
                    state.inexpressible.push(said);
                }
            }
        }
    }

    /// Writes a line of a call, as soon as its resource is known.
    fn write(&self, state: &mut State, number: u64, mut line: Record) {
        state.names.learn(&line);
        if !state.names.complete(&mut line) {
            state.nameless.push((number, line));
            return;
        }
        state.told.insert(number);
        state.lines += 1;
        state.effects.note(&line);
        self.put(&line);
    }

    fn put(&self, line: &Record) {
        self.recorder.record(line).expect("room on the disk");
    }
}

impl<Q: Asks> Call<Q> {
    /// It was answered, or nobody knows.
    fn settle(self, outcome: Outcome<&Q::Answer>) {
        let answered_ns = Some(self.history.recorder.now_ns());
        let at = At { client: &self.client, invoked_ns: self.invoked_ns, answered_ns };
        let said = match &outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Refused(no) => &no.reason.clone(),
            Outcome::Unknown => "unknown",
        };
        let lines = self.request.lines(&at, outcome);
        self.history.conclude(self.number, lines, || format!("{}: {said}", Q::METHOD));
    }
}

impl<Q: Asks> Drop for Call<Q> {
    fn drop(&mut self) {
        let mut state = self.history.state();
        let open = state.open.get_mut(&self.number);
        let Some(lines) = open.map(Option::take) else { return };
        drop(state);
        self.history.conclude(self.number, lines, || format!("{}: dropped", Q::METHOD));
    }
}
