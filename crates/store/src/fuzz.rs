//! A door for `fuzz/`: the store's rules on a backend of the caller's, without threads or a network, and
//! its configuration without a file. Behind the feature `fuzz`; not part of the library.
#![allow(missing_docs, reason = "for one caller, where each is explained")]

use std::path::Path;

use leasehold_api::{CheckedStoreGet, CheckedStoreList, CheckedWrite};
use leasehold_fence::{Floor, Mark};
use leasehold_types::StoreRefusal;

use crate::contents::broken_invariants;
use crate::group::Request;
use crate::open::{Options, open_backend};
use crate::snapshot::Snapshot;
use crate::storage::Storage;
use crate::witness::Testimony;
use crate::{Config, Counters, Entry, Page, StorageFault, Written};

pub fn parse_config(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("store.toml"), text).map_err(|error| error.to_string())
}

/// A request to the one writer.
#[derive(Clone, Debug)]
pub enum Ask {
    Write(CheckedWrite),
    /// What a read with a token does before it reads.
    Raise(CheckedStoreGet),
}

#[derive(Debug)]
pub struct Store(Storage);

impl Store {
    pub fn open(
        backend: impl redb::StorageBackend,
        floor: Floor,
        resources_max: u64,
    ) -> Result<Self, String> {
        let options = Options { floor, cluster_id: None, resources_max, verify: true };
        open_backend(backend, &options, Testimony::None)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// One group in one transaction.
    pub fn apply(
        &mut self,
        group: &[Ask],
    ) -> Result<Vec<Result<Written, StoreRefusal>>, StorageFault> {
        let requests: Vec<Request> = group.iter().cloned().filter_map(request).collect();
        self.0.apply(&requests)
    }

    pub fn mark(&self, resource: &str) -> Result<Mark, StorageFault> {
        self.snapshot()?.mark(resource)
    }

    pub fn get(&self, resource: &str, key: &str) -> Result<Option<Entry>, StorageFault> {
        self.snapshot()?.get(resource, key)
    }

    pub fn list(&self, ask: &CheckedStoreList) -> Result<Page, StorageFault> {
        self.snapshot()?.list(ask)
    }

    pub fn counters(&self) -> Result<Counters, StorageFault> {
        self.snapshot()?.counters()
    }

    pub fn broken_invariants(&self) -> Result<Vec<String>, StorageFault> {
        broken_invariants(&self.snapshot()?)
    }

    pub fn close(self) -> Result<(), StorageFault> {
        self.0.close()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageFault> {
        Snapshot::take(self.0.database())
    }
}

/// A read without a token asks the writer nothing.
fn request(ask: Ask) -> Option<Request> {
    match ask {
        Ask::Write(write) => Some(Request::Write(write)),
        Ask::Raise(CheckedStoreGet { resource, key: _, token, cluster_id }) => {
            Some(Request::Raise { resource: resource.to_string(), token: token?, cluster_id })
        }
    }
}
