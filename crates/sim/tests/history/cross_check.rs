//! The fast checks against a full search that knows nothing of revisions.
//!
//! `CROSS_CHECK_TIMES=5` makes that 10,000 good and 37,500 bad histories.

use std::cell::Cell;

use leasehold_sim::history::record::Record;
use leasehold_sim::history::search::{Verdict, search};
use leasehold_sim::history::{History, check};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::generator::{Shape, good};
use crate::mutations;
use crate::wild::disturb;

/// The worst verdict of any resource.
fn searched(history: &History) -> Verdict {
    let verdicts: Vec<Verdict> = search(history).into_values().collect();
    let any = |wanted| verdicts.contains(&wanted);
    if any(Verdict::NotLinearizable) {
        Verdict::NotLinearizable
    } else if any(Verdict::GaveUp) {
        Verdict::GaveUp
    } else {
        Verdict::Linearizable
    }
}

/// The calls of the lease cluster; what was changed comes first.
fn told(records: &[Record], before: &[Record]) -> String {
    let one = |record: &Record| serde_json::to_string(record).expect("a line");
    let is_call =
        |record: &&Record| !matches!(record, Record::Write(_) | Record::Read(_) | Record::Event(_));
    let was = before.iter().filter(|record| !records.contains(record)).map(one);
    let is = records.iter().filter(|record| !before.contains(record)).map(one);
    let was = was.map(|line| format!("was  {line}"));
    let is = is.map(|line| format!("is   {line}"));
    let all = records.iter().filter(is_call).map(one);
    was.chain(is).chain(all).collect::<Vec<_>>().join("\n")
}

/// How many times the usual number of cases.
fn times() -> u32 {
    let times = std::env::var("CROSS_CHECK_TIMES").unwrap_or_else(|_| "1".to_owned());
    times.parse().expect("CROSS_CHECK_TIMES is a number")
}

/// Runs many cases of one test, the same ones every time.
fn for_seeds(cases: u32, test: impl Fn(u64) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    runner.run(&any::<u64>().no_shrink(), test).unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn both_accept_good_histories() {
    let cases = 2_000 * times();
    let gave_up = Cell::new(0);
    for_seeds(cases, |seed| {
        let records = good(seed, Shape::SMALL);
        let history = History::from_records(records.clone());
        let report = check(&history);
        prop_assert!(report.is_clean(), "{report}\n{}", told(&records, &[]));
        match searched(&history) {
            Verdict::Linearizable => {}
            Verdict::GaveUp => gave_up.set(gave_up.get() + 1),
            Verdict::NotLinearizable => {
                return Err(TestCaseError::fail(format!("rejected\n{}", told(&records, &[]))));
            }
        }
        Ok(())
    });
    assert!(gave_up.get() * 100 <= cases, "{} of {cases} too large to search", gave_up.get());
}

/// The same without bare refusals: they name neither revision nor holder, so only the search can tell
/// that nobody held the resource.
fn without_bare_refusals(records: &[Record]) -> History {
    let is_bare = |record: &&Record| {
        let Record::Acquire(call) = record else { return false };
        let refused = call.outcome.refused();
        let bare = |reason: &str| matches!(reason, "HELD" | "WAIT_OVER");
        refused.is_some_and(|no| bare(&no.reason) && no.held_token.is_none())
    };
    History::from_records(records.iter().filter(|record| !is_bare(record)).cloned())
}

/// Whatever the search rejects, the fast checks reject.
fn compare(cases: u32, least_rejected: u32, change: impl Fn(&mut Vec<Record>, u64) -> bool) {
    let (cases, least_rejected) = (cases * times(), least_rejected * times());
    let (changed, rejected, gave_up) = (Cell::new(0), Cell::new(0), Cell::new(0));
    for_seeds(cases, |seed| {
        let before = good(seed, Shape::SMALL);
        let mut records = before.clone();
        if !change(&mut records, seed) {
            return Ok(());
        }
        changed.set(changed.get() + 1);
        match searched(&without_bare_refusals(&records)) {
            Verdict::Linearizable => {}
            Verdict::GaveUp => gave_up.set(gave_up.get() + 1),
            Verdict::NotLinearizable => {
                let history = History::from_records(records.clone());
                rejected.set(rejected.get() + 1);
                let report = check(&history);
                let told = told(&records, &before);
                prop_assert!(!report.is_clean(), "only the search rejects\n{told}");
            }
        }
        Ok(())
    });
    let (changed, rejected, gave_up) = (changed.get(), rejected.get(), gave_up.get());
    assert!(rejected >= least_rejected, "{rejected} of {changed} rejected");
    assert!(gave_up * 50 <= changed, "{gave_up} of {changed} too large to search");
}

#[test]
fn the_fast_checks_reject_whatever_mutation_the_search_rejects() {
    let mutations = mutations::all();
    compare(2_500, 250, |records, seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mutation = &mutations[random.usize(0..mutations.len())];
        (mutation.apply)(records, &mut random)
    });
}

#[test]
fn the_fast_checks_reject_whatever_disturbance_the_search_rejects() {
    compare(5_000, 1_400, |records, seed| disturb(records, &mut fastrand::Rng::with_seed(seed)));
}
