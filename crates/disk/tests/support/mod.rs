//! Short words for the stories.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod damage;
pub(crate) mod story;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{
    DiskId, GroupPosition, OpenError, OpenReport, OwnedRecord, Record, RecordRef, RecordStream,
    StreamOptions,
};

pub(crate) const DISK_ID: DiskId = DiskId([5; 16]);
/// Segments start with their head and two marks.
pub(crate) const DATA_START: u64 = 12_288;

/// Segments of a handful of groups.
pub(crate) fn small() -> StreamOptions {
    StreamOptions { segment_bytes: 40_960, step_bytes: 8_192, ..StreamOptions::new(DISK_ID) }
}

/// The same with space for a whole segment, so that an append does not allocate.
pub(crate) fn roomy() -> StreamOptions {
    StreamOptions { step_bytes: 32_768, ..small() }
}

pub(crate) fn try_open(
    disk: &FakeDisk,
) -> Result<(RecordStream, Vec<Record>, OpenReport), OpenError> {
    RecordStream::open(disk.mount(), small())
}

pub(crate) fn open(disk: &FakeDisk) -> (RecordStream, Vec<Record>, OpenReport) {
    try_open(disk).unwrap_or_else(|error| panic!("{error}"))
}

/// Appends records of kind 7 without carrying anything.
pub(crate) fn append(stream: &mut RecordStream, payloads: &[&str], seal: bool) -> GroupPosition {
    let records: Vec<RecordRef<'_>> =
        payloads.iter().map(|text| RecordRef { kind: 7, payload: text.as_bytes() }).collect();
    stream.append_group(&records, Vec::<OwnedRecord>::new, seal).unwrap()
}

pub(crate) fn payloads(records: &[Record]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8(r.payload.to_vec()).unwrap()).collect()
}

pub(crate) fn segments(disk: &FakeDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("segment-")).collect()
}
