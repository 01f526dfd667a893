//! Files that are replaced as a whole: the frame around each, then identity, peers and manifest inside it,
//! which a checksum that happens to be right must not turn into a wrong answer. A refusal modifies
//! nothing.

use std::collections::BTreeMap;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{
    BootId, DiskId, Identity, IdentityError, PeerMemory, RecordRef, RecordStream, StreamOptions,
    read_checked, replace_atomically,
};

const DISK: DiskId = DiskId([5; 16]);
const OPTIONS: StreamOptions =
    StreamOptions { segment_bytes: 40_960, step_bytes: 8_192, ..StreamOptions::new(DISK) };

/// The first byte says which file the others are, or are in.
pub fn check(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => frame(body),
        1 => identity(body),
        2 => peers(body),
        3 => manifest(body),
        // Of this very disk, which no chance finds.
        _ => manifest(&[&DISK.0, body].concat()),
    }
}

/// Only what this program wrote is read, and it has one spelling.
fn frame(file: &[u8]) {
    let disk = FakeDisk::new(1);
    let mount = disk.mount();
    mount.create("file", 0).expect("room").write_at(0, file).expect("room");
    if let Ok(Some(payload)) = read_checked(&*mount, "file") {
        replace_atomically(&*mount, "file", &payload).expect("room");
        assert_eq!(disk.contents("file").as_deref(), Some(file));
    }
}

fn holding(name: &str, payload: &[u8]) -> FakeDisk {
    let disk = FakeDisk::new(1);
    replace_atomically(&*disk.mount(), name, payload).expect("room");
    disk
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn identity(payload: &[u8]) {
    const CLUSTER: &str = "prod";
    const NODE: u64 = 7;
    let disk = holding("identity", payload);
    let (node, incarnation) = (number(payload, 0), number(payload, 24));
    let ours = payload.len() >= 32 && payload[32..] == *CLUSTER.as_bytes() && node == NODE;
    let writes = disk.writes();
    match Identity::claim(&*disk.mount(), CLUSTER, NODE, DiskId([9; 16])) {
        Ok(claimed) => {
            assert!(ours && claimed.incarnation == incarnation + 1);
            assert_eq!(claimed.disk_id.0[..], payload[8..24]);
            disk.crash();
            let again = Identity::claim(&*disk.mount(), CLUSTER, NODE, DiskId([9; 16]));
            let next = claimed.incarnation.checked_add(1);
            assert_eq!(again.ok().map(|again| again.incarnation), next);
        }
        Err(error) => {
            assert_eq!(disk.writes(), writes, "modified in spite of {error}");
            let exhausted = matches!(error, IdentityError::Exhausted);
            assert_eq!(exhausted, ours && incarnation == u64::MAX);
        }
    }
}

type Seen = (DiskId, u64, BootId);

fn peers(payload: &[u8]) {
    let disk = holding("peers", payload);
    let entry = |bytes: &[u8]| {
        let array = |at: usize| std::array::from_fn(|byte| bytes[at + byte]);
        (number(bytes, 0), (DiskId(array(8)), number(bytes, 24), BootId(array(32))))
    };
    let (entries, rest) = payload.as_chunks::<48>();
    let expected: BTreeMap<u64, Seen> = entries.iter().map(|bytes| entry(bytes)).collect();
    let Ok(mut memory) = PeerMemory::open(disk.mount()) else {
        return assert!(!rest.is_empty());
    };
    assert!(rest.is_empty());
    assert_eq!(all(&memory), expected);
    // A start that is not later than what is remembered changes nothing; a later one is remembered.
    for (id, (disk_id, incarnation, boot)) in &expected {
        let other = BootId([0xAB; 16]);
        assert_eq!(memory.admit(*id, *disk_id, *incarnation, other).is_ok(), *boot == other);
        if let Some(older) = incarnation.checked_sub(1) {
            assert!(memory.admit(*id, *disk_id, older, *boot).is_err());
        }
        let later = incarnation.checked_add(1);
        assert!(later.is_none_or(|later| memory.admit(*id, *disk_id, later, other).is_ok()));
    }
    disk.crash_keeping(|_| false);
    assert_eq!(all(&PeerMemory::open(disk.mount()).expect("as written")), all(&memory));
}

fn all(memory: &PeerMemory) -> BTreeMap<u64, Seen> {
    memory.seen().map(|(id, disk, incarnation, boot)| (id, (disk, incarnation, boot))).collect()
}

/// A stream with a manifest that is not its own: refused unmodified, or every record is there.
fn manifest(payload: &[u8]) {
    let disk = FakeDisk::new(1);
    let (mut stream, _, _) = RecordStream::open(disk.mount(), OPTIONS).expect("an empty disk");
    for payload in [&b"one"[..], b"two", b"three"] {
        let group = [RecordRef { kind: 7, payload }];
        stream.append_group(&group, Vec::new, true).expect("the disk is well");
    }
    drop(stream);
    replace_atomically(&*disk.mount(), "stream-manifest", payload).expect("room");
    let writes = disk.writes();
    match RecordStream::open(disk.mount(), OPTIONS) {
        Ok((_, records, _)) => assert_eq!(records.len(), 3),
        Err(error) => assert_eq!(disk.writes(), writes, "modified in spite of {error}"),
    }
}
