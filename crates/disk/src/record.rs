//! Records and groups as bytes.
//!
//! A group is the records of one append. It starts at a block boundary and is padded with zeros to
//! the next one, so that no write ever touches a block that holds bytes acknowledged before. Within
//! a group records follow each other at multiples of eight bytes:
//!
//! ```text
//!  0 magic u32   4 kind u8, three zeros   8 payload length u32   12 CRC-32C of the payload
//! 16 sequence u64: this record's number in the stream, from 1, without gaps
//! 24 group u64: its group's number, from 1, without gaps
//! 32 synced u64: the last group known to be durable when this was written
//! 40 life u64: how many times the stream had been opened
//! 48 remaining u32: records of its group behind this one
//! 52 CRC-32C of disk id, segment number, byte offset, and bytes 0..52
//! 56 payload, padded with zeros to a multiple of eight
//! ```
//!
//! Place and disk are part of the header's checksum: a record anywhere else than where it was
//! written is not one, and no payload can imitate one without knowing the disk id.

use bytes::Bytes;

use crate::bytes_le::{put, u32_at, u64_at};
use crate::identity::DiskId;

/// What a write is assumed to leave intact around it.
pub(crate) const BLOCK: u64 = 4096;
pub(crate) const HEADER_BYTES: usize = 56;
const MAGIC: [u8; 4] = *b"LhRc";
/// The stream's own kind: a record without meaning that proves the group before it durable.
pub(crate) const SEAL: u8 = 255;

/// One record to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The caller's meaning, `0..=RecordStream::KIND_MAX`.
    pub kind: u8,
    /// Up to [`RecordStream::PAYLOAD_BYTES_MAX`](crate::RecordStream::PAYLOAD_BYTES_MAX) bytes; may be empty.
    pub payload: &'a [u8],
}

/// One record of the caller's summary, see [`RecordStream::append_group`](crate::RecordStream::append_group).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The caller's meaning, `0..=RecordStream::KIND_MAX`.
    pub kind: u8,
    /// Up to [`RecordStream::PAYLOAD_BYTES_MAX`](crate::RecordStream::PAYLOAD_BYTES_MAX) bytes; may be empty.
    pub payload: Bytes,
}

/// One record read back at [`RecordStream::open`](crate::RecordStream::open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its group starts. The record is kept until
    /// [`RecordStream::remove_segments_before`](crate::RecordStream::remove_segments_before) is
    /// called with a position in a later segment.
    pub position: GroupPosition,
    /// The caller's meaning.
    pub kind: u8,
    /// As appended.
    pub payload: Bytes,
}

/// Where a group of records starts. Later groups are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupPosition {
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Byte offset within it.
    pub offset: u64,
}

/// A record's header without what follows from its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) payload_len: u32,
    pub(crate) payload_checksum: u32,
    pub(crate) sequence: u64,
    pub(crate) group: u64,
    pub(crate) synced: u64,
    pub(crate) life: u64,
    pub(crate) remaining: u32,
    /// The header's own checksum, which [`chain`] links.
    pub(crate) checksum: u32,
}

impl Header {
    /// Bytes from this record's start to the next one's.
    pub(crate) fn record_bytes(&self) -> u64 {
        record_bytes(self.payload_len as usize)
    }
}

/// What is mixed into the checksums of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(u32);

impl Salt {
    pub(crate) fn new(disk_id: DiskId, segment: u64) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(&disk_id.0), &segment.to_le_bytes()))
    }

    /// Checksum of `bytes` at `offset` of this segment.
    pub(crate) fn checksum(self, offset: u64, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &offset.to_le_bytes()), bytes)
    }
}

/// Checksum of all headers up to and including one: two histories that differ anywhere differ here.
pub(crate) fn chain(before: u32, header_checksum: u32) -> u32 {
    crc32c::crc32c_append(before, &header_checksum.to_le_bytes())
}

pub(crate) fn align_to_block(offset: u64) -> u64 {
    offset.next_multiple_of(BLOCK)
}

fn record_bytes(payload_len: usize) -> u64 {
    (HEADER_BYTES + payload_len).next_multiple_of(8) as u64
}

/// Bytes a group takes, padding included.
pub(crate) fn group_bytes(payload_lens: impl Iterator<Item = usize>) -> u64 {
    align_to_block(payload_lens.map(record_bytes).sum())
}

/// Where a group goes and how it is numbered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupPlace {
    pub(crate) salt: Salt,
    pub(crate) offset: u64,
    pub(crate) group: u64,
    pub(crate) first_sequence: u64,
    pub(crate) life: u64,
}

/// Encodes a group into `buffer`, padded to whole blocks, and returns the new chain.
pub(crate) fn encode_group<'a>(
    buffer: &mut Vec<u8>,
    place: GroupPlace,
    mut chained: u32,
    records: impl ExactSizeIterator<Item = RecordRef<'a>>,
) -> u32 {
    buffer.clear();
    let count = records.len();
    for (index, record) in records.enumerate() {
        let header = encode_header(&place, buffer.len(), (index, count), record);
        chained = chain(chained, u32_at(&header, 52));
        buffer.extend_from_slice(&header);
        buffer.extend_from_slice(record.payload);
        buffer.resize(buffer.len().next_multiple_of(8), 0);
    }
    buffer.resize(buffer.len().next_multiple_of(BLOCK as usize), 0);
    chained
}

fn encode_header(
    place: &GroupPlace,
    at: usize,
    (index, count): (usize, usize),
    record: RecordRef<'_>,
) -> [u8; HEADER_BYTES] {
    let payload_len =
        u32::try_from(record.payload.len()).expect("checked against PAYLOAD_BYTES_MAX");
    let remaining = u32::try_from(count - index - 1).expect("checked against GROUP_RECORDS_MAX");
    let mut header = [0; HEADER_BYTES];
    put(&mut header, 0, &MAGIC);
    header[4] = record.kind;
    put(&mut header, 8, &payload_len.to_le_bytes());
    put(&mut header, 12, &crc32c::crc32c(record.payload).to_le_bytes());
    put(&mut header, 16, &(place.first_sequence + index as u64).to_le_bytes());
    put(&mut header, 24, &place.group.to_le_bytes());
    // A group is written only when everything before it is durable.
    put(&mut header, 32, &(place.group - 1).to_le_bytes());
    put(&mut header, 40, &place.life.to_le_bytes());
    put(&mut header, 48, &remaining.to_le_bytes());
    let checksum = place.salt.checksum(place.offset + at as u64, &header[..52]);
    put(&mut header, 52, &checksum.to_le_bytes());
    header
}

/// The header at `offset` of a segment's bytes, if there is an intact one.
pub(crate) fn decode_header(segment: &[u8], salt: Salt, offset: u64) -> Option<Header> {
    let at = usize::try_from(offset).ok()?;
    let bytes = segment.get(at..)?.get(..HEADER_BYTES)?;
    if bytes[..4] != MAGIC || salt.checksum(offset, &bytes[..52]) != u32_at(bytes, 52) {
        return None;
    }
    Some(Header {
        kind: bytes[4],
        payload_len: u32_at(bytes, 8),
        payload_checksum: u32_at(bytes, 12),
        sequence: u64_at(bytes, 16),
        group: u64_at(bytes, 24),
        synced: u64_at(bytes, 32),
        life: u64_at(bytes, 40),
        remaining: u32_at(bytes, 48),
        checksum: u32_at(bytes, 52),
    })
}

/// The payload behind an intact header, if it is intact too.
pub(crate) fn payload_of<'a>(segment: &'a [u8], offset: u64, header: &Header) -> Option<&'a [u8]> {
    let at = usize::try_from(offset).ok()? + HEADER_BYTES;
    let payload = segment.get(at..)?.get(..header.payload_len as usize)?;
    (crc32c::crc32c(payload) == header.payload_checksum).then_some(payload)
}
