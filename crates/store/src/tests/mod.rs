//! The store below its network: rules, restarts, power cuts, flipped bits.

mod backend;
mod engine;
mod flips;
mod model;
mod opening;
mod power_cuts;
mod random;
mod rules;

use leasehold_api::{CheckedMutation, CheckedWrite, MutationKind};
use leasehold_fence::{Floor, Mark};
use leasehold_types::{FencingToken, ResourceName, StoreRefusal};
use redb::ReadableTable;

use crate::group::{Outcome, Request, Written};
use crate::open::{Options, open_backend};
use crate::open_error::OpenError;
use crate::snapshot::{Counters, Snapshot};
use crate::storage::Storage;
use crate::witness::Testimony;
use backend::Backend;

/// Everything a store holds, in a form that two stores can be compared by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    marks: Vec<(String, u64, u64, Vec<u8>)>,
    values: Vec<(String, String, u64, u64, Vec<u8>)>,
    cluster_id: Option<String>,
    revision: u64,
    highest_token: u64,
}

fn contents(storage: &Storage) -> Contents {
    let snapshot = Snapshot::take(storage.database()).expect("reads");
    let marks = snapshot.marks().iter().expect("reads").map(|row| {
        let (resource, mark) = row.expect("reads");
        let (token, sequence, answer) = mark.value();
        (resource.value().to_owned(), token, sequence, answer.to_vec())
    });
    let values = snapshot.values().iter().expect("reads").map(|row| {
        let (place, value) = row.expect("reads");
        let ((resource, key), (version, token, bytes)) = (place.value(), value.value());
        (resource.to_owned(), key.to_owned(), version, token, bytes.to_vec())
    });
    let (marks, values) = (marks.collect(), values.collect());
    let Counters { cluster_id, revision, highest_token, .. } = snapshot.counters().expect("reads");
    Contents { marks, values, cluster_id, revision, highest_token }
}

fn options() -> Options {
    Options { floor: Floor::NONE, cluster_id: None, resources_max: 1_000, verify: true }
}

fn open(backend: &Backend, options: &Options) -> Result<Storage, OpenError> {
    open_backend(backend.clone(), options, Testimony::None)
}

/// A store in memory, new.
fn new_store() -> (Backend, Storage) {
    let backend = Backend::default();
    let storage = open(&backend, &options()).expect("opens");
    (backend, storage)
}

/// The same store after its process ended in order.
fn restarted(backend: &Backend, storage: Storage) -> Storage {
    storage.close().expect("closes");
    open(backend, &options()).expect("opens again")
}

fn apply(storage: &mut Storage, request: Request) -> Outcome {
    let outcomes = storage.apply([&request]).expect("the disk is well");
    outcomes.into_iter().next().expect("one request, one outcome")
}

fn token(value: u64) -> FencingToken {
    FencingToken::new(value).expect("tests use tokens above 0")
}

fn mark(token: u64, sequence: u64) -> Mark {
    Mark::from_parts(token, sequence).expect("tests make no damaged mark")
}

fn write<const N: usize>(
    resource: &str,
    presented: u64,
    sequence: u64,
    mutations: [CheckedMutation; N],
) -> Request {
    Request::Write(CheckedWrite {
        resource: ResourceName::new(resource).expect("tests use good names"),
        token: token(presented),
        sequence,
        mutations: mutations.into(),
        cluster_id: None,
    })
}

fn raise(resource: &str, presented: u64) -> Request {
    Request::Raise { resource: resource.into(), token: token(presented), cluster_id: None }
}

fn from_cluster(id: &str, mut request: Request) -> Request {
    match &mut request {
        Request::Write(CheckedWrite { cluster_id, .. }) | Request::Raise { cluster_id, .. } => {
            *cluster_id = Some(id.to_owned());
        }
    }
    request
}

fn put(key: &str, value: &str) -> CheckedMutation {
    let kind = MutationKind::Put(value.to_owned().into());
    CheckedMutation { key: key.to_owned(), expected_version: None, kind }
}

fn append(key: &str, value: &str) -> CheckedMutation {
    let kind = MutationKind::Append(value.to_owned().into());
    CheckedMutation { key: key.to_owned(), expected_version: None, kind }
}

fn delete(key: &str) -> CheckedMutation {
    CheckedMutation { key: key.to_owned(), expected_version: None, kind: MutationKind::Delete }
}

fn at_version(version: u64, mutation: CheckedMutation) -> CheckedMutation {
    CheckedMutation { expected_version: Some(version), ..mutation }
}

fn written(token: u64, sequence: u64, revision: u64) -> Outcome {
    Ok(Written { mark: mark(token, sequence), revision })
}

fn stale_token(presented: u64, mark_token: u64, mark_sequence: u64) -> Outcome {
    Err(StoreRefusal::StaleToken { token: presented, mark_token, mark_sequence })
}

fn value_of(storage: &Storage, resource: &str, key: &str) -> Option<String> {
    let snapshot = Snapshot::take(storage.database()).expect("reads");
    let entry = snapshot.get(resource, key).expect("reads")?;
    Some(String::from_utf8(entry.value.to_vec()).expect("tests write text"))
}
