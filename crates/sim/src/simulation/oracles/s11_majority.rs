//! S11: what was applied anywhere is on the disks of a majority, as the same entry, and would survive if
//! all of them lost power that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Oracle;
use crate::simulation::log_on_disk::Kept;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct OnAMajority;

impl Oracle for OnAMajority {
    fn name(&self) -> &'static str {
        "S11 applied is on a majority's disks"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        let Seen::LogsOnDisk { index, logs } = seen else { return Ok(()) };
        if is_on_a_majority(logs.iter().map(|(_, kept)| *kept)) {
            return Ok(());
        }
        Err(format!("{index} was applied, and this is on disk: {logs:?}"))
    }
}

fn is_on_a_majority(logs: impl Iterator<Item = Kept>) -> bool {
    let (mut nodes, mut whatever_it_is, mut by_term) = (0, 0, BTreeMap::<u64, usize>::new());
    for kept in logs {
        nodes += 1;
        match kept {
            Kept::Entry(term) => *by_term.entry(term).or_default() += 1,
            Kept::Purged | Kept::Unasked => whatever_it_is += 1,
            Kept::Nothing => {}
        }
    }
    let most = by_term.values().max().copied().unwrap_or_default();
    most + whatever_it_is > nodes / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_entries_of_two_terms_are_no_majority_of_three() {
        use Kept::{Entry, Nothing, Purged, Unasked};
        let holds = |logs: &[Kept]| is_on_a_majority(logs.iter().copied());
        assert!(holds(&[Entry(1), Entry(1), Nothing]));
        assert!(!holds(&[Entry(1), Entry(2), Nothing]));
        assert!(!holds(&[Entry(1), Nothing, Nothing]));
        assert!(holds(&[Entry(1), Purged, Nothing]));
        assert!(holds(&[Entry(1), Unasked, Entry(2)]));
        assert!(!holds(&[Entry(1), Unasked, Nothing, Nothing, Nothing]));
    }
}
