//! The machine's own disk does what the fake promises.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use leasehold_disk::{
    BootId, Disk, DiskId, Identity, MachineDisk, OpenDiskError, RecordRef, RecordStream,
    StreamOptions,
};

#[test]
fn a_data_directory_belongs_to_one_owner_at_a_time() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let disk = MachineDisk::open(&path).unwrap();
    let refused = MachineDisk::open(&path).unwrap_err();
    assert!(
        matches!(&refused, OpenDiskError::InUse { path: named } if *named == path),
        "{refused}"
    );
    drop(disk);
    MachineDisk::open(&path).unwrap();
}

#[test]
fn nobody_else_may_read_what_is_in_it() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let disk = MachineDisk::open(&path).unwrap();
    disk.create("file", 1).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.clone()), mode(path.join("file"))), (0o700, 0o600));
}

#[test]
fn files_are_made_renamed_listed_and_removed() {
    let parent = tempfile::tempdir().unwrap();
    let disk = MachineDisk::open(parent.path()).unwrap();
    let mut file = disk.create("one", 100_000).unwrap();
    assert_eq!(disk.read("one").unwrap(), vec![0; 100_000]);
    file.write_at(99_998, b"abc").unwrap();
    file.sync().unwrap();
    assert_eq!(file.len().unwrap(), 100_001);
    file.allocate(200_000).unwrap();
    file.allocate(5).unwrap();
    assert_eq!(file.len().unwrap(), 200_000);
    let mut read = [9; 4];
    file.read_at(99_998, &mut read).unwrap();
    assert_eq!(&read, b"abc\0");
    assert_eq!(file.read_at(199_998, &mut read).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    disk.rename("one", "two").unwrap();
    fs::create_dir(parent.path().join("lost+found")).unwrap();
    assert_eq!(disk.list().unwrap(), ["two"], "neither the lock nor what is not ours");
    assert_eq!(disk.open("one").unwrap_err().kind(), ErrorKind::NotFound);
    disk.open("two").unwrap().set_len(3).unwrap();
    assert_eq!(disk.read("two").unwrap(), [0; 3]);
    disk.remove("two").unwrap();
    disk.sync_directory().unwrap();
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn a_name_that_could_leave_the_directory_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let disk = MachineDisk::open(parent.path()).unwrap();
    for name in ["", ".", "..", "../x", "a/b", "A", ".lock", "a\0", &"a".repeat(256)] {
        assert_eq!(disk.create(name, 0).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(disk.read(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
    }
}

#[test]
fn a_node_restarts_on_it() {
    let parent = tempfile::tempdir().unwrap();
    for life in 1..4_u64 {
        let disk = std::sync::Arc::new(MachineDisk::open(parent.path()).unwrap());
        let (fresh, boot) = (DiskId([life as u8; 16]), BootId([life as u8; 16]));
        let Identity { start, .. } = Identity::claim(&*disk, "prod", 7, fresh, boot).unwrap();
        assert_eq!((start.incarnation, start.disk_id), (life, DiskId([1; 16])));
        let options = StreamOptions { step_bytes: 65_536, ..StreamOptions::new(start.disk_id) };
        let (mut stream, records, _) = RecordStream::open(disk, options).unwrap();
        assert_eq!(records.len() as u64, life - 1);
        let record = RecordRef { kind: 1, payload: b"entry" };
        stream.append_group(&[record], Vec::new, true).unwrap();
    }
}
