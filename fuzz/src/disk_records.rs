//! Forged records: a segment written by another hand, from the layout in the disk crate's documentation,
//! with any field of any header wrong and its checksum right, or the other way round. What is read back
//! is the groups before the first that does not belong, or damage where something proves that more was
//! durable.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, OpenError, RecordStream, StreamOptions, replace_atomically};

use crate::input::value;

const DISK: [u8; 16] = [5; 16];
const BLOCK: usize = 4_096;
const DATA_START: usize = 3 * BLOCK;
const SEAL: u8 = 255;
const GROUPS_MAX: usize = 6;
const RECORDS_MAX: usize = 4;

#[derive(Arbitrary, Debug)]
struct Segment {
    groups: Vec<Vec<Forged>>,
    mark: Option<u8>,
    /// What the manifest says is synced, if there is a manifest.
    manifest: Option<u8>,
}

#[derive(Arbitrary, Debug)]
struct Forged {
    kind: u8,
    len: u8,
    wrong: Option<Wrong>,
}

/// One thing about a record that is not as it should be.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Wrong {
    Magic,
    Length(u32),
    PayloadBit(u8),
    Sequence(i8),
    Group(i8),
    Synced(i8),
    Life(u8),
    Remaining(i8),
    Checksum(u32),
    Place(u8),
}

/// Only made-up segments: recorded ones are the business of `stream_recovery`.
pub fn check(bytes: &[u8]) {
    let Some(segment) = value::<Segment>(bytes) else { return };
    let (file, headers) = write(&segment);
    let disk = FakeDisk::new(1);
    let mount = disk.mount();
    mount
        .create("segment-00000000000000000001", 0)
        .expect("room")
        .write_at(0, &file)
        .expect("room");
    if let Some(synced) = segment.manifest {
        replace_atomically(&*mount, "stream-manifest", &manifest(synced)).expect("room");
    }
    drop(mount);
    let writes = disk.writes();
    let options = StreamOptions { step_bytes: 8_192, ..StreamOptions::new(DiskId(DISK)) };
    let opened = RecordStream::open(disk.mount(), options);
    match (expected(&segment, &headers), opened) {
        (Some(payloads), Ok((stream, records, _))) => {
            let found: Vec<_> = records.iter().map(|r| (r.kind, r.payload.to_vec())).collect();
            assert_eq!(found, payloads);
            drop(stream);
            let (_, again, report) = RecordStream::open(disk.mount(), options).expect("repaired");
            assert_eq!((again, report.torn), (records, None), "cut once, and for all");
        }
        (None, Err(OpenError::Damaged(_))) => assert_eq!(disk.writes(), writes, "modified"),
        (expected, opened) => panic!("expected {expected:?}, opened {opened:?}"),
    }
}

/// A header as the file has it.
#[derive(Clone, Debug)]
struct Header {
    kind: u8,
    sequence: u64,
    group: u64,
    synced: u64,
    life: u64,
    remaining: u32,
    /// With magic and checksum as they must be.
    intact: bool,
    /// With the payload that its checksum is of.
    payload: Option<Vec<u8>>,
    len: usize,
}

/// The rules, over what was written where.
fn expected(segment: &Segment, headers: &BTreeMap<usize, Header>) -> Option<Vec<Record>> {
    let (mut end, mut group, mut sequence, mut found) = (DATA_START, 0, 1, Vec::new());
    while let Some((next, records)) = next_group(headers, end, group, sequence) {
        sequence += records.len() as u64;
        (end, group) = (next, group + 1);
        found.extend(records.into_iter().filter(|(kind, _)| *kind != SEAL));
    }
    let behind = headers.range(end..).map(|(_, header)| header);
    let later = behind.filter(|header| header.intact).any(|header| header.synced > group);
    let proven = |synced: Option<u8>| synced.is_some_and(|synced| u64::from(synced) > group);
    let orphaned = segment.manifest.is_none() && group > 0;
    let damaged = later || proven(segment.mark) || proven(segment.manifest) || orphaned;
    (!damaged).then_some(found)
}

/// Kind and payload.
type Record = (u8, Vec<u8>);

/// Where the next group ends, and its records, if it is there whole.
fn next_group(
    headers: &BTreeMap<usize, Header>,
    start: usize,
    group: u64,
    sequence: u64,
) -> Option<(usize, Vec<Record>)> {
    let (mut at, mut records) = (start, Vec::new());
    let mut before: Option<&Header> = None;
    loop {
        let header = headers.get(&at).filter(|header| header.intact)?;
        let in_line = before.is_none_or(|before| {
            header.life == before.life
                && u64::from(header.remaining) + 1 == u64::from(before.remaining)
        });
        let due = (group + 1, group, sequence + records.len() as u64);
        if (header.group, header.synced, header.sequence) != due || !in_line {
            return None;
        }
        records.push((header.kind, header.payload.clone()?));
        at += (56 + header.len).next_multiple_of(8);
        if header.remaining == 0 {
            return Some((at.next_multiple_of(BLOCK), records));
        }
        before = Some(header);
    }
}

fn manifest(synced: u8) -> Vec<u8> {
    let numbers = [1_u64, 1, synced.into(), 4].map(u64::to_le_bytes).concat();
    [&DISK[..], &numbers].concat()
}

fn salt() -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&DISK), &1_u64.to_le_bytes())
}

fn checksum_at(offset: usize, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt(), &(offset as u64).to_le_bytes()), bytes)
}

fn head() -> Vec<u8> {
    let mut head = [&b"lhsegmnt"[..], &1_u32.to_le_bytes()].concat();
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    head.extend(DISK);
    // Segment, first sequence, first group; then where the segment before ends, and its chain.
    head.extend([1_u64, 1, 1, 0].map(u64::to_le_bytes).concat());
    head.extend(0_u32.to_le_bytes());
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    head
}

fn mark(offset: usize, synced: u8) -> Vec<u8> {
    let mut mark = [&b"LhMk\0\0\0\0"[..], &u64::from(synced).to_le_bytes(), &[0; 4]].concat();
    mark.extend(checksum_at(offset, &mark).to_le_bytes());
    mark
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn write(segment: &Segment) -> (Vec<u8>, BTreeMap<usize, Header>) {
    let mut file = vec![0; DATA_START];
    put(&mut file, 0, &head());
    if let Some(synced) = segment.mark {
        put(&mut file, BLOCK, &mark(BLOCK, synced));
    }
    let (mut at, mut sequence, mut headers) = (DATA_START, 1, BTreeMap::new());
    for (group, records) in (1..).zip(segment.groups.iter().take(GROUPS_MAX)) {
        let count = records.len().min(RECORDS_MAX);
        for (index, record) in records.iter().take(RECORDS_MAX).enumerate() {
            let remaining = u32::try_from(count - index - 1).expect("few");
            let (header, bytes) = forge(record, at, sequence, group, remaining);
            put(&mut file, at, &bytes);
            headers.insert(at, header);
            at += bytes.len().next_multiple_of(8);
            sequence += 1;
        }
        at = at.next_multiple_of(BLOCK);
        file.resize(file.len().max(at), 0);
    }
    (file, headers)
}

fn forge(
    record: &Forged,
    at: usize,
    sequence: u64,
    group: u64,
    remaining: u32,
) -> (Header, Vec<u8>) {
    let Forged { kind, len, wrong } = record;
    let mut payload = vec![group as u8 ^ 0x5a; usize::from(*len)];
    let payload_checksum = crc32c::crc32c(&payload);
    let mut header = Header {
        kind: *kind,
        sequence,
        group,
        synced: group - 1,
        life: 3,
        remaining,
        intact: true,
        payload: Some(payload.clone()),
        len: payload.len(),
    };
    let (mut magic, mut place, mut flip) = (*b"LhRc", at, 0);
    match wrong {
        None => {}
        Some(Wrong::Magic) => (magic, header.intact) = (*b"LhRd", false),
        Some(Wrong::Length(other)) if *other as usize != payload.len() => {
            header.len = *other as usize;
            // A shorter or longer payload has this checksum by chance alone, and zeros do not.
            header.payload = None;
        }
        Some(Wrong::PayloadBit(bit)) if !payload.is_empty() => {
            let bit = usize::from(*bit) % (payload.len() * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
            header.payload = None;
        }
        Some(Wrong::Sequence(by)) => header.sequence = sequence.wrapping_add_signed((*by).into()),
        Some(Wrong::Group(by)) => header.group = group.wrapping_add_signed((*by).into()),
        Some(Wrong::Synced(by)) => header.synced = (group - 1).wrapping_add_signed((*by).into()),
        Some(Wrong::Life(life)) => header.life = (*life).into(),
        Some(Wrong::Remaining(by)) => {
            header.remaining = remaining.wrapping_add_signed((*by).into())
        }
        Some(Wrong::Checksum(by)) => (flip, header.intact) = (*by, *by == 0),
        Some(Wrong::Place(by)) => {
            place += usize::from(*by) * 8;
            header.intact = *by == 0;
        }
        Some(Wrong::Length(_) | Wrong::PayloadBit(_)) => {}
    }
    let mut bytes = [&magic[..], &[*kind, 0, 0, 0], &(header.len as u32).to_le_bytes()].concat();
    bytes.extend(payload_checksum.to_le_bytes());
    let numbers = [header.sequence, header.group, header.synced, header.life];
    bytes.extend(numbers.map(u64::to_le_bytes).concat());
    bytes.extend(header.remaining.to_le_bytes());
    bytes.extend((checksum_at(place, &bytes) ^ flip).to_le_bytes());
    bytes.extend(payload);
    (header, bytes)
}
