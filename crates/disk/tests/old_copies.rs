//! Files that are missing, swapped, from yesterday or from elsewhere are found out.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{Harm, OpenError};
use support::damage::{damage, read_back, small_log};
use support::{append, open, payloads, segments};

const MANIFEST: &str = "stream-manifest";

#[test]
fn a_missing_file_is_damage_that_names_it() {
    let (disk, _) = small_log();
    for file in disk.names() {
        let disk = disk.image();
        disk.lose(&file).unwrap();
        let damage = damage(&disk);
        assert_eq!((damage.file, damage.harm), (file, Harm::Missing));
    }
}

#[test]
fn two_swapped_segments_are_damage() {
    let (disk, _) = small_log();
    let files = segments(&disk);
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        let disk = disk.image();
        let bytes = [one, other].map(|n| disk.contents(&files[n]).unwrap());
        disk.overwrite(&files[one], &bytes[1]).unwrap();
        disk.overwrite(&files[other], &bytes[0]).unwrap();
        let damage = damage(&disk);
        assert_eq!(damage.harm, Harm::WrongSegment { found: other as u64 + 1 });
    }
}

#[test]
fn yesterdays_copy_of_any_file_is_damage() {
    let disk = FakeDisk::new(1);
    let mut copies: Vec<FakeDisk> = Vec::new();
    for day in 0..5 {
        let (mut stream, _, _) = open(&disk);
        for n in 0..4 {
            append(&mut stream, &[&format!("day {day} entry {n}")], false);
        }
        copies.push(disk.image());
    }
    let (_, records, _) = open(&disk);
    let mut restored = 0;
    for copy in copies {
        for file in copy.names() {
            let old = copy.contents(&file).unwrap();
            if disk.contents(&file).unwrap() == old {
                continue;
            }
            let disk = disk.image();
            disk.overwrite(&file, &old).unwrap();
            match read_back(&disk) {
                // An old manifest of the same segments knows less, and nothing wrong.
                Ok(found) => {
                    assert_eq!((file.as_str(), found), (MANIFEST, payloads(&records)));
                }
                Err(OpenError::Damaged(_)) => restored += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(restored >= 6, "only {restored}");
}

#[test]
fn a_segment_of_another_history_of_the_same_disk_is_damage() {
    // The disk was copied, and both copies went on.
    let disk = FakeDisk::new(1);
    append(&mut open(&disk).0, &["common"], false);
    let other = disk.image();
    for (disk, text) in [(&disk, "ours  "), (&other, "theirs")] {
        let (mut stream, _, _) = open(disk);
        for _ in 0..12 {
            append(&mut stream, &[text], false);
        }
    }
    assert_eq!(segments(&disk), segments(&other));
    for file in &segments(&disk)[..2] {
        let disk = disk.image();
        disk.overwrite(file, &other.contents(file).unwrap()).unwrap();
        assert!(matches!(damage(&disk).harm, Harm::Discontinued { .. }));
    }
}

#[test]
fn another_format_version_is_named_and_not_called_damage() {
    let (disk, _) = small_log();
    let version_2 = |bytes: &mut Vec<u8>| {
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    };
    for file in disk.names() {
        let disk = disk.image();
        let mut bytes = disk.contents(&file).unwrap();
        version_2(&mut bytes);
        disk.overwrite(&file, &bytes).unwrap();
        let error = read_back(&disk).unwrap_err();
        assert_eq!(error.to_string(), format!("{file} has format version 2, this program reads 1"));
    }
}
