//! Segment files: their names, their head, and the marks in it.
//!
//! ```text
//! block 0   magic "lhsegmnt", version u32, CRC-32C of these 12 bytes
//!           16 disk id   32 segment number u64   40 first sequence u64   48 first group u64
//!           56 where the segment before ends u64   64 chain at its end u32   68 CRC-32C of bytes 0..68
//! block 1   mark: 0 magic u32   4 zero u32   8 synced u64   16 zero u32   20 CRC-32C like a record's
//! block 2   mark: the same; written in turn, so that a torn one never hides the other
//! block 3.. groups, then zeros
//! ```
//!
//! Block 0 is durable before the file has its name and is never written again. A mark says that
//! every group up to `synced` is durable; it is written after each sync and not synced itself.

use crate::bytes_le::{Preamble, check_preamble, disk_id_at, put, put_preamble, u32_at, u64_at};
use crate::identity::DiskId;
use crate::record::{BLOCK, Salt};

const MAGIC: &[u8; 8] = b"lhsegmnt";
pub(crate) const VERSION: u32 = 1;
const HEAD_BYTES: usize = 72;
const MARK_MAGIC: [u8; 4] = *b"LhMk";
const MARK_BYTES: usize = 24;
/// Where the first group of a segment goes.
pub(crate) const DATA_START: u64 = 3 * BLOCK;

/// File name of a segment.
pub(crate) fn file_name(segment: u64) -> String {
    format!("segment-{segment:020}")
}

/// Number of the segment with this file name.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("segment-")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// Block 0: how a segment continues the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) disk_id: DiskId,
    pub(crate) segment: u64,
    pub(crate) first_sequence: u64,
    pub(crate) first_group: u64,
    pub(crate) previous_end: u64,
    pub(crate) previous_chain: u32,
}

pub(crate) enum HeadRead {
    Intact(Head),
    OtherVersion(u32),
    Unreadable,
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        put_preamble(&mut bytes, MAGIC, VERSION);
        put(&mut bytes, 16, &self.disk_id.0);
        put(&mut bytes, 32, &self.segment.to_le_bytes());
        put(&mut bytes, 40, &self.first_sequence.to_le_bytes());
        put(&mut bytes, 48, &self.first_group.to_le_bytes());
        put(&mut bytes, 56, &self.previous_end.to_le_bytes());
        put(&mut bytes, 64, &self.previous_chain.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..68]);
        put(&mut bytes, 68, &checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> HeadRead {
        match check_preamble(bytes, MAGIC, VERSION) {
            Preamble::Ours => {}
            Preamble::OtherVersion(found) => return HeadRead::OtherVersion(found),
            Preamble::Unreadable => return HeadRead::Unreadable,
        }
        let cut_short = (bytes.len() as u64) < DATA_START;
        if cut_short || crc32c::crc32c(&bytes[..68]) != u32_at(bytes, 68) {
            return HeadRead::Unreadable;
        }
        HeadRead::Intact(Self {
            disk_id: disk_id_at(bytes, 16),
            segment: u64_at(bytes, 32),
            first_sequence: u64_at(bytes, 40),
            first_group: u64_at(bytes, 48),
            previous_end: u64_at(bytes, 56),
            previous_chain: u32_at(bytes, 64),
        })
    }
}

/// The two places a mark can be, taken in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkSlot(u64);

impl MarkSlot {
    pub(crate) const FIRST: Self = Self(1);
    const ALL: [Self; 2] = [Self::FIRST, Self(2)];

    pub(crate) fn offset(self) -> u64 {
        self.0 * BLOCK
    }

    pub(crate) fn other(self) -> Self {
        Self(3 - self.0)
    }
}

pub(crate) fn encode_mark(salt: Salt, slot: MarkSlot, synced: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    put(&mut bytes, 0, &MARK_MAGIC);
    put(&mut bytes, 8, &synced.to_le_bytes());
    let checksum = salt.checksum(slot.offset(), &bytes[..20]);
    put(&mut bytes, 20, &checksum.to_le_bytes());
    bytes
}

/// The newest intact mark: its slot and what it says is synced. The caller has checked the head.
pub(crate) fn newest_mark(segment: &[u8], salt: Salt) -> Option<(MarkSlot, u64)> {
    let read = |slot: MarkSlot| {
        let at = slot.offset() as usize;
        let bytes = &segment[at..at + MARK_BYTES];
        let intact = bytes[..4] == MARK_MAGIC
            && salt.checksum(slot.offset(), &bytes[..20]) == u32_at(bytes, 20);
        intact.then(|| (slot, u64_at(bytes, 8)))
    };
    MarkSlot::ALL.into_iter().filter_map(read).max_by_key(|(_, synced)| *synced)
}
