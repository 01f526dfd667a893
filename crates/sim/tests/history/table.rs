//! Good histories pass, and each way to make them bad is noticed by the property it breaks.

use leasehold_sim::history::{Counts, History, check};

use crate::generator::{Shape, good};
use crate::mutations;

#[test]
fn a_good_history_breaks_no_promise() {
    for seed in 0..300 {
        let report = check(&History::from_records(good(seed, Shape::LARGE)));
        assert!(report.is_clean(), "seed {seed}\n{report}");
    }
}

#[test]
fn everything_that_is_counted_happens_in_good_histories() {
    let all = (0..40).flat_map(|seed| {
        let report = check(&History::from_records(good(seed, Shape::LARGE)));
        Counts::NAMES.iter().map(move |name| (*name, report.counts.get(name)))
    });
    let mut sums = std::collections::BTreeMap::new();
    for (name, count) in all {
        *sums.entry(name).or_insert(0) += count.expect("a name of a count");
    }
    for name in Counts::NAMES {
        assert!(sums[name] >= 20, "{name}: {sums:?}");
    }
}

#[test]
fn one_seed_is_one_history() {
    assert_eq!(good(7, Shape::LARGE), good(7, Shape::LARGE));
    assert_ne!(good(7, Shape::LARGE), good(8, Shape::LARGE));
}

#[test]
fn each_mutation_is_noticed_by_the_property_it_breaks() {
    const TIMES: usize = 30;
    for mutation in mutations::all() {
        let (mut applied, mut seed) = (0, 1_000);
        while applied < TIMES {
            assert!(seed < 1_400, "{}: only {applied} places in 400 histories", mutation.name);
            seed += 1;
            let mut records = good(seed, Shape::LARGE);
            if !(mutation.apply)(&mut records, &mut fastrand::Rng::with_seed(seed)) {
                continue;
            }
            applied += 1;
            let report = check(&History::from_records(records));
            let noticed = report.breaks(mutation.noticed_by);
            assert!(noticed, "{}, seed {seed}: not noticed\n{report}", mutation.name);
        }
    }
}

#[test]
fn a_violation_names_lines_of_the_history() {
    for mutation in mutations::all() {
        let mut records = good(3, Shape::LARGE);
        if !(mutation.apply)(&mut records, &mut fastrand::Rng::with_seed(3)) {
            continue;
        }
        let history = History::from_records(records);
        for violation in check(&history).violations {
            assert!(!violation.lines.is_empty(), "{violation}");
            assert!(violation.lines.iter().all(|line| (1..=history.lines.len()).contains(line)));
        }
    }
}
