//! Reading a stream back: what is there, what was torn, and what is damaged. Modifies nothing.
//!
//! The question is what an unreadable record means. If it was being written when the power failed,
//! nobody was told that it is there, and it may go. If it was durable, somebody relies on it, and it
//! must not be dropped in silence (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based
//! Storage", FAST 2018). The two look alike; what tells them apart is written elsewhere:
//!
//! * A group is written only when everything before it is durable, and each of its records says
//!   so (`synced`). So an unreadable record whose group any intact record behind it, or a later
//!   segment, names as synced, is damage.
//! * So is one whose group the mark in the segment's head, or the manifest, names as synced.
//! * Otherwise it belongs to the last group, which was never acknowledged and where one record may
//!   be lost and a later one kept: a torn tail. That group is cut, whole: its first records may be
//!   only half of the summary that starts a segment.
//!
//! What remains: damage to the very last group looks torn while no mark that covers it is on the
//! medium, that is until the next group, a clean start, or the system's own write-back, which is due
//! within seconds. Where even that is too long, for votes, a seal closes it at once.
//!
//! The next group gets the number and the place of the one that was cut, and a record that is left
//! of the old one must never complete the new one. What is behind the cut is zeroed durably before
//! anything is written; a crash meanwhile leaves a tail that is cut at the same place again, since
//! zeros only remove records of that same group, and none of those names it as synced. And should
//! the zeroing fail like any write can, leftovers stay on the medium that nobody can read; so each
//! record also says in which life of the stream it was written, and one group has one life.

use bytes::Bytes;

use crate::damage::{Damage, Harm, OpenError, Proof};
use crate::disk::Disk;
use crate::error::{DiskFault, Operation};
use crate::identity::DiskId;
use crate::manifest::{self, Manifest};
use crate::record::{
    GroupPosition, Header, Record, SEAL, Salt, align_to_block, chain, decode_header, payload_of,
};
use crate::segment::{self, DATA_START, Head, HeadRead, MarkSlot, file_name, newest_mark};

/// A stream as it was found.
pub(crate) struct Inspection {
    pub(crate) records: Vec<Record>,
    pub(crate) segments: Vec<u64>,
    /// Segments whose removal was decided and not completed.
    pub(crate) leftovers: Vec<u64>,
    /// The newest segment; `None` if the stream does not exist yet.
    pub(crate) tail: Option<Tail>,
    pub(crate) torn: Option<TornTail>,
}

/// A group that was being written when the power failed; it was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: String,
    /// Where the group started; everything from here on was cut.
    pub offset: u64,
    /// The group's number in the stream; the next group gets it.
    pub group: u64,
}

/// The newest segment, and what has to be written to it before it is used.
pub(crate) struct Tail {
    pub(crate) head: Head,
    /// Where its records end.
    pub(crate) end: u64,
    pub(crate) next_sequence: u64,
    pub(crate) last_group: u64,
    /// Larger than any that was used.
    pub(crate) life: u64,
    pub(crate) chain: u32,
    pub(crate) next_mark: MarkSlot,
    pub(crate) repair_offset: u64,
    /// The last group as it is, then zeros over whatever else is there.
    pub(crate) repair: Vec<u8>,
}

/// Reads the whole stream.
pub(crate) fn inspect(disk: &dyn Disk, disk_id: DiskId) -> Result<Inspection, OpenError> {
    let manifest = Manifest::read(disk)?;
    if let Some(Manifest { disk_id: found, .. }) = manifest
        && found != disk_id
    {
        return Err(foreign(manifest::FILE, disk_id, found));
    }
    let (leftovers, segments) = segments_to_read(disk, manifest)?;
    let mut found = Inspection { records: Vec::new(), segments, leftovers, tail: None, torn: None };
    let mut previous: Option<Walk> = None;
    for &number in &found.segments {
        let bytes = read_file(disk, &file_name(number))?;
        let head = check_head(&bytes, disk_id, number)?;
        if let Some(previous) = &previous {
            check_continues(previous, &head)?;
        }
        let mut walk = Walk::start(head);
        walk.run(&bytes, &mut found.records);
        if number == *found.segments.last().expect("this loop is over it") {
            check_tail(&bytes, &walk, manifest)?;
            found.torn = walk.torn(&bytes);
            found.tail = Some(walk.tail(&bytes, manifest));
        }
        previous = Some(walk);
    }
    Ok(found)
}

/// Splits the segments on disk into those whose removal was interrupted and those that count, of
/// which none may be missing.
fn segments_to_read(
    disk: &dyn Disk,
    manifest: Option<Manifest>,
) -> Result<(Vec<u64>, Vec<u64>), OpenError> {
    let names = disk.list().map_err(|e| DiskFault::new(Operation::List, "the directory", e))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number_of(name)).collect();
    numbers.sort_unstable();
    let Some(manifest) = manifest else {
        // The first segment is made before the manifest, and used after.
        return match numbers[..] {
            [] | [1] => Ok((Vec::new(), numbers)),
            _ => Err(Damage::new(manifest::FILE, 0, Harm::Missing).into()),
        };
    };
    let counted = numbers.split_off(numbers.partition_point(|number| *number < manifest.oldest));
    let newest = counted.last().map_or(manifest.newest, |last| manifest.newest.max(*last));
    let mut present = counted.iter();
    match (manifest.oldest..=newest).find(|number| present.next() != Some(number)) {
        Some(missing) => Err(Damage::new(file_name(missing), 0, Harm::Missing).into()),
        None => Ok((numbers, counted)),
    }
}

fn read_file(disk: &dyn Disk, file: &str) -> Result<Vec<u8>, DiskFault> {
    disk.read(file).map_err(|e| DiskFault::new(Operation::Read, file, e))
}

fn foreign(file: &str, expected: DiskId, found: DiskId) -> OpenError {
    OpenError::ForeignDisk { file: file.to_owned(), expected, found }
}

fn check_head(bytes: &[u8], disk_id: DiskId, number: u64) -> Result<Head, OpenError> {
    let file = file_name(number);
    match Head::decode(bytes) {
        HeadRead::Unreadable => Err(Damage::new(file, 0, Harm::HeadUnreadable).into()),
        HeadRead::OtherVersion(found) => {
            Err(OpenError::UnsupportedVersion { file, found, supported: segment::VERSION })
        }
        HeadRead::Intact(head) if head.disk_id != disk_id => {
            Err(foreign(&file, disk_id, head.disk_id))
        }
        HeadRead::Intact(head) if head.segment != number => {
            Err(Damage::new(file, 0, Harm::WrongSegment { found: head.segment }).into())
        }
        HeadRead::Intact(head) => Ok(head),
    }
}

/// A segment that has a successor was durable to its end, and the successor knows that end.
fn check_continues(previous: &Walk, head: &Head) -> Result<(), Damage> {
    if previous.group + 1 < head.first_group {
        return Err(previous.lost(Proof::NextSegment));
    }
    let continues = head.first_sequence == previous.next_sequence
        && head.first_group == previous.group + 1
        && head.previous_end == previous.end
        && head.previous_chain == previous.chain;
    if continues {
        return Ok(());
    }
    let harm = Harm::Discontinued { previous: previous.segment };
    Err(Damage::new(file_name(head.segment), 0, harm))
}

/// The rule above, for the newest segment.
fn check_tail(bytes: &[u8], walk: &Walk, manifest: Option<Manifest>) -> Result<(), Damage> {
    let missing = walk.group + 1;
    if let Some(offset) = later_record(bytes, walk) {
        return Err(walk.lost(Proof::LaterRecord { offset }));
    }
    if newest_mark(bytes, walk.salt).is_some_and(|(_, synced)| synced >= missing) {
        return Err(walk.lost(Proof::Mark));
    }
    match manifest {
        Some(manifest) if manifest.synced >= missing => Err(walk.lost(Proof::Manifest)),
        // Into a segment that the manifest does not know yet, nothing was written.
        Some(Manifest { newest, .. }) if walk.segment > newest && walk.has_groups() => {
            Err(Damage::new(manifest::FILE, 0, Harm::OldManifest { newest }))
        }
        None if walk.has_groups() => Err(Damage::new(manifest::FILE, 0, Harm::Missing)),
        _ => Ok(()),
    }
}

/// An intact header behind the end that names the missing group as synced.
fn later_record(bytes: &[u8], walk: &Walk) -> Option<u64> {
    let names_it = |header: Header| header.synced > walk.group;
    (walk.end..bytes.len() as u64)
        .step_by(8)
        .find(|offset| decode_header(bytes, walk.salt, *offset).is_some_and(names_it))
}

/// A walk from group to group through one segment.
struct Walk {
    head: Head,
    segment: u64,
    salt: Salt,
    /// Where the last intact group ends and the next one has to start.
    end: u64,
    next_sequence: u64,
    group: u64,
    group_start: u64,
    chain: u32,
    /// The first record that is not there.
    stopped_at: u64,
}

/// A record that is there as it was written.
struct Intact<'a> {
    offset: u64,
    header: Header,
    payload: &'a [u8],
}

impl Walk {
    fn start(head: Head) -> Self {
        Self {
            segment: head.segment,
            salt: Salt::new(head.disk_id, head.segment),
            end: DATA_START,
            next_sequence: head.first_sequence,
            group: head.first_group - 1,
            group_start: DATA_START,
            chain: head.previous_chain,
            stopped_at: DATA_START,
            head,
        }
    }

    /// Takes group after group until the next one is not there whole.
    fn run(&mut self, bytes: &[u8], records: &mut Vec<Record>) {
        loop {
            match self.next_group(bytes) {
                Ok(group) => self.take(group, records),
                Err(offset) => {
                    self.stopped_at = offset;
                    return;
                }
            }
        }
    }

    fn take(&mut self, group: Vec<Intact<'_>>, records: &mut Vec<Record>) {
        let position = GroupPosition { segment: self.segment, offset: self.end };
        self.group += 1;
        self.group_start = self.end;
        for Intact { offset, header, payload } in group {
            self.end = align_to_block(offset + header.record_bytes());
            self.next_sequence += 1;
            self.chain = chain(self.chain, header.checksum);
            if header.kind != SEAL {
                let payload = Bytes::copy_from_slice(payload);
                records.push(Record { position, kind: header.kind, payload });
            }
        }
    }

    /// All records of the next group, or where the first one should be that is not there.
    fn next_group<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Intact<'a>>, u64> {
        let mut group = Vec::new();
        let mut offset = self.end;
        loop {
            let header = decode_header(bytes, self.salt, offset).ok_or(offset)?;
            let belongs = group.last().is_none_or(|Intact { header: before, .. }: &Intact<'_>| {
                header.life == before.life && header.remaining == before.remaining - 1
            });
            let expected = header.group == self.group + 1
                && header.synced == self.group
                && header.sequence == self.next_sequence + group.len() as u64
                && belongs;
            let payload = payload_of(bytes, offset, &header).filter(|_| expected).ok_or(offset)?;
            group.push(Intact { offset, header, payload });
            if header.remaining == 0 {
                return Ok(group);
            }
            offset += header.record_bytes();
        }
    }

    fn has_groups(&self) -> bool {
        self.end > DATA_START
    }

    /// The group behind the end was durable and is not there.
    fn lost(&self, proof: Proof) -> Damage {
        let harm = Harm::RecordLost { group: self.group + 1, proof };
        Damage::new(file_name(self.segment), self.stopped_at, harm)
    }

    fn torn(&self, bytes: &[u8]) -> Option<TornTail> {
        (self.last_used(bytes) > self.end).then(|| TornTail {
            file: file_name(self.segment),
            offset: self.end,
            group: self.group + 1,
        })
    }

    /// Where the last byte that is not zero ends.
    fn last_used(&self, bytes: &[u8]) -> u64 {
        let behind = bytes.get(self.end as usize..).unwrap_or_default();
        behind
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(self.end, |last| self.end + last as u64 + 1)
    }

    fn tail(&self, bytes: &[u8], manifest: Option<Manifest>) -> Tail {
        // The last group is written again: if its sync failed, its pages count as clean although
        // they are not on the medium, and only a new write makes the next sync cover them.
        let last_group = &bytes[self.group_start as usize..];
        let mut repair =
            last_group[..last_group.len().min((self.end - self.group_start) as usize)].to_vec();
        let repair_end = align_to_block(self.last_used(bytes));
        repair.resize((repair_end - self.group_start) as usize, 0);
        let next_mark =
            newest_mark(bytes, self.salt).map_or(MarkSlot::FIRST, |(slot, _)| slot.other());
        Tail {
            head: self.head,
            end: self.end,
            next_sequence: self.next_sequence,
            last_group: self.group,
            life: manifest.map_or(1, |manifest| manifest.life + 1),
            chain: self.chain,
            next_mark,
            repair_offset: self.group_start,
            repair,
        }
    }
}
