//! Reads: one view of the last durable commit.

use std::ops::Bound;

use bytes::Bytes;
use leasehold_api::{CheckedStoreList, PAGE_BYTES_MAX};
use leasehold_fence::{Floor, Mark};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata};

use crate::fault::StorageFault;
use crate::group::{decode_mark, read_number};
use crate::tables::{MARKS, MarkRow, NAMES, NUMBERS, VALUES, ValueRow, name, number};

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
    /// The revision of the write that last changed it.
    pub version: u64,
    /// The token under which it was written.
    pub token: u64,
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In byte order of their keys.
    pub entries: Vec<Entry>,
    /// Whether more entries follow the last of these.
    pub more: bool,
}

/// What the store knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The lease cluster the store belongs to, once one told its id.
    pub cluster_id: Option<String>,
    /// No token below this is accepted.
    pub floor: Floor,
    /// Accepted writes since the store was made.
    pub revision: u64,
    /// Resources with a mark.
    pub resources: u64,
    /// Keys stored.
    pub keys: u64,
    /// The highest token seen on any resource.
    pub highest_token: u64,
    /// Random, made with the store.
    pub(crate) store_id: u64,
    /// Commits since the store was made.
    pub(crate) commits: u64,
}

/// A read transaction. Sees nothing that is not durable: the database publishes a commit to readers
/// only after its sync.
pub(crate) struct Snapshot {
    numbers: ReadOnlyTable<&'static str, u64>,
    names: ReadOnlyTable<&'static str, &'static str>,
    marks: ReadOnlyTable<&'static str, MarkRow>,
    values: ReadOnlyTable<(&'static str, &'static str), ValueRow>,
}

impl Snapshot {
    pub(crate) fn take(database: &Database) -> Result<Self, StorageFault> {
        let txn = database.begin_read()?;
        Ok(Self {
            numbers: txn.open_table(NUMBERS)?,
            names: txn.open_table(NAMES)?,
            marks: txn.open_table(MARKS)?,
            values: txn.open_table(VALUES)?,
        })
    }

    pub(crate) fn format(&self) -> Result<u64, StorageFault> {
        read_number(&self.numbers, number::FORMAT)
    }

    pub(crate) fn cluster_id(&self) -> Result<Option<String>, StorageFault> {
        Ok(self.names.get(name::CLUSTER_ID)?.map(|id| id.value().to_owned()))
    }

    pub(crate) fn mark(&self, resource: &str) -> Result<Mark, StorageFault> {
        match self.marks.get(resource)? {
            Some(row) => Ok(decode_mark(resource, row.value())?.0),
            None => Ok(Mark::NONE),
        }
    }

    pub(crate) fn get(&self, resource: &str, key: &str) -> Result<Option<Entry>, StorageFault> {
        Ok(self.values.get((resource, key))?.map(|row| entry(key, row.value())))
    }

    /// The entries of a page: as many as asked for, ending early before the page grows too long for
    /// one message.
    pub(crate) fn list(&self, ask: &CheckedStoreList) -> Result<Page, StorageFault> {
        let resource = ask.resource.as_str();
        let from = match ask.after.as_deref() {
            Some(after) if after >= ask.prefix.as_str() => Bound::Excluded((resource, after)),
            _ => Bound::Included((resource, ask.prefix.as_str())),
        };
        let mut page = Page::default();
        let mut bytes = 0;
        for row in self.values.range((from, Bound::Unbounded))? {
            let (place, value) = row?;
            let (of, key) = place.value();
            if of != resource || !key.starts_with(&ask.prefix) {
                break;
            }
            bytes += key.len() + value.value().2.len();
            if page.entries.len() == ask.page_size || bytes > PAGE_BYTES_MAX {
                page.more = true;
                break;
            }
            page.entries.push(entry(key, value.value()));
        }
        Ok(page)
    }

    pub(crate) fn counters(&self) -> Result<Counters, StorageFault> {
        Ok(Counters {
            cluster_id: self.cluster_id()?,
            floor: Floor::new(read_number(&self.numbers, number::FLOOR)?),
            revision: read_number(&self.numbers, number::REVISION)?,
            resources: self.marks.len()?,
            keys: self.values.len()?,
            highest_token: read_number(&self.numbers, number::HIGHEST_TOKEN)?,
            store_id: read_number(&self.numbers, number::STORE_ID)?,
            commits: read_number(&self.numbers, number::COMMITS)?,
        })
    }

    /// Every mark, in byte order of the resources.
    pub(crate) fn marks(&self) -> &ReadOnlyTable<&'static str, MarkRow> {
        &self.marks
    }

    /// Every value, in byte order of resources and keys.
    pub(crate) fn values(&self) -> &ReadOnlyTable<(&'static str, &'static str), ValueRow> {
        &self.values
    }
}

fn entry(key: &str, (version, token, bytes): (u64, u64, &[u8])) -> Entry {
    Entry { key: key.to_owned(), value: Bytes::copy_from_slice(bytes), version, token }
}
