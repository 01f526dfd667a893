//! What the counters came to, against what was acknowledged.
//!
//! A counter is kept twice: as a number that is read, raised and written back, and as a log of the names
//! of its increments. A lost update leaves the log longer than the number; a lost write leaves a name
//! out; a write that was refused and happened all the same leaves one too many.

use std::collections::HashMap;

use leasehold_client::{StoreClient, StoreError};
use leasehold_sim::history::record::{Fate, Increment, Outcome as Answer, Total};

use crate::Outcome;
use crate::client::increments::{COUNT, LOG};

/// Reads a counter as it stands, by no token.
pub(crate) async fn read(store: &StoreClient, resource: &str) -> Outcome<Total> {
    let value = match store.get(resource, COUNT, None).await?.entry {
        Some(entry) => std::str::from_utf8(&entry.value)?.parse()?,
        None => 0,
    };
    let mut ids = Vec::new();
    for entry in entries(store, resource).await? {
        let names = std::str::from_utf8(&entry.value)?;
        ids.extend(names.split_terminator(';').map(str::to_owned));
    }
    Ok(Total { counter: resource.to_owned(), value, ids: Some(ids) })
}

async fn entries(
    store: &StoreClient,
    resource: &str,
) -> Result<Vec<leasehold_client::Entry>, StoreError> {
    store.list(resource, LOG, None).await
}

fn fate<T>(outcome: &Answer<T>) -> Fate {
    match outcome {
        Answer::Ok(_) => Fate::Ok,
        Answer::Refused(_) => Fate::Refused,
        Answer::Unknown => Fate::Unknown,
    }
}

/// What became of the increments of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    /// Acknowledged, and not in the log.
    pub(crate) missing: u64,
    /// In the log, and refused, never made, or there twice.
    pub(crate) uncalled_for: u64,
    /// In the log, and not in the number: somebody wrote back a number that was old.
    pub(crate) overwritten: u64,
}

impl Account {
    /// Compares a total with the increments of its counter.
    pub(crate) fn of<'a>(
        total: &Total,
        increments: impl IntoIterator<Item = &'a Increment>,
    ) -> Self {
        let mut account = Self::default();
        let mut fates: HashMap<&str, Fate> = HashMap::new();
        for one in increments.into_iter().filter(|one| one.counter == total.counter) {
            fates.insert(&one.id, fate(&one.outcome));
        }
        for fate in fates.values() {
            match fate {
                Fate::Ok => account.acknowledged += 1,
                Fate::Unknown => account.unknown += 1,
                Fate::Refused => account.refused += 1,
            }
        }
        let ids = total.ids.as_deref().unwrap_or_default();
        account.overwritten = (ids.len() as u64).saturating_sub(total.value);
        for id in ids {
            // Taken out, so that a second time is one too many.
            match fates.remove(id.as_str()) {
                Some(Fate::Ok | Fate::Unknown) => {}
                Some(Fate::Refused) | None => account.uncalled_for += 1,
            }
        }
        account.missing = fates.values().filter(|fate| **fate == Fate::Ok).count() as u64;
        account
    }

    /// Acknowledged increments that are gone.
    pub(crate) fn lost(&self) -> u64 {
        self.missing + self.overwritten
    }
}

#[cfg(test)]
mod tests {
    use leasehold_sim::history::record::{Done, Refused};

    use super::*;

    fn increment(id: &str, outcome: Answer<Done>) -> Increment {
        let (client, counter, id) = ("c".into(), "n".into(), id.into());
        Increment { client, counter, id, invoked_ns: 1, answered_ns: None, outcome }
    }

    fn made() -> Vec<Increment> {
        vec![
            increment("yes", Answer::Ok(Done {})),
            increment("also", Answer::Ok(Done {})),
            increment("perhaps", Answer::Unknown),
            increment("no", Answer::Refused(Refused::because("STALE_TOKEN"))),
        ]
    }

    fn account(value: u64, ids: &[&str]) -> Account {
        let ids = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        Account::of(&Total { counter: "n".into(), value, ids }, &made())
    }

    #[test]
    fn what_is_unknown_may_be_there_or_not() {
        for (value, ids) in [(2, &["yes", "also"][..]), (3, &["yes", "perhaps", "also"][..])] {
            let account = account(value, ids);
            assert_eq!((account.lost(), account.uncalled_for), (0, 0));
            assert_eq!((account.acknowledged, account.unknown, account.refused), (2, 1, 1));
        }
    }

    #[test]
    fn an_acknowledged_increment_that_is_not_there_is_lost() {
        assert_eq!(account(1, &["yes"]).missing, 1);
        assert_eq!(account(2, &["yes", "perhaps"]).missing, 1);
    }

    #[test]
    fn a_number_that_was_written_back_old_is_a_loss_even_if_every_name_is_there() {
        assert_eq!(account(1, &["yes", "also"]).overwritten, 1);
        assert_eq!(account(1, &["yes", "also"]).lost(), 1);
    }

    #[test]
    fn a_refused_increment_that_is_there_is_found_and_so_is_one_that_is_there_twice() {
        assert_eq!(account(3, &["yes", "also", "no"]).uncalled_for, 1);
        assert_eq!(account(3, &["yes", "also", "yes"]).uncalled_for, 1);
        assert_eq!(account(3, &["yes", "also", "nobody's"]).uncalled_for, 1);
    }

    #[test]
    fn increments_of_another_counter_do_not_count() {
        let total = Total { counter: "m".into(), value: 0, ids: Some(Vec::new()) };
        assert_eq!(Account::of(&total, &made()), Account::default());
    }
}
