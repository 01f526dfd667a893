//! Power cuts at every moment: what was acknowledged is there, in order, and nothing else but the
//! group in flight, whole.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use leasehold_disk::fake::{FakeDisk, Unsynced};
use leasehold_disk::{GroupPosition, RecordRef, RecordStream};
use proptest::prelude::*;
use support::story::{Step, Story, script};
use support::{DATA_START, append, open, payloads, roomy, segments, try_open};

/// The number of operations a whole run takes.
fn operations(steps: &[Step]) -> u64 {
    let disk = FakeDisk::new(0);
    assert!(Story::default().run(&disk, steps));
    disk.writes() + disk.syncs()
}

/// Runs until the power fails at `operation` and leaves the disk as the cut left it.
fn run_until(operation: u64, seed: u64) -> (FakeDisk, Story) {
    let disk = FakeDisk::new(seed);
    disk.lose_power_at(operation);
    let mut story = Story::default();
    assert!(!story.run(&disk, &script()), "the power failed at {operation}");
    disk.crash();
    (disk, story)
}

#[test]
fn a_power_cut_at_any_write_or_sync_loses_nothing_acknowledged() {
    let (mut torn, mut in_flight_kept) = (0, 0);
    for operation in 1..=operations(&script()) {
        for seed in 0..60 {
            let (disk, mut story) = run_until(operation, seed);
            let (stream, records, report) = open(&disk);
            drop(stream);
            story.check(&records);
            torn += u64::from(report.torn.is_some());
            in_flight_kept += u64::from(
                story.in_flight.last().is_some()
                    && payloads(&records).last() == story.in_flight.last(),
            );
            story.settle(&records);
            // And it goes on from there.
            assert!(story.run(&disk, &script()[..6]));
            disk.crash();
            story.check(&open(&disk).1);
        }
    }
    assert!(
        torn > 200 && in_flight_kept > 500,
        "{torn} torn, {in_flight_kept} kept: too few to mean much"
    );
}

#[test]
fn a_power_cut_at_any_moment_of_a_recovery_loses_nothing_either() {
    let mut cut_short = 0;
    for operation in 1..=operations(&script()) {
        let (disk, story) = run_until(operation, operation);
        cut_short += recover_with_power_cuts(&disk, &story);
        // And the recovery of a process that was killed: what it left is not durable yet.
        let disk = FakeDisk::new(operation);
        disk.lose_power_at(operation);
        let mut story = Story::default();
        assert!(!story.run(&disk, &script()));
        disk.kill_process();
        cut_short += recover_with_power_cuts(&disk, &story);
    }
    assert!(cut_short > 5_000, "only {cut_short} recoveries were interrupted");
}

/// Cuts the power at each step of a recovery, with several seeds, and lets another one finish.
fn recover_with_power_cuts(disk: &FakeDisk, story: &Story) -> u64 {
    let mut cut_short = 0;
    for step in 1.. {
        for seed in 0..8 {
            let disk = disk.image_with_seed(seed);
            disk.lose_power_at(step);
            let Err(_) = try_open(&disk) else { return cut_short };
            disk.crash();
            cut_short += 1;
            story.check(&open(&disk).1);
        }
    }
    unreachable!("a recovery ends")
}

#[test]
fn the_last_summary_is_never_removed() {
    let mut empty_segments = 0;
    for operation in 1..=operations(&script()) {
        let (disk, _) = run_until(operation, operation);
        let (mut stream, before, _) = open(&disk);
        let newest = segments(&disk).len();
        let newest_with_records = before.last().map_or(0, |record| record.position.segment);
        empty_segments += u64::from(
            newest > 1 && !segments(&disk)[newest - 1].ends_with(&newest_with_records.to_string()),
        );
        stream.remove_segments_before(GroupPosition { segment: u64::MAX, offset: 0 }).unwrap();
        let (_, after, _) = open(&disk);
        let kept: Vec<_> =
            before.into_iter().filter(|r| r.position.segment == newest_with_records).collect();
        assert_eq!(payloads(&after), payloads(&kept), "operation {operation}");
    }
    assert!(empty_segments > 0, "no power cut left a segment without a group");
}

#[test]
fn what_a_recovery_returned_survives_the_next_power_cut() {
    for operation in 1..=operations(&script()) {
        // Not a power cut: the process dies and the cache lives on.
        let disk = FakeDisk::new(operation);
        disk.lose_power_at(operation);
        Story::default().run(&disk, &script());
        disk.kill_process();
        let (_, before, _) = open(&disk);
        disk.crash_keeping(|_| false);
        let (_, after, _) = open(&disk);
        assert_eq!(payloads(&before), payloads(&after), "killed at operation {operation}");
    }
}

#[test]
fn a_failed_write_or_sync_at_any_moment_loses_nothing_acknowledged() {
    let whole = FakeDisk::new(0);
    assert!(Story::default().run(&whole, &script()));
    for n in 1..=whole.writes() {
        check_after_fault(n, |disk| disk.fail_write_at(n));
    }
    for n in 1..=whole.syncs() {
        check_after_fault(n, |disk| disk.fail_sync_at(n));
    }
}

fn check_after_fault(seed: u64, plan: impl Fn(&FakeDisk)) {
    for power_cut in [false, true] {
        let disk = FakeDisk::new(seed);
        plan(&disk);
        let mut story = Story::default();
        assert!(!story.run(&disk, &script()), "operation {seed} failed");
        if power_cut {
            disk.crash()
        } else {
            disk.kill_process()
        }
        story.check(&open(&disk).1);
        disk.crash();
        story.check(&open(&disk).1);
    }
}

/// A disk with one acknowledged record and a group of `records` that was written, not synced, of
/// which the power cut kept the bytes at these offsets into the group.
fn torn_group(records: &[Vec<u8>], keep: impl Fn(u64) -> bool) -> FakeDisk {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = RecordStream::open(disk.mount(), roomy()).unwrap();
    let start = append(&mut stream, &["acknowledged"], false).offset + 4_096;
    write_without_sync(&disk, &mut stream, records);
    disk.crash_keeping(|change| match change {
        Unsynced::Sector { offset, .. } if offset >= start => keep(offset - start),
        _ => true,
    });
    disk
}

fn write_without_sync(disk: &FakeDisk, stream: &mut RecordStream, records: &[Vec<u8>]) {
    let records: Vec<RecordRef<'_>> =
        records.iter().map(|payload| RecordRef { kind: 7, payload }).collect();
    disk.lose_power_at(2);
    stream.append_group(&records, Vec::new, false).unwrap_err();
}

#[test]
fn the_power_fails_in_a_large_write_and_in_no_smaller_one() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = RecordStream::open(disk.mount(), roomy()).unwrap();
    disk.lose_power_in_write_of(600);
    append(&mut stream, &["small"], false);
    let large = [RecordRef { kind: 7, payload: &[b'x'; 600] }];
    stream.append_group(&large, Vec::new, false).unwrap_err();
    disk.crash_keeping(|_| false);
    assert_eq!(payloads(&open(&disk).1), ["small"]);
}

#[test]
fn a_group_that_lost_its_second_record_and_kept_the_later_ones_is_torn() {
    let records: Vec<Vec<u8>> = (0..5).map(|n| vec![b'a' + n; 968]).collect();
    // Each record takes 1 KiB, two sectors.
    let disk = torn_group(&records, |offset| offset / 1_024 != 1);
    let (_, records, report) = open(&disk);
    assert_eq!(payloads(&records), ["acknowledged"]);
    let torn = report.torn.unwrap();
    assert_eq!((torn.offset, torn.group), (DATA_START + 4_096, 2));
}

#[test]
fn behind_a_cut_there_are_only_zeros() {
    let records: Vec<Vec<u8>> = (0..5).map(|n| vec![b'a' + n; 2_000]).collect();
    for lost in 0..20 {
        let disk = torn_group(&records, |offset| offset / 512 != lost);
        let (_, _, report) = open(&disk);
        let torn = report.torn.unwrap();
        let bytes = disk.contents(&torn.file).unwrap();
        let behind = &bytes[torn.offset as usize..];
        assert!(behind.iter().all(|byte| *byte == 0), "sector {lost} lost");
    }
}

/// Keeps of what was written behind `from` exactly the block `kept`.
fn keep_block(from: u64, kept: u64) -> impl Fn(Unsynced<'_>) -> bool {
    move |change| match change {
        Unsynced::Sector { offset, .. } => offset < from || (offset - from) / 4_096 == kept,
        _ => true,
    }
}

/// A payload whose record is exactly one block: in a group of two, the second record of a cut
/// group would fit behind the first of the next group, which gets the same number.
fn block(fill: u8) -> Vec<u8> {
    vec![fill; 4_040]
}

#[test]
fn what_was_cut_never_completes_a_later_group() {
    for acknowledged in [0, 1] {
        let disk = FakeDisk::new(1);
        let (mut stream, _, _) = RecordStream::open(disk.mount(), roomy()).unwrap();
        if acknowledged == 1 {
            append(&mut stream, &["acknowledged"], false);
        }
        let from = DATA_START + acknowledged * 4_096;
        write_without_sync(&disk, &mut stream, &[block(b'a'), block(b'b')]);
        disk.crash_keeping(keep_block(from, 1));
        let (mut stream, records, report) = open(&disk);
        assert!(records.len() as u64 == acknowledged && report.torn.is_some());
        write_without_sync(&disk, &mut stream, &[block(b'c'), block(b'd')]);
        disk.crash_keeping(keep_block(from, 0));
        let (_, records, report) = open(&disk);
        assert!(records.len() as u64 == acknowledged && report.torn.is_some());
    }
}

#[test]
fn not_even_when_zeroing_it_failed_unseen() {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = RecordStream::open(disk.mount(), roomy()).unwrap();
    write_without_sync(&disk, &mut stream, &[block(b'a'), block(b'b')]);
    disk.crash_keeping(keep_block(DATA_START, 1));
    // The zeros are readable and not on the medium, so the next recovery sees nothing to cut.
    disk.fail_sync_at(1);
    try_open(&disk).unwrap_err();
    disk.kill_process();
    let (mut stream, records, report) = open(&disk);
    assert!(records.is_empty() && report.torn.is_none());
    write_without_sync(&disk, &mut stream, &[block(b'a'), block(b'd')]);
    disk.crash_keeping(keep_block(DATA_START, 0));
    let (_, records, report) = open(&disk);
    assert!(records.is_empty() && report.torn.is_some());
}

#[test]
fn a_segment_whose_first_group_was_torn_starts_with_the_summary_after_all() {
    // The summary is half of the first group: were its first records kept, it would never be
    // completed, and the segments before it could be removed.
    let steps = script();
    let mut segment_starts = 0;
    for operation in 1..=operations(&steps) {
        for seed in 0..20 {
            let (disk, mut story) = run_until(operation, seed);
            story.settle(&open(&disk).1);
            if !story.run(&disk, &[Step::Append { lens: vec![10], seal: false }, Step::Remove]) {
                continue;
            }
            let (_, records, _) = open(&disk);
            if segments(&disk).len() == 1 && records[0].position.segment > 1 {
                segment_starts += 1;
                let first = payloads(&records[..2]);
                assert!(
                    first[0].starts_with("vote before") && first[1].starts_with("purge before"),
                    "{first:?}"
                );
            }
        }
    }
    assert!(segment_starts > 100, "only {segment_starts}");
}

#[test]
fn a_payload_that_imitates_a_record_proves_nothing() {
    // Take a true record of a later group, and put its bytes into a payload.
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = open(&disk);
    for text in ["a", "b", "c", "d"] {
        append(&mut stream, &[text], false);
    }
    let bytes = disk.contents(&segments(&disk)[0]).unwrap();
    let later = bytes[DATA_START as usize + 3 * 4_096..][..64].to_vec();
    let forged = [vec![b'z'; 600], later.clone(), later];
    let disk = torn_group(&forged, |offset| offset >= 512);
    let (_, records, report) = open(&disk);
    assert_eq!(payloads(&records), ["acknowledged"]);
    assert!(report.torn.is_some());
}

fn any_step() -> impl Strategy<Value = Step> {
    let append = (proptest::collection::vec(0_usize..9_000, 1..6), any::<bool>());
    prop_oneof![
        8 => append.prop_map(|(lens, seal)| Step::Append { lens, seal }),
        1 => Just(Step::Remove),
        1 => Just(Step::Extend),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_story_with_many_power_cuts_keeps_what_was_acknowledged(
        seed in any::<u64>(),
        lives in proptest::collection::vec((proptest::collection::vec(any_step(), 1..10), 1_u64..60), 1..8),
    ) {
        let disk = FakeDisk::new(seed);
        let mut story = Story::default();
        for (steps, operation) in &lives {
            disk.lose_power_at(*operation);
            story.run(&disk, steps);
            disk.crash();
        }
        story.check(&open(&disk).1);
    }
}
