//! Files that are replaced as a whole: the frame around each, then identity, peers and manifest inside it,
//! which a checksum that happens to be right must not turn into a wrong answer. A refusal modifies
//! nothing.

use std::collections::BTreeMap;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{
    BootId, DiskId, Identity, IdentityError, Past, PeerMemory, RecordRef, RecordStream, Start,
    StreamOptions, read_checked, replace_atomically,
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
    let past_end = 56 + past_bytes(incarnation);
    let ours =
        node == NODE && incarnation > 0 && payload.get(past_end..) == Some(CLUSTER.as_bytes());
    let boot = |of: u8| BootId([of; 16]);
    let writes = disk.writes();
    match Identity::claim(&*disk.mount(), CLUSTER, NODE, DiskId([9; 16]), boot(1)) {
        Ok(claimed) => {
            let claimed = claimed.start;
            assert!(ours && claimed.incarnation == incarnation + 1);
            assert_eq!(claimed.disk_id.0[..], payload[8..24]);
            assert_eq!(claimed.boot_id, boot(1));
            let past = claimed.past.bytes();
            let (before, last) = past.split_at(past.len() - 12);
            assert!(payload[56..past_end].ends_with(before));
            assert_eq!(last[..4], crc32c::crc32c(&payload[32..48]).to_le_bytes());
            assert_eq!(last[4..], payload[48..56]);
            assert_eq!(claimed.recovered, Start::UNOPENED);
            disk.crash();
            let again = Identity::claim(&*disk.mount(), CLUSTER, NODE, DiskId([9; 16]), boot(2));
            let next = claimed.incarnation.checked_add(1);
            assert_eq!(again.ok().map(|again| again.start.incarnation), next);
        }
        Err(error) => {
            assert_eq!(disk.writes(), writes, "modified in spite of {error}");
            let exhausted = matches!(error, IdentityError::Exhausted);
            assert_eq!(exhausted, ours && incarnation == u64::MAX);
        }
    }
}

/// Twelve for each start before, up to 128 of them.
fn past_bytes(incarnation: u64) -> usize {
    12 * usize::try_from(incarnation.saturating_sub(1)).map_or(128, |before| before.min(128))
}

/// Starts, and how far the stream of each had come.
type Entries = BTreeMap<u64, (Start, u64)>;

/// As somebody reads it who knows the format alone; `None` if something is left over, nobody can have
/// started, or less was reached than was found.
fn entries(mut payload: &[u8]) -> Option<Entries> {
    let mut read = BTreeMap::new();
    while !payload.is_empty() {
        let incarnation = number(payload, 24);
        let (entry, rest) = payload.split_at_checked(64 + past_bytes(incarnation))?;
        let array = |at: usize| std::array::from_fn(|byte| entry[at + byte]);
        let past = Past::read(incarnation, &entry[64..])?;
        assert_eq!(past.bytes(), &entry[64..]);
        let (disk_id, boot_id) = (DiskId(array(8)), BootId(array(32)));
        let (recovered, reached) = (number(entry, 48), number(entry, 56));
        if recovered > reached {
            return None;
        }
        let start = Start { disk_id, incarnation, boot_id, recovered, past };
        read.insert(number(entry, 0), (start, reached));
        payload = rest;
    }
    Some(read)
}

fn peers(payload: &[u8]) {
    let disk = holding("peers", payload);
    let expected = entries(payload);
    let Ok(mut memory) = PeerMemory::open(disk.mount()) else {
        return assert_eq!(expected, None);
    };
    let expected = expected.expect("read by the program");
    assert_eq!(all(&memory), expected);
    // A start that is not later than what is remembered changes nothing; one after it is remembered, and
    // one after another, or one that found less than was reached, is not.
    for (id, (seen, reached)) in &expected {
        let other = BootId([0xAB; 16]);
        let again = Start { boot_id: other, ..seen.clone() };
        assert_eq!(memory.admit(*id, again).is_ok(), seen.boot_id == other);
        let with = |incarnation, boot_id, last: BootId, recovered| {
            let past = seen.past.clone().and_then(last, seen.recovered);
            Start { incarnation, boot_id, recovered, past, ..seen.clone() }
        };
        if let Some(older) = seen.incarnation.checked_sub(1) {
            assert!(memory.admit(*id, with(older, seen.boot_id, other, *reached)).is_err());
        }
        let Some(later) = seen.incarnation.checked_add(1) else { continue };
        if let Some(less) = reached.checked_sub(1) {
            assert!(memory.admit(*id, with(later, other, seen.boot_id, less)).is_err());
        }
        let copied = memory.admit(*id, with(later, other, BootId([0xCD; 16]), *reached));
        let same = crc32c::crc32c(&seen.boot_id.0) == crc32c::crc32c(&[0xCD; 16]);
        assert_eq!(copied.is_ok(), same);
        assert!(memory.admit(*id, with(later, other, seen.boot_id, *reached)).is_ok());
    }
    disk.crash_keeping(|_| false);
    assert_eq!(all(&PeerMemory::open(disk.mount()).expect("as written")), all(&memory));
}

fn all(memory: &PeerMemory) -> Entries {
    let reached = |id| memory.reached(id).expect("it was seen").get();
    memory.seen().map(|(id, start)| (id, (start.clone(), reached(id)))).collect()
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
