//! Little-endian fields at fixed offsets, and the preamble every file starts with.

use crate::identity::DiskId;

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn disk_id_at(bytes: &[u8], at: usize) -> DiskId {
    DiskId(array_at(bytes, at))
}

/// The caller has checked the length: formats have fixed sizes.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Magic, version and a checksum of just these two, so that another version is told from damage
/// whatever else that version changed.
pub(crate) const PREAMBLE_BYTES: usize = 16;

pub(crate) enum Preamble {
    Ours,
    OtherVersion(u32),
    Unreadable,
}

pub(crate) fn put_preamble(bytes: &mut [u8], magic: &[u8; 8], version: u32) {
    put(bytes, 0, magic);
    put(bytes, 8, &version.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..12]);
    put(bytes, 12, &checksum.to_le_bytes());
}

pub(crate) fn check_preamble(bytes: &[u8], magic: &[u8; 8], version: u32) -> Preamble {
    let whole = bytes.len() >= PREAMBLE_BYTES
        && bytes[..8] == magic[..]
        && crc32c::crc32c(&bytes[..12]) == u32_at(bytes, 12);
    match whole {
        false => Preamble::Unreadable,
        true if u32_at(bytes, 8) == version => Preamble::Ours,
        true => Preamble::OtherVersion(u32_at(bytes, 8)),
    }
}
