//! What lies on a node's disk, as seeds.

use bytes::Bytes;
use leasehold_core::Batch;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, Record, RecordRef, RecordStream, StreamOptions, read_checked};
use leasehold_raft::fuzz::open_snapshot;

use crate::seeds::{Seeds, pieces};

/// The disk of the targets.
const TARGETS_DISK: DiskId = DiskId([5; 16]);
const ENTRY: u8 = 2;
const BATCH: u8 = 1;
/// Term and index, then what the entry holds.
const ENTRY_HEAD: usize = 17;

pub(crate) fn record(disk: &FakeDisk, seeds: &Seeds) {
    let mount = disk.mount();
    for (kind, name) in [(1, "identity"), (2, "peers"), (3, "stream-manifest")] {
        let payload = read_checked(&*mount, name).expect("whole").expect("there");
        seeds.take("whole_files", kind, &payload);
        seeds.take("whole_files", 0, &file_named_file(&payload));
        if name == "stream-manifest" {
            seeds.take("whole_files", 4, &payload[16..]);
        }
    }
    if let Some(document) = read_checked(&*mount, "snapshot").expect("whole") {
        seeds.take("snapshots", 1, &document[4..]);
        let (_, state) = open_snapshot(Bytes::from(document)).expect("as written");
        seeds.take("snapshots", 0, &state.expect("founded").snapshot());
    }
    let identity = read_checked(&*mount, "identity").expect("whole").expect("there");
    let own = DiskId(std::array::from_fn(|at| identity[8 + at]));
    let (_, records, _) =
        RecordStream::open(mount, StreamOptions::new(own)).expect("a healthy stream");
    log(&records, seeds);
    segments(&records, seeds);
}

/// A whole file under the name that the target reads.
fn file_named_file(payload: &[u8]) -> Vec<u8> {
    let disk = FakeDisk::new(1);
    leasehold_disk::replace_atomically(&*disk.mount(), "file", payload).expect("room");
    disk.contents("file").expect("just written")
}

fn log(records: &[Record], seeds: &Seeds) {
    let with_kind: Vec<Vec<u8>> =
        records.iter().map(|record| [&[record.kind], &record.payload[..]].concat()).collect();
    for record in &with_kind {
        seeds.take("log_records", 0, record);
    }
    for part in with_kind.chunks(24) {
        seeds.take("log_records", 1, &pieces(part.iter().map(Vec::as_slice)));
    }
    let batches: Vec<&[u8]> = records
        .iter()
        .filter(|record| record.kind == ENTRY && record.payload.get(16) == Some(&BATCH))
        .map(|record| &record.payload[ENTRY_HEAD..])
        .collect();
    for batch in &batches {
        Batch::decode(batch).expect("a node wrote it");
        seeds.take_whole("core_codec", batch.to_vec());
    }
    for part in batches.chunks(16) {
        seeds.take("apply", 0, &pieces(part.iter().copied()));
    }
}

/// The same records in a stream of the targets' disk, as the bytes of its first segment.
fn segments(records: &[Record], seeds: &Seeds) {
    for part in records.chunks(6) {
        let disk = FakeDisk::new(1);
        let options = StreamOptions { step_bytes: 8_192, ..StreamOptions::new(TARGETS_DISK) };
        let (mut stream, _, _) = RecordStream::open(disk.mount(), options).expect("empty");
        for group in part.chunks(2) {
            let group: Vec<RecordRef<'_>> = group
                .iter()
                .map(|record| RecordRef { kind: record.kind, payload: &record.payload })
                .collect();
            stream.append_group(&group, Vec::new, false).expect("the disk is well");
        }
        let segment = disk.contents("segment-00000000000000000001").expect("the first");
        seeds.take("stream_recovery", 0, &without_zeros(&segment));
    }
}

/// Runs of zeros in two bytes, as the target reads them: a zero, then how many, or how many times 64.
fn without_zeros(bytes: &[u8]) -> Vec<u8> {
    let (mut short, mut rest) = (Vec::new(), bytes);
    while let Some((first, behind)) = rest.split_first() {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        let (told, taken) = match zeros {
            0 => {
                short.push(*first);
                rest = behind;
                continue;
            }
            1..64 => (zeros, zeros),
            _ => (127 + (zeros / 64).min(128), (zeros / 64).min(128) * 64),
        };
        short.extend([0, u8::try_from(told).expect("at most 255")]);
        rest = &rest[taken..];
    }
    short
}
