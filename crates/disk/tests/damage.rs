//! Bytes that change at rest are found out, and nothing is modified.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use leasehold_disk::fake::{FakeDisk, Unsynced};
use leasehold_disk::{Harm, Proof, RecordRef, RecordStream, replace_atomically};
use support::damage::{damage, read_back, record_ranges, small_log};
use support::{DATA_START, DISK_ID, append, open, payloads, roomy, segments};

#[test]
fn every_bit_flip_in_a_record_is_damage_that_names_the_place() {
    let (disk, _) = small_log();
    for file in segments(&disk) {
        for range in record_ranges(&disk.contents(&file).unwrap()) {
            for bit in range.start * 8..range.end * 8 {
                let disk = disk.image();
                disk.flip_bit(&file, bit).unwrap();
                let damage = damage(&disk);
                assert_eq!((&damage.file, damage.offset), (&file, range.start), "bit {bit}");
            }
        }
    }
}

#[test]
fn every_bit_flip_anywhere_else_is_found_or_harmless() {
    let (disk, acknowledged) = small_log();
    let (mut found, mut harmless) = (0, 0);
    let all_names = disk.names();
    for file in &all_names {
        let bytes = disk.contents(file).unwrap();
        let used = bytes.len() as u64 * 8;
        // Every bit of heads, marks and small files; a sample of what lies between groups.
        let dense = |bit: &u64| *bit % 32_768 < 640 || bit.is_multiple_of(61);
        for bit in (0..used).filter(dense) {
            let disk = disk.image();
            disk.flip_bit(file, bit).unwrap();
            match read_back(&disk) {
                Ok(records) => {
                    assert_eq!(records, acknowledged, "{file} bit {bit}");
                    harmless += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains(file), "{error}");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 2_000 && harmless > 2_000, "{found} found, {harmless} harmless");
}

#[test]
fn every_bit_flip_beside_a_torn_tail_is_found_or_in_the_tail() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = RecordStream::open(disk.mount(), roomy()).unwrap();
    append(&mut stream, &["first"], false);
    append(&mut stream, &["second", "third"], false);
    disk.lose_power_at(2);
    let tail = [RecordRef { kind: 7, payload: &[b'y'; 700] }; 4];
    stream.append_group(&tail, Vec::new, false).unwrap_err();
    let lost = DATA_START + 2 * 4_096 + 1_024;
    disk.crash_keeping(
        |change| !matches!(change, Unsynced::Sector { offset, .. } if offset == lost),
    );
    let file = &segments(&disk)[0];
    let acknowledged = ["first", "second", "third"];
    assert_eq!(read_back(&disk.image()).unwrap(), acknowledged);
    for range in record_ranges(&disk.contents(file).unwrap()) {
        for bit in range.start * 8..range.end * 8 {
            let disk = disk.image();
            disk.flip_bit(file, bit).unwrap();
            if range.start < DATA_START + 2 * 4_096 {
                assert_eq!(damage(&disk).offset, range.start);
            } else {
                assert_eq!(read_back(&disk).unwrap(), acknowledged);
            }
        }
    }
}

/// One vote at the end of the log, and a power cut that takes every mark since.
fn vote_at_the_end(seal: bool) -> FakeDisk {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["vote 1"], true);
    append(&mut stream, &["vote 2"], seal);
    disk.crash_keeping(|_| false);
    disk
}

fn flip_the_last_vote(disk: &FakeDisk, bit_of_record: u64) {
    let file = &segments(disk)[0];
    let vote = DATA_START + 2 * 4_096;
    disk.flip_bit(file, vote * 8 + bit_of_record).unwrap();
}

#[test]
fn a_flip_in_a_sealed_vote_is_damage_even_without_a_mark() {
    for bit in 0..(56 + 6) * 8 {
        let disk = vote_at_the_end(true);
        flip_the_last_vote(&disk, bit);
        let damage = damage(&disk);
        assert_eq!(damage.offset, DATA_START + 2 * 4_096);
        let seal = Proof::LaterRecord { offset: DATA_START + 3 * 4_096 };
        assert_eq!(damage.harm, Harm::RecordLost { group: 3, proof: seal });
    }
}

#[test]
fn without_seal_and_mark_a_flip_in_the_last_group_cannot_be_told_from_a_torn_write() {
    let disk = vote_at_the_end(false);
    flip_the_last_vote(&disk, 58 * 8);
    assert_eq!(read_back(&disk).unwrap(), ["vote 1"]);
}

#[test]
fn a_flip_in_the_last_group_is_damage_when_its_mark_was_written_out() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["vote 1"], true);
    append(&mut stream, &["vote 2"], false);
    disk.crash_keeping(|_| true);
    flip_the_last_vote(&disk, 58 * 8);
    assert_eq!(damage(&disk).harm, Harm::RecordLost { group: 3, proof: Proof::Mark });
}

#[test]
fn a_torn_mark_does_not_hide_the_other() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["a"], false);
    append(&mut stream, &["b"], false);
    disk.kill_process();
    let file = &segments(&disk)[0];
    // The first mark says group 1, the second group 2.
    for (mark_block, still_found) in [(1, true), (2, false)] {
        let disk = disk.image();
        disk.flip_bit(file, mark_block * 32_768 + 70).unwrap();
        disk.flip_bit(file, (DATA_START + 4_096) * 8).unwrap();
        assert_eq!(read_back(&disk).is_err(), still_found);
        disk.flip_bit(file, DATA_START * 8).unwrap();
        damage(&disk);
    }
}

#[test]
fn a_log_cut_at_any_length_is_damaged_or_whole() {
    let (disk, acknowledged) = small_log();
    for file in segments(&disk) {
        let bytes = disk.contents(&file).unwrap();
        let end = record_ranges(&bytes).last().unwrap().end;
        let last = file == *segments(&disk).last().unwrap();
        for len in 0..=bytes.len() as u64 {
            if !len.is_multiple_of(97) && len.abs_diff(end) > 300 {
                continue;
            }
            let disk = disk.image();
            disk.truncate(&file, len).unwrap();
            if len < end {
                assert_eq!(damage(&disk).file, file, "cut at {len}");
            } else {
                assert_eq!(read_back(&disk).unwrap(), acknowledged, "last: {last}, cut at {len}");
            }
        }
    }
}

#[test]
fn a_group_in_flight_cut_at_any_length_is_there_whole_or_not_at_all() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = RecordStream::open(disk.mount(), roomy()).unwrap();
    append(&mut stream, &["acknowledged"], false);
    disk.lose_power_at(2);
    let tail = [RecordRef { kind: 7, payload: b"in flight" }; 3];
    stream.append_group(&tail, Vec::new, false).unwrap_err();
    disk.crash_keeping(|_| true);
    let file = &segments(&disk)[0];
    let end = record_ranges(&disk.contents(file).unwrap()).last().unwrap().end;
    for len in DATA_START + 4_096..end + 100 {
        let disk = disk.image();
        disk.truncate(file, len).unwrap();
        let expected = if len < end { 1 } else { 4 };
        assert_eq!(read_back(&disk).unwrap().len(), expected, "cut at {len}");
        // And what it left behind can be built upon.
        append(&mut open(&disk).0, &["next"], false);
        assert_eq!(payloads(&open(&disk).1).len(), expected + 1);
    }
}

#[test]
fn a_zeroed_page_anywhere_is_found_or_harmless() {
    let (disk, acknowledged) = small_log();
    for file in segments(&disk) {
        let bytes = disk.contents(&file).unwrap();
        for page in 0..bytes.len() / 4_096 {
            let mut zeroed = bytes.clone();
            zeroed[page * 4_096..][..4_096].fill(0);
            let disk = disk.image();
            disk.overwrite(&file, &zeroed).unwrap();
            let was_used = bytes[page * 4_096..][..4_096].iter().any(|byte| *byte != 0);
            match read_back(&disk) {
                Ok(records) => {
                    assert_eq!(records, acknowledged);
                    assert!(!was_used || page == 1 || page == 2, "page {page} was used");
                }
                Err(error) => assert!(was_used, "{error}"),
            }
        }
    }
}

#[test]
fn damage_says_where_what_and_what_to_do() {
    let disk = vote_at_the_end(true);
    flip_the_last_vote(&disk, 400);
    assert_eq!(
        damage(&disk).to_string(),
        "segment-00000000000000000001 is damaged at byte 20480: a record of group 3 is not there although \
         it was durable, as the later record at byte 24576 proves; do not delete or restore single files, \
         a node that forgot must not vote: replace this node by one with a new id and an empty data \
         directory"
    );
}

#[test]
fn a_manifest_that_contradicts_itself_is_damage_whatever_its_checksum_says() {
    // Oldest and newest segment, what is synced, and the life.
    for numbers in [[2_u64, 1, 0, 1], [1, 1, 0, u64::MAX]] {
        let disk = FakeDisk::new(1);
        append(&mut open(&disk).0, &["acknowledged"], true);
        let payload = [&DISK_ID.0[..], &numbers.map(u64::to_le_bytes).concat()].concat();
        replace_atomically(&*disk.mount(), "stream-manifest", &payload).unwrap();
        assert_eq!(damage(&disk).file, "stream-manifest");
    }
}
