//! The one segment that is appended to, as an open file.

use crate::atomic::{TEMPORARY_SUFFIX, rename_durably};
use crate::disk::{Disk, DiskFile};
use crate::error::{DiskFault, Operation};
use crate::record::{BLOCK, GroupPosition, Salt};
use crate::recovery::Tail;
use crate::segment::{DATA_START, Head, MarkSlot, encode_mark, file_name};

/// The segment that is appended to.
pub(crate) struct SegmentFile {
    pub(crate) number: u64,
    pub(crate) salt: Salt,
    pub(crate) name: String,
    file: Box<dyn DiskFile>,
    /// Where the next group goes.
    pub(crate) end: u64,
    allocated: u64,
    next_mark: MarkSlot,
}

impl SegmentFile {
    /// A new segment appears with its head durable, or not at all.
    pub(crate) fn create(disk: &dyn Disk, head: &Head, step_bytes: u64) -> Result<Self, DiskFault> {
        let name = file_name(head.segment);
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let allocated = DATA_START + step_bytes.max(BLOCK);
        let mut file = disk
            .create(&temporary, allocated)
            .map_err(|e| DiskFault::new(Operation::Create, &temporary, e))?;
        file.write_at(0, &head.encode())
            .map_err(|e| DiskFault::new(Operation::Write, &temporary, e))?;
        file.sync().map_err(|e| DiskFault::new(Operation::Sync, &temporary, e))?;
        rename_durably(disk, &temporary, &name)?;
        let salt = Salt::new(head.disk_id, head.segment);
        let (number, end) = (head.segment, DATA_START);
        Ok(Self { number, salt, name, file, end, allocated, next_mark: MarkSlot::FIRST })
    }

    /// Makes the newest segment what recovery found it to be, durably.
    pub(crate) fn reopen(disk: &dyn Disk, tail: Tail) -> Result<Self, DiskFault> {
        let name = file_name(tail.head.segment);
        let file = disk.open(&name).map_err(|e| DiskFault::new(Operation::Open, &name, e))?;
        let mut segment = Self {
            number: tail.head.segment,
            salt: Salt::new(tail.head.disk_id, tail.head.segment),
            name,
            file,
            end: tail.end,
            allocated: 0,
            next_mark: tail.next_mark,
        };
        segment.write(tail.repair_offset, &tail.repair)?;
        segment.sync()?;
        segment.allocated =
            segment.file.len().map_err(|e| DiskFault::new(Operation::Read, &segment.name, e))?;
        Ok(segment)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == DATA_START
    }

    pub(crate) fn position(&self) -> GroupPosition {
        GroupPosition { segment: self.number, offset: self.end }
    }

    /// One write, one sync.
    pub(crate) fn append(&mut self, group: &[u8], step_bytes: u64) -> Result<(), DiskFault> {
        let end = self.end + group.len() as u64;
        self.reserve(end, step_bytes)?;
        self.write(self.end, group)?;
        self.sync()?;
        self.end = end;
        Ok(())
    }

    /// Space first, so that a full disk shows before a group is written. Synced with the group.
    fn reserve(&mut self, end: u64, step_bytes: u64) -> Result<(), DiskFault> {
        if end <= self.allocated {
            return Ok(());
        }
        let allocated = DATA_START + (end - DATA_START).next_multiple_of(step_bytes.max(BLOCK));
        self.file
            .allocate(allocated)
            .map_err(|e| DiskFault::new(Operation::Allocate, &self.name, e))?;
        self.allocated = allocated;
        Ok(())
    }

    /// The same, synced now: the sync of a later group has no change of size to make durable.
    pub(crate) fn extend(&mut self, end: u64, step_bytes: u64) -> Result<(), DiskFault> {
        if end > self.allocated {
            self.reserve(end, step_bytes)?;
            self.sync()?;
        }
        Ok(())
    }

    /// Not synced: the next sync takes it along, and the system writes it out on its own before long.
    pub(crate) fn write_mark(&mut self, synced: u64) -> Result<(), DiskFault> {
        let slot = self.next_mark;
        self.write(slot.offset(), &encode_mark(self.salt, slot, synced))?;
        self.next_mark = slot.other();
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskFault> {
        self.file
            .write_at(offset, bytes)
            .map_err(|e| DiskFault::new(Operation::Write, &self.name, e))
    }

    fn sync(&mut self) -> Result<(), DiskFault> {
        self.file.sync().map_err(|e| DiskFault::new(Operation::Sync, &self.name, e))
    }
}
