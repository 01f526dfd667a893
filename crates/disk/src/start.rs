//! One start of a disk, and the starts of the same disk that came before it.
//!
//! A count alone does not tell an old copy from the disk it was made of: started again and again, the
//! copy counts past any number that was ever seen. So every start also says which runs the last ones
//! were, and whoever remembers one of them looks whether it is there. On a copy it is not: its own
//! starts stand where the later starts of the disk should be.
//!
//! Each run is told by four bytes, a checksum of its boot id. They guard against mistakes, not against
//! lies, and of each disk one is compared with one.

use crate::identity::{BootId, DiskId};

/// How many starts back a disk can say which run it was. Every call between peers carries them, 1 KiB;
/// peers that never talked for as many starts can do no better than to believe each other.
pub const STARTS_KEPT: u64 = 256;
const TAG_BYTES: usize = 4;

/// What a node says of its disk at a start, and peers remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The disk.
    pub disk_id: DiskId,
    /// Its how-manieth start this is, from 1.
    pub incarnation: u64,
    /// Which run.
    pub boot_id: BootId,
    /// The starts before.
    pub past: Past,
}

/// Which runs the last [`STARTS_KEPT`] starts of a disk were, or all of them where there were fewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The latest last.
    tags: Vec<[u8; TAG_BYTES]>,
}

impl Past {
    /// How long the past of this incarnation is, in bytes.
    #[must_use]
    pub fn len_before(incarnation: u64) -> usize {
        // At most 256, which is a usize anywhere.
        incarnation.saturating_sub(1).min(STARTS_KEPT) as usize * TAG_BYTES
    }

    /// From bytes that [`Past::bytes`] gave, or `None`: a past has one length for each incarnation, so
    /// nothing can be left out, and there is no incarnation 0.
    #[must_use]
    pub fn read(incarnation: u64, bytes: &[u8]) -> Option<Self> {
        let (tags, _) = bytes.as_chunks();
        (incarnation > 0 && bytes.len() == Self::len_before(incarnation))
            .then(|| Self { tags: tags.to_vec() })
    }

    /// As written to files and sent to peers.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.tags.as_flattened()
    }

    /// The past of the start that follows the one named.
    #[must_use]
    pub fn and_then(mut self, boot_id: BootId) -> Self {
        if self.tags.len() as u64 == STARTS_KEPT {
            self.tags.remove(0);
        }
        self.tags.push(tag(boot_id));
        self
    }
}

impl Start {
    /// Whether an earlier start lies in the past of this one; `None` where it lies too far back to say.
    #[must_use]
    pub fn comes_after(&self, earlier: &Self) -> Option<bool> {
        let starts = self.incarnation.checked_sub(earlier.incarnation)?.checked_sub(1)?;
        let back = usize::try_from(starts).ok()?;
        self.past.tags.iter().rev().nth(back).map(|run| *run == tag(earlier.boot_id))
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
        let past = (1..incarnation).fold(Past::default(), |past, n| past.and_then(run(n)));
        Start { disk_id: DiskId([1; 16]), incarnation, boot_id: run(incarnation), past }
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
        for incarnation in [1, 2, 17, 256, 257, 258, 1_000] {
            let past = start(incarnation, u64::MAX, 0).past;
            assert_eq!(Past::read(incarnation, past.bytes()), Some(past.clone()));
            let longer = [past.bytes(), &[0]].concat();
            assert_eq!(Past::read(incarnation, &longer), None);
        }
        assert_eq!(Past::read(3, &[0; 4]), None, "nothing is left out");
        assert_eq!(Past::read(0, &[]), None);
        assert_eq!(Past::len_before(u64::MAX), 1_024);
    }
}
