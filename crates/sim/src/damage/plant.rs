//! Checks that are left out, to see whether the trials would notice.
//!
//! A check cannot be switched off from here, and need not be: what it would have found is done to the
//! disk in such a way that it finds nothing any more. Checksums are made right again, memories of peers
//! are emptied, the identity is kept.

use std::fmt;

use leasehold_disk::{
    BootId, DiskId, Identity, OwnedRecord, PeerMemory, RecordRef, RecordStream, Start,
    StreamOptions, read_checked, replace_atomically,
};

use super::cluster::{CLUSTER, disk_id};
use super::harm::replace_all;
use super::history::{History, LAST_GRANTED};
use super::image::{Image, Shared};
use crate::simulation::old_copy;

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
    /// Nobody remembers how far the log of a peer had come.
    ReachForgotten,
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
                keep_identity(image, node, &history.today[&node]);
                true
            }
            Self::WitnessForgotten => false,
            Self::PeersForgotten => replace_all(image, history.yesterday.get(&node)),
            Self::ReachForgotten => replace_all(image, history.live_copies.get(&node)),
        }
    }

    /// What the other nodes' disks must have forgotten for it.
    pub(crate) fn strike_others(self, image: &mut Image) {
        if !matches!(self, Self::PeersForgotten | Self::ReachForgotten) {
            return;
        }
        let disk = image.disk(0);
        let mount = disk.mount();
        let open = || PeerMemory::open(mount.clone()).expect("an undamaged memory");
        let seen: Vec<(u64, Start)> =
            open().seen().map(|(node, start)| (node, start.clone())).collect();
        replace_atomically(&*mount, "peers", &[]).expect("a fake disk works");
        if self == Self::ReachForgotten {
            let mut memory = open();
            for (node, start) in seen {
                memory.admit(node, start).expect("nobody is known");
            }
        }
        *image = Image::of(&disk, &mut Shared::default());
    }
}

/// And how far the log had come, which peers know as well.
fn keep_identity(image: &mut Image, node: u64, before: &Image) {
    let disk = Image::default().disk(0);
    let mount = disk.mount();
    // The first start makes everything that belongs to it; then the old identity comes back.
    Identity::claim(&*mount, CLUSTER, 1, DiskId([0; 16]), BootId([0; 16]))
        .expect("an empty fake disk");
    let groups = old_copy::groups(&before.disk(0), disk_id(node)).expect("an undamaged log");
    old_copy::grow_to(&disk, disk_id(node), groups);
    *image = Image::of(&disk, &mut Shared::default());
    if let Some(identity) = before.get("identity") {
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
    let Ok((before, records, _)) = opened else { return false };
    let before = before.synced_group();
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
    // Peers know how far it had come.
    old_copy::grow_to(&disk, disk_id(node), before);
    *image = Image::of(&disk, &mut Shared::default());
    true
}
