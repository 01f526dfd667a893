//! A log to damage, and what reading it back must do.

use std::ops::Range;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{Damage, OpenError};

use super::{DATA_START, append, open, payloads, segments, try_open};

/// Three segments, closed as by a process that was killed: nothing but the marks is unsynced.
pub(crate) fn small_log() -> (FakeDisk, Vec<String>) {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    for n in 0..16 {
        let texts = [format!("entry {n}"), format!("{n}{}", "x".repeat(n * 9))];
        append(&mut stream, &[&texts[0], &texts[1]], n % 4 == 0);
    }
    disk.kill_process();
    let acknowledged = payloads(&open(&disk.image()).1);
    assert_eq!((segments(&disk).len(), acknowledged.len()), (3, 32));
    (disk, acknowledged)
}

/// Where the intact records of a segment are.
pub(crate) fn record_ranges(segment: &[u8]) -> Vec<Range<u64>> {
    let starts = (DATA_START as usize..segment.len()).step_by(8);
    let records = starts.filter(|at| segment[*at..].starts_with(b"LhRc"));
    records
        .map(|at| {
            let len = u32::from_le_bytes(segment[at + 8..at + 12].try_into().unwrap());
            at as u64..at as u64 + 56 + u64::from(len)
        })
        .collect()
}

/// Opens a copy and returns what is there, or the damage after checking that nothing was modified.
pub(crate) fn read_back(disk: &FakeDisk) -> Result<Vec<String>, OpenError> {
    let before = (disk.writes(), disk.syncs());
    match try_open(disk) {
        Ok((_, records, _)) => Ok(payloads(&records)),
        Err(error) => {
            assert_eq!((disk.writes(), disk.syncs()), before, "modified in spite of {error}");
            Err(error)
        }
    }
}

pub(crate) fn damage(disk: &FakeDisk) -> Damage {
    match read_back(disk) {
        Err(OpenError::Damaged(damage)) => damage,
        Err(other) => panic!("another error: {other}"),
        Ok(records) => panic!("no damage found, but {} records", records.len()),
    }
}
