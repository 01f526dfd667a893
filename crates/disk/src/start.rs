//! One start of a disk, and the starts of the same disk that came before it.
//!
//! A count alone does not tell an old copy from the disk it was made of: started again and again, the
//! copy counts past any number that was ever seen. So every start also says which runs the last ones
//! were, and whoever remembers one of them looks whether it is there. On a copy it is not: its own
//! starts stand where the later starts of the disk should be.
//!
//! A copy that was made while the node ran has no start missing; only its record stream is shorter. So
//! each start also says how far the stream was when that run opened it. Groups are numbered from the
//! first one of the disk on, and a group that was synced is never cut: whoever remembers that a run had
//! synced so many finds as many at every later start of that disk, whatever segments rolled or were
//! removed in between, and fewer on a copy. A number can come twice only for a group that was torn, and
//! that nobody was told of.
//!
//! Each run is told by four bytes, a checksum of its boot id. They guard against mistakes, not against
//! lies, and of each disk one is compared with one.

use crate::bytes_le::u64_at;
use crate::identity::{BootId, DiskId};

/// How many starts back a disk can say which run it was. Every call between peers carries them,
/// 1.5 KiB; peers that never talked for as many starts can only compare how far the stream was.
pub const STARTS_KEPT: u64 = 128;
const TAG_BYTES: usize = 4;
/// A tag, and how far the stream was.
const RUN_BYTES: usize = TAG_BYTES + 8;

/// What a node says of its disk at a start, and peers remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The disk.
    pub disk_id: DiskId,
    /// Its how-manieth start this is, from 1.
    pub incarnation: u64,
    /// Which run.
    pub boot_id: BootId,
    /// The number of the stream's newest group when this run opened it; [`Start::UNOPENED`] before.
    pub recovered: u64,
    /// The starts before.
    pub past: Past,
}

/// Which runs the last [`STARTS_KEPT`] starts of a disk were, or all of them where there were fewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The latest last.
    runs: Vec<[u8; RUN_BYTES]>,
}

impl Past {
    /// How long the past of this incarnation is, in bytes.
    #[must_use]
    pub fn len_before(incarnation: u64) -> usize {
        // At most 128, which is a usize anywhere.
        incarnation.saturating_sub(1).min(STARTS_KEPT) as usize * RUN_BYTES
    }

    /// From bytes that [`Past::bytes`] gave, or `None`: a past has one length for each incarnation, so
    /// nothing can be left out, and there is no incarnation 0.
    #[must_use]
    pub fn read(incarnation: u64, bytes: &[u8]) -> Option<Self> {
        let (runs, _) = bytes.as_chunks();
        (incarnation > 0 && bytes.len() == Self::len_before(incarnation))
            .then(|| Self { runs: runs.to_vec() })
    }

    /// As written to files and sent to peers.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.runs.as_flattened()
    }

    /// The past of the start that follows the one named.
    #[must_use]
    pub fn and_then(mut self, boot_id: BootId, recovered: u64) -> Self {
        if self.runs.len() as u64 == STARTS_KEPT {
            self.runs.remove(0);
        }
        let mut run = [0; RUN_BYTES];
        run[..TAG_BYTES].copy_from_slice(&tag(boot_id));
        run[TAG_BYTES..].copy_from_slice(&recovered.to_le_bytes());
        self.runs.push(run);
        self
    }
}

impl Start {
    /// Of a run that has not opened the stream: it wrote nothing and told nobody.
    pub const UNOPENED: u64 = u64::MAX;

    /// Whether an earlier start lies in the past of this one; `None` where it lies too far back to say.
    #[must_use]
    pub fn comes_after(&self, earlier: &Self) -> Option<bool> {
        let back = usize::try_from(self.starts_between(earlier)?).ok()?;
        self.past.runs.iter().rev().nth(back).map(|run| run.starts_with(&tag(earlier.boot_id)))
    }

    /// The least that a start after that one found of the stream, as far back as this disk can say: the
    /// starts in between, and this one. It tells an old copy also after it has grown.
    #[must_use]
    pub fn least_recovered_after(&self, earlier: &Self) -> u64 {
        let between = self.starts_between(earlier).unwrap_or(0).min(STARTS_KEPT);
        let runs = self.past.runs.iter().rev().take(between as usize);
        runs.map(|run| u64_at(run, TAG_BYTES)).fold(self.recovered, u64::min)
    }

    fn starts_between(&self, earlier: &Self) -> Option<u64> {
        self.incarnation.checked_sub(earlier.incarnation)?.checked_sub(1)
    }
}

fn tag(boot_id: BootId) -> [u8; TAG_BYTES] {
    crc32c::crc32c(&boot_id.0).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(number: u64) -> BootId {
        BootId(u128::from(number).to_le_bytes())
    }

    /// The last of so many starts of one disk; the first `shared` of them are those of any other.
    fn start(incarnation: u64, shared: u64, copy: u64) -> Start {
        let run = |n| boot(if n <= shared { n } else { n | copy << 32 });
        let past = (1..incarnation).fold(Past::default(), |past, n| past.and_then(run(n), n));
        let boot_id = run(incarnation);
        Start { disk_id: DiskId([1; 16]), incarnation, boot_id, recovered: incarnation, past }
    }

    #[test]
    fn every_kept_start_is_known_and_one_further_back_is_not_told_from_another() {
        let now = start(1_000, u64::MAX, 0);
        for before in 1..1_000 {
            let told = (before >= 1_000 - STARTS_KEPT).then_some(true);
            assert_eq!(now.comes_after(&start(before, u64::MAX, 0)), told, "{before}");
        }
        assert_eq!(now.comes_after(&now), None);
    }

    #[test]
    fn a_copy_comes_after_the_starts_before_it_was_made_and_after_none_since() {
        let copy = start(20, 7, 1);
        for before in 1..20 {
            let true_disk = start(before, 7, 2);
            assert_eq!(copy.comes_after(&true_disk), Some(before <= 7), "{before}");
        }
    }

    #[test]
    fn a_past_has_one_length_for_each_incarnation() {
        for incarnation in [1, 2, 17, 128, 129, 130, 1_000] {
            let past = start(incarnation, u64::MAX, 0).past;
            assert_eq!(Past::read(incarnation, past.bytes()), Some(past.clone()));
            let longer = [past.bytes(), &[0]].concat();
            assert_eq!(Past::read(incarnation, &longer), None);
        }
        assert_eq!(Past::read(3, &[0; 12]), None, "nothing is left out");
        assert_eq!(Past::read(0, &[]), None);
        assert_eq!(Past::len_before(u64::MAX), 1_536);
    }

    #[test]
    fn the_least_that_was_found_counts_from_the_start_after_the_one_remembered() {
        let now = start(1_000, u64::MAX, 0);
        for before in 1..1_000 {
            let least = (before + 1).max(1_000 - STARTS_KEPT);
            assert_eq!(now.least_recovered_after(&start(before, u64::MAX, 0)), least, "{before}");
        }
        let unopened = now.past.clone().and_then(now.boot_id, Start::UNOPENED);
        let later = Start { incarnation: 1_002, past: unopened, ..now.clone() };
        assert_eq!(
            later.least_recovered_after(&now),
            1_000,
            "a run that never opened it has no say"
        );
    }
}
