//! The bytes on disk, pinned: a change here needs a new format version.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::replace_atomically;
use support::{append, open, segments};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_a_segment_are_these() {
    let disk = FakeDisk::new(1);
    append(&mut open(&disk).0, &["golden"], false);
    let bytes = disk.contents(&segments(&disk)[0]).unwrap();
    assert_eq!(
        hex(&bytes[..72]),
        "6c687365676d6e74010000001164a080050505050505050505050505050505050100000000000000\
         0100000000000000010000000000000000000000000000000000000036bc5571"
    );
    assert_eq!(hex(&bytes[4_096..4_120]), "4c684d6b0000000001000000000000000000000011d2b844");
    assert_eq!(
        hex(&bytes[12_288..12_352]),
        "4c68526307000000060000002b216b42010000000000000001000000000000000000000000000000\
         01000000000000000000000071e33bcb676f6c64656e0000"
    );
}

#[test]
fn the_bytes_of_a_whole_file_are_these() {
    let disk = FakeDisk::new(1);
    replace_atomically(&*disk.mount(), "golden", b"payload").unwrap();
    assert_eq!(
        hex(&disk.contents("golden").unwrap()),
        "6c6877686f6c650001000000370c530c07000000000000007069e3f4f1b6fcd07061796c6f6164"
    );
}
