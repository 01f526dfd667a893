//! The store's rules and tables, on a backend in memory, against a naive model: the same answer to every
//! request, the same contents after every group, no broken invariant, through restarts and floors.

mod backend;
mod model;

use arbitrary::Arbitrary;
use leasehold_api::pb::store::v1 as pb;
use leasehold_api::{
    CheckedMutation, CheckedStoreGet, CheckedStoreList, CheckedWrite, MutationKind,
};
use leasehold_fence::{Floor, Mark};
use leasehold_store::fuzz::{Ask, Store};
use leasehold_types::{FencingToken, ResourceName};
use prost::Message;

use crate::input::{pieces, value};
use backend::Memory;
use model::Model;

const STEPS_MAX: usize = 24;
const GROUP_MAX: usize = 6;
const RESOURCES_MAX: u64 = 4;
const KEYS: [&str; 3] = ["a", "b", "b/c"];

/// What happens next.
enum Step {
    Group(Vec<Ask>),
    Restart { floor: u64 },
}

/// The first byte says whether the others are recorded writes, or a made-up story.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, body)) => run(recorded(body)),
        Some((_, body)) => {
            if let Some(deeds) = value::<Vec<Deed>>(body) {
                run(deeds.iter().map(step));
            }
        }
        None => {}
    }
}

fn recorded(body: &[u8]) -> impl Iterator<Item = Step> {
    pieces(body).filter_map(|piece| {
        let raw = pb::WriteRequest::decode(piece).ok()?;
        Some(Step::Group(vec![Ask::Write(CheckedWrite::try_from(raw).ok()?)]))
    })
}

fn run(steps: impl Iterator<Item = Step>) {
    let memory = Memory::default();
    let mut store = open(&memory, 0);
    let mut model = Model::new(RESOURCES_MAX);
    for step in steps.take(STEPS_MAX) {
        match step {
            Step::Group(asks) => {
                let expected: Vec<_> = asks.iter().map(|ask| model.apply(ask)).collect();
                assert_eq!(store.apply(&asks).expect("the memory is well"), expected);
            }
            Step::Restart { floor } => {
                store.close().expect("closes");
                store = open(&memory, floor);
                model.raise_floor(floor);
            }
        }
        compare(&store, &model);
    }
}

fn open(memory: &Memory, floor: u64) -> Store {
    Store::open(memory.clone(), Floor::new(floor), RESOURCES_MAX).expect("opens")
}

fn compare(store: &Store, model: &Model) {
    let fault = "the memory is well";
    assert_eq!(store.broken_invariants().expect(fault), Vec::<String>::new());
    let counters = store.counters().expect(fault);
    assert_eq!(counters.revision, model.revision);
    assert_eq!(counters.cluster_id, model.cluster_id);
    assert_eq!(counters.floor.get(), model.floor);
    for (name, known) in &model.resources {
        let mark = Mark::from_parts(known.mark.0, known.mark.1);
        assert_eq!(Some(store.mark(name).expect(fault)), mark);
        for key in KEYS {
            let entry = store.get(name, key).expect(fault);
            let stored = entry.map(|entry| (entry.version, entry.token, entry.value.to_vec()));
            assert_eq!(stored.as_ref(), known.values.get(key));
        }
        pages(store, name, known);
    }
}

/// A list, page by page, is all keys with that prefix in byte order.
fn pages(store: &Store, name: &str, known: &model::Known) {
    let (prefix, mut found, mut after) = ("b", Vec::new(), None);
    loop {
        let ask = CheckedStoreList {
            resource: ResourceName::new(name).expect("a name"),
            prefix: prefix.to_owned(),
            page_size: 1,
            after,
            token: None,
            cluster_id: None,
        };
        let page = store.list(&ask).expect("the memory is well");
        after = page.entries.last().map(|entry| entry.key.clone());
        found.extend(page.entries.into_iter().map(|entry| entry.key));
        if !page.more {
            break;
        }
    }
    let expected: Vec<_> = known.values.keys().filter(|key| key.starts_with(prefix)).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

#[derive(Arbitrary, Debug)]
enum Deed {
    Group(Vec<Write>),
    Restart,
    RestartWithFloor(u8),
}

#[derive(Arbitrary, Debug)]
struct Write {
    resource: u8,
    token: u8,
    sequence: u8,
    cluster: Option<bool>,
    /// `None` is a read that raises the mark.
    changes: Option<Vec<Change>>,
}

#[derive(Arbitrary, Debug)]
struct Change {
    key: u8,
    expected_version: Option<u8>,
    kind: u8,
    len: u8,
}

fn step(deed: &Deed) -> Step {
    match deed {
        Deed::Group(writes) => Step::Group(writes.iter().take(GROUP_MAX).map(ask).collect()),
        Deed::Restart => Step::Restart { floor: 0 },
        Deed::RestartWithFloor(floor) => Step::Restart { floor: u64::from(floor % 8) },
    }
}

fn ask(write: &Write) -> Ask {
    let Write { resource, token, sequence, cluster, changes } = write;
    let resources = ["r", "r/1", "s", "t", "u", "v"];
    let resource = ResourceName::new(resources[usize::from(resource % 6)]).expect("a name");
    let token = FencingToken::new(u64::from(token % 8) + 1).expect("above 0");
    let cluster_id = cluster.map(|home| if home { "home".to_owned() } else { "away".to_owned() });
    match changes {
        None => {
            let key = KEYS[0].to_owned();
            Ask::Raise(CheckedStoreGet { resource, key, token: Some(token), cluster_id })
        }
        Some(changes) => Ask::Write(CheckedWrite {
            resource,
            token,
            sequence: u64::from(sequence % 5),
            mutations: changes.iter().take(4).map(mutation).collect(),
            cluster_id,
        }),
    }
}

fn mutation(change: &Change) -> CheckedMutation {
    let Change { key, expected_version, kind, len } = change;
    let value = || vec![b'v'; usize::from(len % 4)].into();
    CheckedMutation {
        key: KEYS[usize::from(key % 3)].to_owned(),
        expected_version: expected_version.map(|version| u64::from(version % 6)),
        kind: match kind % 3 {
            0 => MutationKind::Put(value()),
            1 => MutationKind::Append(value()),
            _ => MutationKind::Delete,
        },
    }
}
