//! The record stream as its owner sees it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use bytes::Bytes;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{AppendError, DiskFault, GroupPosition, OwnedRecord, RecordRef, RecordStream};
use support::{DATA_START, DISK_ID, append, open, payloads, small};

const FIRST_SEGMENT: &str = "segment-00000000000000000001";

#[test]
fn what_was_appended_comes_back_in_order() {
    let disk = FakeDisk::new(1);
    let (mut stream, records, report) = open(&disk);
    assert!(records.is_empty() && report.torn.is_none());
    append(&mut stream, &["vote 1"], true);
    append(&mut stream, &["entry 1", "entry 2", ""], false);
    drop(stream);
    let (mut stream, records, _) = open(&disk);
    assert_eq!(payloads(&records), ["vote 1", "entry 1", "entry 2", ""]);
    append(&mut stream, &["entry 4"], false);
    let (_, records, report) = open(&disk);
    assert_eq!(payloads(&records), ["vote 1", "entry 1", "entry 2", "", "entry 4"]);
    assert_eq!((report.records, report.segments), (5, 1));
    assert_eq!(records.iter().map(|r| r.kind).collect::<Vec<_>>(), [7; 5]);
}

#[test]
fn positions_grow_and_are_the_same_when_read_back() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let written: Vec<GroupPosition> = (0..30)
        .map(|n| append(&mut stream, &[&format!("{n}{}", "x".repeat(3_000))], false))
        .collect();
    assert!(written.is_sorted());
    assert!(written[29].segment > 2, "the story needs several segments");
    let (_, records, _) = open(&disk);
    let read: Vec<GroupPosition> =
        records.iter().filter(|r| r.kind == 7).map(|r| r.position).collect();
    assert_eq!(read, written);
}

#[test]
fn a_new_segment_starts_with_what_the_caller_carries() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let mut position = GroupPosition { segment: 1, offset: 0 };
    for n in 0..40 {
        let payload = format!("entry {n} {}", "x".repeat(3_000));
        let record = RecordRef { kind: 7, payload: payload.as_bytes() };
        let carry = || vec![OwnedRecord { kind: 9, payload: format!("summary at {n}").into() }];
        position = stream.append_group(&[record], carry, false).unwrap();
    }
    let before = support::segments(&disk);
    let removed = stream.remove_segments_before(position).unwrap();
    assert_eq!(removed, position.segment - 1);
    assert_eq!(support::segments(&disk).len() as u64, before.len() as u64 - removed);
    let (_, records, _) = open(&disk);
    assert_eq!(records[0].kind, 9);
    assert!(records[1..].iter().all(|r| r.kind == 7));
    assert!(records.iter().all(|r| r.position.segment == position.segment));
}

#[test]
fn removing_segments_never_removes_the_only_summary() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["a"], false);
    let far = GroupPosition { segment: u64::MAX, offset: 0 };
    assert_eq!(stream.remove_segments_before(far).unwrap(), 0);
    assert_eq!(payloads(&open(&disk).1), ["a"]);
}

#[test]
fn a_group_larger_than_a_segment_has_one_of_its_own() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["small"], false);
    let large = "y".repeat(3 * small().segment_bytes as usize);
    append(&mut stream, &[&large], true);
    append(&mut stream, &["behind"], false);
    assert_eq!(payloads(&open(&disk).1), ["small", &large, "behind"]);
    assert_eq!(support::segments(&disk).len(), 3);
}

#[test]
fn an_empty_group_writes_nothing_and_can_seal() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let writes = disk.writes();
    append(&mut stream, &[], true);
    assert_eq!(disk.writes(), writes, "there is nothing to seal");
    append(&mut stream, &["a"], false);
    let writes = disk.writes();
    append(&mut stream, &[], false);
    assert_eq!(disk.writes(), writes);
    append(&mut stream, &[], true);
    assert!(disk.writes() > writes);
    assert_eq!(payloads(&open(&disk).1), ["a"]);
}

#[test]
fn a_group_is_one_write_and_one_sync() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["a"], false);
    let (writes, syncs) = (disk.writes(), disk.syncs());
    append(&mut stream, &["b", "c", "d"], false);
    // The second write is the mark.
    assert_eq!((disk.writes() - writes, disk.syncs() - syncs), (2, 1));
}

#[test]
fn a_record_out_of_bounds_is_refused_and_the_stream_goes_on() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let reserved = RecordRef { kind: RecordStream::KIND_MAX + 1, payload: b"a" };
    let refused = stream.append_group(&[reserved], Vec::new, false).unwrap_err();
    assert!(matches!(refused, AppendError::OutOfBounds { field: "kind", value: 240, limit: 239 }));
    append(&mut stream, &["a"], false);
    assert_eq!(payloads(&open(&disk).1), ["a"]);
}

#[test]
fn a_failed_sync_latches_and_is_never_repeated() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["a"], false);
    disk.fail_sync_at(1);
    let record = RecordRef { kind: 7, payload: b"b" };
    let first = stream.append_group(&[record], Vec::new, false).unwrap_err();
    assert!(matches!(first, AppendError::Fault(DiskFault::Failed { .. })), "{first}");
    let (writes, syncs) = (disk.writes(), disk.syncs());
    let position = GroupPosition { segment: 9, offset: 0 };
    for _ in 0..3 {
        let again = stream.append_group(&[record], Vec::new, true).unwrap_err();
        assert!(matches!(again, AppendError::Fault(DiskFault::Latched { .. })), "{again}");
        assert!(matches!(stream.remove_segments_before(position), Err(DiskFault::Latched { .. })));
        assert!(matches!(stream.extend_ahead(), Err(DiskFault::Latched { .. })));
    }
    assert_eq!((disk.writes(), disk.syncs()), (writes, syncs), "nothing was tried again");
}

#[test]
fn a_group_that_was_only_readable_after_a_failed_sync_is_durable_once_it_was_read_back() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    append(&mut stream, &["a"], false);
    disk.fail_sync_at(1);
    stream.append_group(&[RecordRef { kind: 7, payload: b"b" }], Vec::new, false).unwrap_err();
    disk.kill_process();
    assert_eq!(payloads(&open(&disk).1), ["a", "b"], "it is still in the cache");
    disk.crash_keeping(|_| false);
    assert_eq!(payloads(&open(&disk).1), ["a", "b"]);
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    disk.set_capacity(Some(60_000));
    let mut acknowledged = Vec::new();
    let fault = loop {
        let payload = format!("{} {}", acknowledged.len(), "x".repeat(2_000));
        let record = RecordRef { kind: 7, payload: payload.as_bytes() };
        match stream.append_group(&[record], Vec::new, false) {
            Ok(_) => acknowledged.push(payload),
            Err(AppendError::Fault(fault)) => break fault,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(fault.io_kind(), std::io::ErrorKind::StorageFull);
    assert!(acknowledged.len() > 3);
    disk.crash();
    disk.set_capacity(None);
    let (mut stream, records, _) = open(&disk);
    assert_eq!(payloads(&records), acknowledged);
    append(&mut stream, &["there is room again"], false);
}

#[test]
fn extending_ahead_takes_the_allocation_out_of_the_next_appends() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    for n in 0..20 {
        stream.extend_ahead().unwrap();
        let syncs = disk.syncs();
        let position = append(&mut stream, &[&format!("{n}")], false);
        if position.segment == 1 {
            assert_eq!(disk.syncs() - syncs, 1, "group {n} had to allocate");
        }
    }
}

/// How long the first segment is.
fn first_segment_bytes(disk: &FakeDisk) -> u64 {
    disk.contents(FIRST_SEGMENT).unwrap().len() as u64
}

#[test]
fn space_is_taken_in_whole_steps_when_a_group_does_not_fit() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let step = small().step_bytes;
    for (groups, steps) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
        assert_eq!(first_segment_bytes(&disk), DATA_START + steps * step, "{groups} groups");
        append(&mut stream, &["one block"], false);
    }
}

#[test]
fn space_is_taken_ahead_when_half_a_step_is_left_and_synced_once() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let extend = |stream: &mut RecordStream| {
        let syncs = disk.syncs();
        stream.extend_ahead().unwrap();
        ((first_segment_bytes(&disk) - DATA_START) / small().step_bytes, disk.syncs() - syncs)
    };
    append(&mut stream, &["half a step"], false);
    assert_eq!(extend(&mut stream), (1, 0));
    append(&mut stream, &["the other half"], false);
    assert_eq!(extend(&mut stream), (2, 1));
    assert_eq!(extend(&mut stream), (2, 0));
}

#[test]
fn removing_nothing_syncs_nothing() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    let first = append(&mut stream, &["a"], false);
    let syncs = disk.syncs();
    assert_eq!(stream.remove_segments_before(first).unwrap(), 0);
    assert_eq!(disk.syncs(), syncs);
    drop(stream);
    // The manifest of the next life, and the last group once more; nothing was left over.
    let syncs = disk.syncs();
    drop(open(&disk));
    assert_eq!(disk.syncs() - syncs, 4);
}

#[test]
fn a_segment_of_another_disk_is_refused_by_the_name_of_the_disk() {
    let (disk, other) = (FakeDisk::new(1), FakeDisk::new(2));
    append(&mut open(&disk).0, &["a"], false);
    let mut options = small();
    options.disk_id = leasehold_disk::DiskId([9; 16]);
    let (mut stream, _, _) = RecordStream::open(other.mount(), options).unwrap();
    append(&mut stream, &["a"], false);
    disk.overwrite(FIRST_SEGMENT, &other.contents(FIRST_SEGMENT).unwrap()).unwrap();
    let refused = support::try_open(&disk).unwrap_err();
    let expected = format!("{FIRST_SEGMENT} belongs to disk {}", options.disk_id);
    assert!(refused.to_string().starts_with(&expected), "{refused}");
}

#[test]
fn a_segment_without_a_group_may_be_cut_to_where_groups_start_and_no_further() {
    let disk = FakeDisk::new(1);
    drop(open(&disk));
    disk.truncate(FIRST_SEGMENT, DATA_START).unwrap();
    let (mut stream, records, _) = open(&disk);
    assert_eq!(records, []);
    append(&mut stream, &["a"], false);
    disk.truncate(FIRST_SEGMENT, DATA_START - 1).unwrap();
    support::try_open(&disk).unwrap_err();
}

#[test]
fn what_a_torn_write_left_is_overwritten_to_its_last_byte() {
    let first_block_behind = DATA_START + 4_096;
    for at in [first_block_behind, first_block_behind + 4_095, first_block_behind + 4_096] {
        let disk = FakeDisk::new(1);
        append(&mut open(&disk).0, &["a"], false);
        let mut bytes = disk.contents(FIRST_SEGMENT).unwrap();
        bytes.resize(bytes.len() + 8_192, 0);
        bytes[at as usize] = 1;
        disk.overwrite(FIRST_SEGMENT, &bytes).unwrap();
        let (_, records, report) = open(&disk);
        assert_eq!(payloads(&records), ["a"]);
        assert!(report.torn.is_some());
        let behind = &disk.contents(FIRST_SEGMENT).unwrap()[first_block_behind as usize..];
        assert!(behind.iter().all(|byte| *byte == 0), "a byte at {at}");
    }
}

#[test]
fn a_missing_manifest_is_damage_where_something_was_written() {
    for written in [false, true] {
        let disk = FakeDisk::new(1);
        let (mut stream, _, _) = open(&disk);
        if written {
            append(&mut stream, &["a"], false);
        }
        disk.lose("stream-manifest").unwrap();
        assert_eq!(support::try_open(&disk).is_err(), written);
    }
}

#[test]
fn a_stream_of_another_disk_is_refused() {
    let disk = FakeDisk::new(1);
    append(&mut open(&disk).0, &["a"], false);
    let mut options = small();
    options.disk_id = leasehold_disk::DiskId([9; 16]);
    let refused = RecordStream::open(disk.mount(), options).unwrap_err();
    let expected_text =
        format!("stream-manifest belongs to disk {DISK_ID}, not to this disk {}", options.disk_id);
    assert!(refused.to_string().starts_with(&expected_text), "{refused}");
}

#[test]
fn as_many_groups_as_were_synced_are_found_at_every_later_start_whatever_happens_in_between() {
    let (mut lives, mut torn, mut removed) = (0, 0, 0);
    for seed in 0..150 {
        let disk = FakeDisk::new(seed);
        let mut synced = 0;
        for life in 0..12 {
            // Some starts are interrupted as well.
            disk.lose_power_at(1 + (seed * 7 + life * 13) % 40);
            if let Ok((mut stream, _, report)) = support::try_open(&disk) {
                assert!(stream.synced_group() >= synced, "seed {seed} life {life}");
                lives += 1;
                torn += u64::from(report.torn.is_some());
                synced = live(&mut stream, seed + life, &mut removed);
            }
            match life % 2 {
                0 => disk.tear(),
                _ => disk.crash(),
            }
        }
    }
    assert!(lives > 1_000 && torn > 15 && removed > 50, "{lives} {torn} {removed}");
}

/// Appends, seals and removes until the power goes; how many groups were synced.
fn live(stream: &mut RecordStream, salt: u64, removed: &mut u64) -> u64 {
    let large = "x".repeat(9_000);
    for n in salt.. {
        let before = stream.synced_group();
        let records = match n % 5 {
            0 => vec![],
            1 => vec![large.as_str()],
            _ => vec!["a", "b"],
        };
        let group: Vec<_> =
            records.iter().map(|text| RecordRef { kind: 7, payload: text.as_bytes() }).collect();
        let carry = || vec![OwnedRecord { kind: 8, payload: Bytes::from_static(b"so far") }];
        let seal = n % 3 == 0;
        let Ok(position) = stream.append_group(&group, carry, seal) else {
            return stream.synced_group();
        };
        let grew = !group.is_empty() || seal;
        assert_eq!(stream.synced_group() > before, grew, "one more for whoever waited for one");
        match stream.remove_segments_before(position) {
            Ok(segments) => *removed += segments,
            Err(_) => return stream.synced_group(),
        }
    }
    unreachable!("the power goes")
}
