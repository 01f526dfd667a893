//! The log in memory: what is on disk, or on its way there.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use openraft::entry::{EntryPayload, RaftEntry};
use openraft::storage::LogState;
use openraft::{LogIdOptionExt, RaftTypeConfig};

use crate::type_config::{Entry, Leadership, LogId, Vote};

/// The log. Entries are consecutive; there is never a hole, not even between the purged part and the
/// first entry.
#[derive(Debug, Default)]
pub(crate) struct MemoryLog {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    purged: Option<LogId>,
    entries: VecDeque<Entry>,
    bytes: u64,
}

/// An entry that does not follow the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {found} where {expected} was due")]
pub(crate) struct Hole {
    /// The index that was due.
    pub(crate) expected: u64,
    /// The index that came.
    pub(crate) found: u64,
}

impl MemoryLog {
    /// Where the log begins and ends.
    pub(crate) fn state<C>(&self) -> LogState<C>
    where
        C: RaftTypeConfig<Entry = Entry, LeaderId = crate::type_config::LeaderId>,
    {
        LogState { last_purged_log_id: self.purged, last_log_id: self.last() }
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    pub(crate) fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that the entries take up, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Index of the first entry, or of the next one if there is none.
    pub(crate) fn first_index(&self) -> u64 {
        self.entries.front().map_or_else(|| self.purged.next_index(), RaftEntry::index)
    }

    /// Appends an entry that follows the last one. The very first may stand anywhere.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<(), Hole> {
        if let Some(last) = self.last()
            && entry.log_id.index != last.index + 1
        {
            return Err(Hole { expected: last.index + 1, found: entry.log_id.index });
        }
        self.push(entry);
        Ok(())
    }

    /// Appends the first entry there is, wherever it stands: while records are read back, the purge
    /// that explains the gap before it may still come.
    pub(crate) fn append_first(&mut self, entry: Entry) {
        debug_assert!(self.entries.is_empty());
        self.push(entry);
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// Removes everything after `last`.
    pub(crate) fn truncate_after(&mut self, last: Option<LogId>) {
        let keep_below = last.next_index();
        while self.entries.back().is_some_and(|entry| entry.log_id.index >= keep_below) {
            self.bytes -= self.entries.pop_back().map_or(0, |entry| weight(&entry));
        }
    }

    /// Forgets everything up to and including `upto`, which may lie beyond the end.
    pub(crate) fn purge(&mut self, upto: LogId) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto.index) {
            self.bytes -= self.entries.pop_front().map_or(0, |entry| weight(&entry));
        }
        self.purged = self.purged.max(Some(upto));
    }

    /// The entries of `range` that there are.
    pub(crate) fn range(&self, range: impl RangeBounds<u64>) -> impl Iterator<Item = &Entry> {
        let first = self.first_index();
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let place = |index: u64| {
            usize::try_from(index.saturating_sub(first))
                .unwrap_or(usize::MAX)
                .min(self.entries.len())
        };
        let (start, end) = (place(start), place(end));
        self.entries.range(start..end.max(start))
    }

    /// The entries from `start` to before `end`, as many as `bytes_max` allows, at least one; none
    /// where `start` is purged, for what follows a hole does not follow `start`.
    pub(crate) fn limited(&self, start: u64, end: u64, bytes_max: u64) -> Vec<Entry> {
        if start < self.first_index() {
            return Vec::new();
        }
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += weight(entry);
            first || bytes <= bytes_max
        };
        self.range(start..end).take_while(fits).cloned().collect()
    }
}

/// What an entry weighs, its frame included.
pub(crate) fn weight(entry: &Entry) -> u64 {
    const FRAME: u64 = 64;
    let payload = match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(data) => data.bytes().len() as u64,
        EntryPayload::Membership(members) => members.nodes().count() as u64 * 128,
    };
    FRAME + payload
}

/// A place in the log.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(Leadership::new(term), index)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::type_config::LogData;

    fn entry(index: u64) -> Entry {
        let data = LogData::Batch(Bytes::from(vec![0; 36]));
        Entry { log_id: log_id(1, index), payload: EntryPayload::Normal(data) }
    }

    fn log_of(indexes: std::ops::Range<u64>) -> MemoryLog {
        let mut log = MemoryLog::default();
        for index in indexes {
            log.append(entry(index)).expect("consecutive");
        }
        log
    }

    fn indexes(log: &MemoryLog, range: impl RangeBounds<u64>) -> Vec<u64> {
        log.range(range).map(RaftEntry::index).collect()
    }

    #[test]
    fn a_hole_is_refused() {
        let mut log = log_of(0..3);
        assert_eq!(log.append(entry(4)), Err(Hole { expected: 3, found: 4 }));
        assert_eq!(log.append(entry(2)), Err(Hole { expected: 3, found: 2 }));
    }

    #[test]
    fn a_range_is_answered_with_what_there_is() {
        let mut log = log_of(0..10);
        log.purge(log_id(1, 3));
        assert_eq!(indexes(&log, ..), vec![4, 5, 6, 7, 8, 9]);
        assert_eq!(indexes(&log, 0..6), vec![4, 5]);
        assert_eq!(indexes(&log, 8..=20), vec![8, 9]);
        assert_eq!(indexes(&log, 20..30), Vec::<u64>::new());
        assert_eq!(indexes(&log, 0..2), Vec::<u64>::new());
    }

    #[test]
    fn truncation_and_purge_keep_the_ends_right() {
        let mut log = log_of(0..10);
        log.truncate_after(Some(log_id(1, 6)));
        assert_eq!((log.last(), log.first_index()), (Some(log_id(1, 6)), 0));
        log.purge(log_id(1, 6));
        assert_eq!((log.last(), log.first_index()), (Some(log_id(1, 6)), 7));
        log.purge(log_id(1, 20));
        assert_eq!((log.last(), log.first_index()), (Some(log_id(1, 20)), 21));
        log.append(entry(21)).expect("follows what was purged");
        log.truncate_after(None);
        assert_eq!((log.last(), log.bytes()), (Some(log_id(1, 20)), 0));
    }

    #[test]
    fn what_follows_a_purged_entry_is_not_read_in_its_place() {
        let mut log = log_of(0..10);
        log.purge(log_id(1, 3));
        assert_eq!(log.limited(2, 10, 10_000), Vec::new());
        assert_eq!(log.limited(4, 10, 10_000).len(), 6);
    }

    #[test]
    fn a_message_is_bounded_by_bytes_but_never_empty() {
        let log = log_of(0..10);
        assert_eq!(log.limited(2, 10, 250).len(), 2);
        assert_eq!(log.limited(2, 10, 1).len(), 1);
        assert_eq!(log.limited(2, 10, 10_000).len(), 8);
    }
}
