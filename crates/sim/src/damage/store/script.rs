//! What is written to a store, and what it then knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use leasehold_api::{CheckedMutation, CheckedStoreList, CheckedWrite, MutationKind, Problem};
use leasehold_fence::Mark;
use leasehold_store::{Config, Engine, Entry, Execution, Keeper};
use leasehold_types::{FencingToken, ResourceName};
use tokio::runtime::Runtime;

use super::{DATABASE, Files, WITNESS};
use crate::simulation::random;

/// What the store answered when it was asked for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) resources: BTreeMap<ResourceName, (Vec<Entry>, Mark)>,
    pub(super) revision: u64,
    pub(super) highest_token: u64,
}

impl Known {
    pub(super) fn compare(&self, now: &Self) -> Result<(), String> {
        for (resource, told) in &self.resources {
            if now.resources.get(resource) != Some(told) {
                let brief = |(entries, mark): &(Vec<Entry>, Mark)| {
                    let entries = entries.iter().map(|entry| (entry.version, entry.token));
                    format!("{mark:?}, versions and tokens {:?}", entries.collect::<Vec<_>>())
                };
                let now = now.resources.get(resource).map(brief);
                return Err(format!("LOST: {resource} was {}, and is {now:?}", brief(told)));
            }
        }
        match self == now {
            true => Ok(()),
            false => Err("LOST: the counters are others".to_owned()),
        }
    }
}

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing of the system")
}

pub(super) fn open(dir: &Path) -> Result<(Engine, Keeper), String> {
    let config = Config { data_dir: dir.to_owned(), ..Config::default() };
    Engine::open(&config, Execution::Threads).map_err(|error| error.to_string())
}

pub(super) fn stop(runtime: &Runtime, keeper: Keeper) -> Result<(), String> {
    runtime.block_on(keeper.stop()).map_err(|fault| format!("it does not stop: {fault}"))
}

pub(super) fn files(dir: &Path) -> Files {
    let read = |name| fs::read(dir.join(name)).ok().map(|bytes| (name, bytes));
    [DATABASE, WITNESS].into_iter().filter_map(read).collect()
}

/// The same resources in another store, which has seen smaller tokens and made more commits.
pub(super) fn another(seed: u64) -> Result<Files, String> {
    let (runtime, dir) = (runtime(), tempfile::tempdir().map_err(|error| error.to_string())?);
    let (engine, keeper) = open(dir.path())?;
    for _ in 0..3 {
        for mut write in write_rounds(seed ^ 1) {
            write.sequence = 0;
            // Another store may well refuse what comes in this order.
            let _ = runtime.block_on(engine.write(write));
        }
    }
    let more = ResourceName::new("more").expect("a good name");
    for sequence in 1..=200 {
        let written = runtime.block_on(engine.write(put(&more, 1, sequence, "commit")));
        written.map_err(|why| format!("{why:?}"))?;
    }
    drop(engine);
    stop(&runtime, keeper)?;
    Ok(files(dir.path()))
}

pub(super) fn write_rounds(seed: u64) -> Vec<CheckedWrite> {
    let mut chance = random::stream(seed, "the store's history");
    let mut token = 1;
    let mut writes = Vec::new();
    for round in 0..40 {
        token += chance.u64(1..5);
        let resource = ResourceName::new(&format!("resource/{}", round % 7)).expect("a good name");
        let long = "x".repeat(chance.usize(1..3_000));
        for sequence in 1..=chance.u64(1..4) {
            let mut write = put(&resource, token, sequence, &long);
            if round % 9 == 8 {
                let kind = MutationKind::Delete;
                write.mutations.push(CheckedMutation {
                    key: "0".to_owned(),
                    expected_version: None,
                    kind,
                });
            }
            writes.push(write);
        }
    }
    writes
}

pub(super) fn put(resource: &ResourceName, token: u64, sequence: u64, value: &str) -> CheckedWrite {
    let kind = MutationKind::Put(value.to_owned().into());
    let key = (sequence % 4).to_string();
    CheckedWrite {
        resource: resource.clone(),
        token: FencingToken::new(token).expect("the script counts from 1"),
        sequence,
        mutations: vec![CheckedMutation { key, expected_version: None, kind }],
        cluster_id: None,
    }
}

pub(super) async fn look(engine: &Engine) -> Result<Known, Problem> {
    let mut resources = BTreeMap::new();
    for n in 0..7 {
        let resource = ResourceName::new(&format!("resource/{n}")).expect("a good name");
        let ask = CheckedStoreList {
            resource: resource.clone(),
            prefix: String::new(),
            page_size: 100,
            after: None,
            token: None,
            cluster_id: None,
        };
        let read = engine.list(ask).await?;
        resources.insert(resource, (read.found.entries, read.mark));
    }
    let counters = engine.counters().await?;
    Ok(Known { resources, revision: counters.revision, highest_token: counters.highest_token })
}
