//! One group of requests in one transaction: the only place that changes anything.
//!
//! Every request passes the same three gates, whatever it does: the cluster it names, the floor, and
//! the mark. Only then are its mutations judged, all of them before the first is applied, so that a
//! refused request leaves nothing of its own in the transaction it shares with others.

use leasehold_api::{CheckedMutation, CheckedWrite, MutationKind};
use leasehold_fence::{Admitted, Floor, Mark, Stale};
use leasehold_types::{FencingToken, StoreRefusal};
use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use crate::answer::Remembered;
use crate::check::{Standing, check};
use crate::fault::StorageFault;
use crate::tables::{MARKS, MarkRow, NAMES, NUMBERS, VALUES, ValueRow, name, number};

/// What is asked of the writer.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Raise the mark and change data.
    Write(CheckedWrite),
    /// Raise the mark alone, for a read with a token.
    Raise { resource: String, token: FencingToken, cluster_id: Option<String> },
}

impl Request {
    /// Bytes of its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Write(write) => write.mutations.iter().map(bytes_of).sum(),
            Self::Raise { .. } => 0,
        }
    }
}

fn bytes_of(mutation: &CheckedMutation) -> usize {
    let value = match &mutation.kind {
        MutationKind::Put(value) | MutationKind::Append(value) => value.len(),
        MutationKind::Delete => 0,
    };
    mutation.key.len() + value
}

/// A request that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The mark after it.
    pub mark: Mark,
    /// The store's revision after it, as it was when it was first answered.
    pub revision: u64,
}

/// What a request is answered.
pub(crate) type Outcome = Result<Written, StoreRefusal>;

/// Why a request goes no further.
enum Stop {
    Refused(StoreRefusal),
    Fault(StorageFault),
}

impl From<StoreRefusal> for Stop {
    fn from(refusal: StoreRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Stale> for Stop {
    fn from(stale: Stale) -> Self {
        Self::Refused(refusal_of(stale))
    }
}

impl<E: Into<StorageFault>> From<E> for Stop {
    fn from(fault: E) -> Self {
        Self::Fault(fault.into())
    }
}

/// The rule's refusal in the words of the wire.
pub(crate) fn refusal_of(stale: Stale) -> StoreRefusal {
    match stale {
        Stale::Token { presented, mark } => {
            let (mark_token, mark_sequence) = mark.to_parts();
            StoreRefusal::StaleToken { token: presented.get(), mark_token, mark_sequence }
        }
        Stale::Sequence { presented, mark } => {
            let (mark_token, mark_sequence) = mark.to_parts();
            StoreRefusal::StaleSequence { sequence: presented, mark_token, mark_sequence }
        }
        Stale::BelowFloor { presented, floor } => {
            StoreRefusal::BelowFloor { token: presented.get(), floor: floor.get() }
        }
    }
}

/// What bounds every request. Fixed while the store runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) floor: Floor,
    pub(crate) resources_max: u64,
}

/// A transaction that requests are being applied in.
pub(crate) struct Group<'txn> {
    rules: Rules,
    numbers: Table<'txn, &'static str, u64>,
    names: Table<'txn, &'static str, &'static str>,
    marks: Table<'txn, &'static str, MarkRow>,
    values: Table<'txn, (&'static str, &'static str), ValueRow>,
    cluster_id: Option<String>,
    revision: u64,
    highest_token: u64,
    changed: bool,
}

impl<'txn> Group<'txn> {
    pub(crate) fn open(txn: &'txn WriteTransaction, rules: Rules) -> Result<Self, StorageFault> {
        let numbers = txn.open_table(NUMBERS)?;
        let names = txn.open_table(NAMES)?;
        let cluster_id = names.get(name::CLUSTER_ID)?.map(|id| id.value().to_owned());
        let revision = read_number(&numbers, number::REVISION)?;
        let highest_token = read_number(&numbers, number::HIGHEST_TOKEN)?;
        let (marks, values) = (txn.open_table(MARKS)?, txn.open_table(VALUES)?);
        let changed = false;
        Ok(Self {
            rules,
            numbers,
            names,
            marks,
            values,
            cluster_id,
            revision,
            highest_token,
            changed,
        })
    }

    /// Judges one request and applies it, or leaves the transaction as it was.
    pub(crate) fn apply(&mut self, request: &Request) -> Result<Outcome, StorageFault> {
        let outcome = match request {
            Request::Write(write) => self.write(write),
            Request::Raise { resource, token, cluster_id } => {
                self.raise(resource, *token, cluster_id.as_deref())
            }
        };
        match outcome {
            Ok(written) => Ok(Ok(written)),
            Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    /// Puts the counters down. `Some(commits)` when there is something to commit.
    pub(crate) fn finish(mut self) -> Result<Option<u64>, StorageFault> {
        if !self.changed {
            return Ok(None);
        }
        let commits = read_number(&self.numbers, number::COMMITS)?
            .checked_add(1)
            .ok_or(StorageFault::Exhausted { counter: number::COMMITS })?;
        self.numbers.insert(number::COMMITS, commits)?;
        self.numbers.insert(number::REVISION, self.revision)?;
        self.numbers.insert(number::HIGHEST_TOKEN, self.highest_token)?;
        Ok(Some(commits))
    }

    fn write(&mut self, write: &CheckedWrite) -> Result<Written, Stop> {
        let resource = write.resource.as_str();
        let cluster_id = write.cluster_id.as_deref();
        self.pass_cluster_and_floor(write.token, cluster_id)?;
        let (before, remembered) = self.find_mark(resource)?;
        let mark = match before.admit(write.token, write.sequence)? {
            Admitted::Repeat => return repeat(resource, before, remembered),
            Admitted::Accept(mark) => mark,
        };
        self.pass_resource_bound(before)?;
        let revision = self
            .revision
            .checked_add(1)
            .ok_or(StorageFault::Exhausted { counter: number::REVISION })?;
        let verdict = check(&write.mutations, revision, |key| self.find_standing(resource, key))?;
        self.pin_cluster(cluster_id)?;
        let outcome = match verdict {
            Ok(()) => {
                self.mutate(resource, write.token, revision, &write.mutations)?;
                (self.revision, self.changed) = (revision, true);
                Ok(Written { mark, revision })
            }
            Err(remark) => Err(remark),
        };
        let answer = match &outcome {
            _ if write.sequence == 0 => Remembered::Nothing,
            Ok(written) => Remembered::Written { revision: written.revision },
            Err(remark) => Remembered::Refused(remark.clone()),
        };
        self.keep_mark(resource, before, mark, &answer)?;
        Ok(outcome.map_err(StoreRefusal::from)?)
    }

    fn raise(
        &mut self,
        resource: &str,
        token: FencingToken,
        cluster_id: Option<&str>,
    ) -> Result<Written, Stop> {
        self.pass_cluster_and_floor(token, cluster_id)?;
        let (before, _) = self.find_mark(resource)?;
        let mark = before.raise(token)?;
        self.pass_resource_bound(before)?;
        self.pin_cluster(cluster_id)?;
        self.keep_mark(resource, before, mark, &Remembered::Nothing)?;
        Ok(Written { mark, revision: self.revision })
    }

    fn pass_cluster_and_floor(
        &self,
        token: FencingToken,
        cluster_id: Option<&str>,
    ) -> Result<(), Stop> {
        pass_cluster(self.cluster_id.as_deref(), cluster_id)?;
        Ok(self.rules.floor.admit(token)?)
    }

    /// A resource that has no mark yet needs room for one.
    fn pass_resource_bound(&self, before: Mark) -> Result<(), Stop> {
        let limit = self.rules.resources_max;
        if before == Mark::NONE && self.marks.len()? >= limit {
            return Err(StoreRefusal::TooManyResources { limit }.into());
        }
        Ok(())
    }

    fn find_mark(&self, resource: &str) -> Result<(Mark, Remembered), StorageFault> {
        match self.marks.get(resource)? {
            Some(row) => decode_mark(resource, row.value()),
            None => Ok((Mark::NONE, Remembered::Nothing)),
        }
    }

    fn find_standing(&self, resource: &str, key: &str) -> Result<Option<Standing>, StorageFault> {
        Ok(self.values.get((resource, key))?.map(|row| {
            let (version, _, bytes) = row.value();
            Standing { version, bytes: bytes.len() as u64 }
        }))
    }

    fn mutate(
        &mut self,
        resource: &str,
        token: FencingToken,
        revision: u64,
        mutations: &[CheckedMutation],
    ) -> Result<(), StorageFault> {
        for CheckedMutation { key, kind, expected_version: _ } in mutations {
            let place = (resource, key.as_str());
            match kind {
                MutationKind::Put(value) => {
                    self.values.insert(place, (revision, token.get(), &value[..]))?;
                }
                MutationKind::Delete => {
                    self.values.remove(place)?;
                }
                MutationKind::Append(value) => {
                    let mut whole = match self.values.get(place)? {
                        Some(row) => row.value().2.to_vec(),
                        None => Vec::new(),
                    };
                    whole.extend_from_slice(value);
                    self.values.insert(place, (revision, token.get(), &whole[..]))?;
                }
            }
        }
        Ok(())
    }

    fn pin_cluster(&mut self, cluster_id: Option<&str>) -> Result<(), StorageFault> {
        let (None, Some(id)) = (&self.cluster_id, cluster_id) else { return Ok(()) };
        self.names.insert(name::CLUSTER_ID, id)?;
        self.cluster_id = Some(id.to_owned());
        self.changed = true;
        Ok(())
    }

    /// Keeps the mark and the answer that belongs to it. A write without a sequence that leaves the
    /// mark where it is leaves the answer of the write that set it, too.
    fn keep_mark(
        &mut self,
        resource: &str,
        before: Mark,
        mark: Mark,
        answer: &Remembered,
    ) -> Result<(), StorageFault> {
        if mark == before {
            return Ok(());
        }
        let (token, sequence) = mark.to_parts();
        self.marks.insert(resource, (token, sequence, &answer.to_bytes()[..]))?;
        self.highest_token = self.highest_token.max(token);
        self.changed = true;
        Ok(())
    }
}

/// Refuses another cluster than the pinned one; what is not told is not checked.
pub(crate) fn pass_cluster(
    pinned: Option<&str>,
    presented: Option<&str>,
) -> Result<(), StoreRefusal> {
    match (pinned, presented) {
        (Some(pinned), Some(presented)) if pinned != presented => Err(StoreRefusal::WrongCluster {
            presented: presented.to_owned(),
            pinned: pinned.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn repeat(resource: &str, mark: Mark, remembered: Remembered) -> Result<Written, Stop> {
    match remembered {
        Remembered::Written { revision } => Ok(Written { mark, revision }),
        Remembered::Refused(remark) => Err(StoreRefusal::from(remark).into()),
        Remembered::Nothing => {
            let what = format!("the mark {mark} of {resource:?} lacks the answer of its write");
            Err(StorageFault::damaged(what).into())
        }
    }
}

/// A row of `marks`, checked.
pub(crate) fn decode_mark(
    resource: &str,
    (token, sequence, answer): (u64, u64, &[u8]),
) -> Result<(Mark, Remembered), StorageFault> {
    let mark = Mark::from_parts(token, sequence).filter(|mark| *mark != Mark::NONE);
    match (mark, Remembered::from_bytes(answer)) {
        (Some(mark), Some(remembered)) => Ok((mark, remembered)),
        _ => Err(StorageFault::damaged(format!("the mark of {resource:?} cannot be read"))),
    }
}

/// A row of `numbers`; absent is 0.
pub(crate) fn read_number(
    numbers: &impl ReadableTable<&'static str, u64>,
    name: &str,
) -> Result<u64, StorageFault> {
    Ok(numbers.get(name)?.map_or(0, |value| value.value()))
}
