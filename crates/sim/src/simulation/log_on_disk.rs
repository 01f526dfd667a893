//! What the disk of a node keeps of its log whatever happens next, read without the code that wrote it:
//! the records come from the real stream, what they mean is spelt out here once more.

use std::collections::BTreeMap;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, OpenError, Record, RecordStream};

use super::old_copy::options;

/// What is kept of one place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The entry of this term.
    Entry(u64),
    /// A snapshot that covers it.
    Purged,
    /// Nothing.
    Nothing,
    /// The disk was hurt, or is another one: nothing is asked of it.
    Unasked,
}

/// What would be left of `index` if the power failed now and nothing unsynced survived.
pub(crate) fn kept(disk: &FakeDisk, disk_id: DiskId, index: u64) -> Result<Kept, OpenError> {
    let image = disk.image();
    image.crash_keeping(|_| false);
    image.set_capacity(None);
    let (_, records, _) = RecordStream::open(image.mount(), options(disk_id))?;
    Ok(find(&records, index))
}

const ENTRY: u8 = 2;
const TRUNCATED_AFTER: u8 = 3;
const PURGED: u8 = 4;

fn find(records: &[Record], index: u64) -> Kept {
    let (mut terms, mut purged) = (BTreeMap::new(), None);
    for Record { kind, payload, .. } in records {
        let number = |at: usize| {
            let bytes = payload.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_le_bytes)
        };
        match *kind {
            ENTRY => _ = number(8).zip(number(0)).map(|(index, term)| terms.insert(index, term)),
            // A byte says whether anything is left.
            TRUNCATED_AFTER => match number(9) {
                Some(last) => terms.retain(|index, _| *index <= last),
                None => terms.clear(),
            },
            PURGED => purged = purged.max(number(8)),
            _ => {}
        }
    }
    match terms.get(&index) {
        _ if purged >= Some(index) => Kept::Purged,
        Some(term) => Kept::Entry(*term),
        None => Kept::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use leasehold_disk::RecordRef;

    use super::*;

    fn id(term: u64, index: u64) -> Vec<u8> {
        [term.to_le_bytes(), index.to_le_bytes()].concat()
    }

    fn some(id: Vec<u8>) -> Vec<u8> {
        [vec![1], id].concat()
    }

    #[test]
    fn only_what_was_synced_and_not_taken_back_is_kept() {
        let (disk, disk_id) = (FakeDisk::new(1), DiskId([1; 16]));
        let (mut stream, _, _) =
            RecordStream::open(disk.mount(), options(disk_id)).expect("an empty disk");
        let mut append = |kind: u8, payload: Vec<u8>| {
            let record = RecordRef { kind, payload: &payload };
            stream.append_group(&[record], Vec::new, false).expect("a disk that is well");
        };
        let kept = |index| kept(&disk, disk_id, index).expect("a disk that is well");
        for index in 1..=4 {
            append(ENTRY, [id(7, index), vec![0]].concat());
        }
        assert_eq!([3, 4, 5].map(kept), [Kept::Entry(7), Kept::Entry(7), Kept::Nothing]);
        append(TRUNCATED_AFTER, some(id(7, 3)));
        append(ENTRY, [id(8, 4), vec![0]].concat());
        assert_eq!([3, 4].map(kept), [Kept::Entry(7), Kept::Entry(8)]);
        append(PURGED, id(7, 3));
        assert_eq!([2, 3, 4].map(kept), [Kept::Purged, Kept::Purged, Kept::Entry(8)]);
        disk.fail_sync_at(1);
        let record = RecordRef { kind: ENTRY, payload: &[id(8, 5), vec![0]].concat() };
        stream.append_group(&[record], Vec::new, false).expect_err("the sync fails");
        assert_eq!([4, 5].map(kept), [Kept::Entry(8), Kept::Nothing]);
    }
}
