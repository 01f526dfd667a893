//! The read-modify-write that a lock service is for.
//!
//! An increment reads the count, and then, in one atomic write, puts the next count and appends its own
//! name to a log. What was lost can therefore be counted in two ways: by the count, and name by name.

use leasehold_client::{
    Entry, FencedStore, LeaseGuard, Mutation, StoreClient, StoreError, Written,
};
use leasehold_sim::history::record as line;
use leasehold_sim::history::record::{Outcome as Answer, Record, Refused, Token};
use leasehold_types::{FencingToken, StoreRefusal};
use rustix::process::{Signal, getpid, kill_process};

use super::journal::Journal;
use crate::Outcome;

pub(crate) const COUNT: &str = "count";
pub(crate) const LOG: &str = "log/";
/// Names in one log key: a value stays small, so that an append costs little.
const NAMES_PER_KEY: u64 = 64;

/// How a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// By the library's store under a lease, which looks at the lease once more before it sends.
    Library,
    /// With token and sequence by hand, as a client in another language would: what is sent late is
    /// sent, and the store must refuse it.
    Explicit,
    /// Under one token for everybody, so that the store refuses nothing: the control.
    Unfenced,
}

/// Increments under one lease.
pub(super) struct Tenure<'a> {
    pub(super) journal: &'a Journal,
    pub(super) store_name: String,
    pub(super) store: &'a StoreClient,
    pub(super) fenced: FencedStore,
    pub(super) guard: &'a LeaseGuard,
    pub(super) manner: Manner,
    /// Writes sent under this lease.
    pub(super) writes: u64,
    pub(super) increments_only: bool,
    /// The last moment at which the lease was believed in.
    pub(super) believed_ns: u64,
}

impl Tenure<'_> {
    /// One increment; whether it was acknowledged. After anything else the lease is given up: what is
    /// unknown may still be applied, until somebody with a larger token comes.
    pub(super) async fn increment(&mut self, id: &str, stops: bool) -> Outcome<bool> {
        let Some(count) = self.read().await? else { return Ok(false) };
        if !self.believes() {
            return Ok(false);
        }
        if stops {
            // Between check and write, where no check helps. Somebody wakes us when it is too late.
            kill_process(getpid(), Signal::STOP)?;
            // What is believed now is written down, and not listened to.
            self.believes();
        }
        self.write(count, id).await
    }

    fn believes(&mut self) -> bool {
        let before = self.journal.begin();
        let believes = self.guard.check().is_ok();
        if believes {
            self.believed_ns = before;
        }
        believes
    }

    async fn read(&self) -> Outcome<Option<u64>> {
        let token = (self.manner != Manner::Unfenced).then(|| self.guard.token());
        let mut call = line::Read {
            client: self.journal.client(),
            store: self.store_name.clone(),
            resource: self.guard.resource().to_owned(),
            key: COUNT.to_owned(),
            token: token.map(Token::from),
            invoked_ns: self.journal.begin(),
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.note(|| Record::Read(call.clone()))?;
        let answer = match self.manner {
            Manner::Library => self.fenced.get(COUNT).await,
            Manner::Explicit | Manner::Unfenced => {
                let got = self.store.get(self.guard.resource(), COUNT, token).await;
                got.map(|got| got.entry)
            }
        };
        call.answered_ns = Some(self.journal.now());
        let count = answer.as_ref().ok().map(|entry| count_in(entry.as_ref())).transpose()?;
        call.outcome = answered(answer, found)?;
        self.note(|| Record::Read(call))?;
        Ok(count)
    }

    async fn write(&mut self, count: u64, id: &str) -> Outcome<bool> {
        self.writes += 1;
        let (next, key) = ((count + 1).to_string(), format!("{LOG}{:08}", count / NAMES_PER_KEY));
        let name = format!("{id};");
        let mutations =
            vec![Mutation::put(COUNT, next.clone()), Mutation::append(&key, name.clone())];
        let invoked_ns = self.journal.begin();
        let mut call = line::Write {
            client: self.journal.client(),
            store: self.store_name.clone(),
            resource: self.guard.resource().to_owned(),
            token: self.guard.token().into(),
            sequence: self.writes,
            mutations: vec![
                line::Mutation::Put { key: COUNT.to_owned(), value: next },
                line::Mutation::Append { key, value: name },
            ],
            invoked_ns,
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        let mut increment = line::Increment {
            client: self.journal.client(),
            counter: self.guard.resource().to_owned(),
            id: id.to_owned(),
            invoked_ns,
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.note(|| Record::Write(call.clone()))?;
        self.journal.write(&Record::Increment(increment.clone()))?;
        let answer = self.send(mutations).await;
        call.answered_ns = Some(self.journal.now());
        call.outcome = answered(answer, |written| line::Written { revision: written.revision })?;
        increment.answered_ns = call.answered_ns;
        increment.outcome = match &call.outcome {
            Answer::Ok(_) => Answer::Ok(line::Done {}),
            Answer::Refused(no) => Answer::Refused(no.clone()),
            Answer::Unknown => Answer::Unknown,
        };
        let acknowledged = increment.outcome.ok().is_some();
        self.note(|| Record::Write(call))?;
        self.journal.write(&Record::Increment(increment))?;
        Ok(acknowledged)
    }

    async fn send(&self, mutations: Vec<Mutation>) -> Result<Written, StoreError> {
        let resource = self.guard.resource();
        match self.manner {
            Manner::Library => self.fenced.write(mutations).await,
            Manner::Explicit => {
                let token = self.guard.token();
                self.store.write_with(resource, token, self.writes, mutations).await
            }
            Manner::Unfenced => {
                let token = FencingToken::new(1).expect("1 is a token");
                self.store.write_with(resource, token, 0, mutations).await
            }
        }
    }

    /// The store calls of the control are not part of the history: they break its rules on purpose.
    fn note(&self, record: impl FnOnce() -> Record) -> Outcome<()> {
        if self.manner != Manner::Unfenced && !self.increments_only {
            self.journal.write(&record())?;
        }
        Ok(())
    }
}

fn count_in(entry: Option<&Entry>) -> Outcome<u64> {
    let Some(entry) = entry else { return Ok(0) };
    Ok(std::str::from_utf8(&entry.value)?.parse()?)
}

fn found(entry: Option<Entry>) -> line::Found {
    let entry = entry.and_then(|entry| {
        let value = String::from_utf8_lossy(&entry.value).into_owned();
        Some(line::Entry { value, version: entry.version, token: Token::new(entry.token)? })
    });
    line::Found { entry }
}

/// What the store answered, as a history says it. A fault is unknown, unless it says otherwise.
fn answered<T, A>(answer: Result<T, StoreError>, say: impl FnOnce(T) -> A) -> Outcome<Answer<A>> {
    Ok(match answer {
        Ok(answer) => Answer::Ok(say(answer)),
        Err(StoreError::StaleToken { mark_token, mark_sequence, .. }) => Answer::Refused(Refused {
            mark_token: Token::new(mark_token),
            mark_sequence: Some(mark_sequence),
            ..Refused::because("STALE_TOKEN")
        }),
        Err(StoreError::Refused(StoreRefusal::StaleSequence {
            mark_token, mark_sequence, ..
        })) => Answer::Refused(Refused {
            mark_token: Token::new(mark_token),
            mark_sequence: Some(mark_sequence),
            ..Refused::because("STALE_SEQUENCE")
        }),
        Err(StoreError::Refused(no)) => Answer::Refused(Refused::because(no.reason())),
        Err(StoreError::Lost(_)) => Answer::Refused(Refused::because("NOT_SENT")),
        Err(StoreError::Fault(fault)) if fault.surely_not_applied() => {
            Answer::Refused(Refused::because("NOT_APPLIED"))
        }
        Err(StoreError::Fault(_)) => Answer::Unknown,
        Err(StoreError::BadField(bad)) => return Err(bad.into()),
    })
}
