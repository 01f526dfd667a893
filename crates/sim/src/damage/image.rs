//! What lies on a disk: names and bytes, durable, to be looked at, damaged and put into a disk again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, RecordStream, StreamOptions};

/// A kind of durable file of a lease node. Every name on a disk belongs to one; what belongs to none is
/// a file nobody thought of here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    /// Whose disk it is, and how often it was started.
    Identity,
    /// What the node has seen of the others.
    Peers,
    /// Which segments there must be.
    Manifest,
    /// The segment that is written to.
    NewestSegment,
    /// One that has a successor.
    OlderSegment,
    /// The state as a whole.
    Snapshot,
    /// Whatever is not whole yet.
    Temporary,
}

impl FileKind {
    /// Those that a node at rest has.
    pub(crate) const AT_REST: [Self; 6] = [
        Self::Identity,
        Self::Peers,
        Self::Manifest,
        Self::NewestSegment,
        Self::OlderSegment,
        Self::Snapshot,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Peers => "peers",
            Self::Manifest => "stream-manifest",
            Self::NewestSegment => "segment (newest)",
            Self::OlderSegment => "segment (older)",
            Self::Snapshot => "snapshot",
            Self::Temporary => "*.new",
        }
    }
}

/// The files of one disk. Bytes are shared between images: a history leaves thousands of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Image {
    /// What a process on that disk would read.
    pub(crate) fn of(disk: &FakeDisk, shared: &mut Shared) -> Self {
        let read = |name: String| {
            let bytes = disk.contents(&name)?;
            Some((name, shared.share(bytes)))
        };
        Self { files: disk.names().into_iter().filter_map(read).collect() }
    }

    /// A disk with exactly this on it, durably.
    pub(crate) fn disk(&self, seed: u64) -> FakeDisk {
        let disk = FakeDisk::new(seed);
        let mount = disk.mount();
        for (name, bytes) in &self.files {
            let made = mount.create(name, 0).and_then(|mut file| {
                file.write_at(0, bytes)?;
                file.sync()
            });
            made.expect("a fake disk without planned faults takes every file");
        }
        mount.sync_directory().expect("a fake disk without planned faults syncs");
        disk
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(AsRef::as_ref)
    }

    pub(crate) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes.into());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// Changes a file's bytes; false if there is no such file or nothing changed.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(bytes) = self.files.get_mut(name) else { return false };
        let mut changed = bytes.to_vec();
        change(&mut changed);
        let differs = changed[..] != bytes[..];
        *bytes = changed.into();
        differs
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.names()
            .filter(|name| name.starts_with("segment-") && !name.ends_with(".new"))
            .collect()
    }

    /// `None`: nobody thought of such a file.
    pub(crate) fn kind(&self, name: &str) -> Option<FileKind> {
        match name {
            _ if name.ends_with(".new") => Some(FileKind::Temporary),
            "identity" => Some(FileKind::Identity),
            "peers" => Some(FileKind::Peers),
            "stream-manifest" => Some(FileKind::Manifest),
            "snapshot" => Some(FileKind::Snapshot),
            _ if self.segments().last() == Some(&name) => Some(FileKind::NewestSegment),
            _ if name.starts_with("segment-") => Some(FileKind::OlderSegment),
            _ => None,
        }
    }

    /// The kinds of records in the log.
    pub(crate) fn record_kinds(&self, disk_id: DiskId) -> Result<Vec<u8>, String> {
        let opened = RecordStream::open(self.disk(0).mount(), StreamOptions::new(disk_id));
        let (_, records, _) = opened.map_err(|error| error.to_string())?;
        let mut kinds: Vec<u8> = records.iter().map(|record| record.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }
}

/// Equal bytes are kept once.
#[derive(Debug, Default)]
pub(crate) struct Shared(HashMap<Vec<u8>, Arc<[u8]>>);

impl Shared {
    fn share(&mut self, bytes: Vec<u8>) -> Arc<[u8]> {
        if let Some(known) = self.0.get(&bytes) {
            return known.clone();
        }
        let shared: Arc<[u8]> = bytes.as_slice().into();
        self.0.insert(bytes, shared.clone());
        shared
    }
}
