//! Checks that are left out, to see whether the trials would notice.
//!
//! A check cannot be switched off from here, and need not be: what it would have found is done to the
//! disk in such a way that it finds nothing any more. Checksums are made right again, memories of peers
//! are emptied, the identity is kept.

use std::fmt;

use leasehold_disk::{
    BootId, DiskId, Identity, OwnedRecord, RecordRef, RecordStream, StreamOptions, read_checked,
    replace_atomically,
};

use super::cluster::{CLUSTER, disk_id};
use super::history::{History, LAST_GRANTED};
use super::image::{Image, Shared};

/// A known bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Plant {
    /// A bit of a snapshot flips, and no checksum is looked at.
    SnapshotUnchecked,
    /// A bit of an entry of the log flips, and no checksum is looked at.
    EntryUnchecked,
    /// The last groups of the log are cut off like a torn tail, although they were durable.
    SealedTailCut,
    /// A wiped disk keeps its identity.
    WipedKeepsIdentity,
    /// Nobody remembers how often a peer was started.
    PeersForgotten,
    /// A copy of a disk made while the node ran is put back before the node was started again: no bug
    /// of a check, but what no check can find.
    LiveCopy,
    /// A store takes an old copy of its database at its word.
    WitnessForgotten,
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = clap::ValueEnum::to_possible_value(self);
        f.write_str(word.as_ref().map_or("", |word| word.get_name()))
    }
}

impl Plant {
    /// Does it to the image of `node`; false if it cannot be done there.
    pub(crate) fn strike(self, image: &mut Image, node: u64, history: &History) -> bool {
        match self {
            Self::SnapshotUnchecked => change_snapshot(image),
            Self::EntryUnchecked => rewrite_log(image, node, |records| {
                let name = LAST_GRANTED.as_bytes();
                let place = records.iter().enumerate().find_map(|(nth, record)| {
                    let found = record.payload.windows(name.len()).position(|bytes| bytes == name);
                    found.map(|at| (nth, at))
                });
                place.is_some_and(|(nth, at)| {
                    let mut bytes = records[nth].payload.to_vec();
                    bytes[at] ^= 1;
                    records[nth].payload = bytes.into();
                    true
                })
            }),
            Self::SealedTailCut => rewrite_log(image, node, |records| {
                records.truncate(records.len().saturating_sub(12));
                true
            }),
            Self::WipedKeepsIdentity => {
                keep_identity(image, history.today[&node].get("identity"));
                true
            }
            Self::LiveCopy => {
                let Some(copy) = history.live_copies.get(&node) else { return false };
                *image = copy.clone();
                true
            }
            Self::WitnessForgotten => false,
            Self::PeersForgotten => {
                let Some(old) = history.yesterday.get(&node) else { return false };
                *image = old.clone();
                true
            }
        }
    }

    /// What the other nodes' disks must have forgotten for it.
    pub(crate) fn strike_others(self, image: &mut Image) {
        if self == Self::PeersForgotten {
            let disk = image.disk(0);
            replace_atomically(&*disk.mount(), "peers", &[]).expect("a fake disk works");
            *image = Image::of(&disk, &mut Shared::default());
        }
    }
}

fn keep_identity(image: &mut Image, identity: Option<&[u8]>) {
    let disk = Image::default().disk(0);
    let mount = disk.mount();
    // The first start makes everything that belongs to it; then the old identity comes back.
    Identity::claim(&*mount, CLUSTER, 1, DiskId([0; 16]), BootId([0; 16]))
        .expect("an empty fake disk");
    *image = Image::of(&disk, &mut Shared::default());
    if let Some(identity) = identity {
        image.put("identity", identity.to_vec());
    }
}

fn change_snapshot(image: &mut Image) -> bool {
    let disk = image.disk(0);
    let mount = disk.mount();
    let Ok(Some(mut document)) = read_checked(&*mount, "snapshot") else { return false };
    // A letter in a name, say: the state can still be restored, and is another.
    let Some(at) = document.windows(10).position(|bytes| bytes == b"the script") else {
        return false;
    };
    document[at] ^= 1;
    let checksum = crc32c::crc32c(&document[4..]);
    document[..4].copy_from_slice(&checksum.to_le_bytes());
    replace_atomically(&*mount, "snapshot", &document).expect("a fake disk works");
    *image = Image::of(&disk, &mut Shared::default());
    true
}

/// The same log with other records, every checksum right.
fn rewrite_log(
    image: &mut Image,
    node: u64,
    change: impl FnOnce(&mut Vec<OwnedRecord>) -> bool,
) -> bool {
    let options = StreamOptions::new(disk_id(node));
    let opened = RecordStream::open(image.disk(0).mount(), options);
    let Ok((_, records, _)) = opened else { return false };
    let mut records: Vec<OwnedRecord> = records
        .into_iter()
        .map(|record| OwnedRecord { kind: record.kind, payload: record.payload })
        .collect();
    if !change(&mut records) {
        return false;
    }
    let names: Vec<String> = image.names().map(str::to_owned).collect();
    for name in
        names.iter().filter(|name| name.starts_with("segment-") || *name == "stream-manifest")
    {
        image.remove(name);
    }
    let disk = image.disk(0);
    let options = StreamOptions { step_bytes: 16 << 10, ..options };
    let (mut stream, _, _) =
        RecordStream::open(disk.mount(), options).expect("a fake disk without a stream");
    for record in &records {
        let group = [RecordRef { kind: record.kind, payload: &record.payload }];
        stream.append_group(&group, Vec::new, false).expect("a fake disk works");
    }
    drop(stream);
    *image = Image::of(&disk, &mut Shared::default());
    true
}
