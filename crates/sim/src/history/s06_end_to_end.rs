//! S6: a counter is as large as the increments that were acknowledged, plus some of those whose outcome
//! is unknown; and where it keeps their names, each is in it at most once.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::record::{Fate, Record, Total};
use super::report::{Property, Violation};

type Increments<'a> = BTreeMap<&'a str, (Fate, usize)>;

/// Each total against the increments of its counter.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut counters: BTreeMap<&str, Increments<'_>> = BTreeMap::new();
    for line in &evidence.history.lines {
        if let (Record::Increment(one), Some(fate)) = (&line.record, line.record.fate()) {
            let increments = counters.entry(one.counter.as_str()).or_default();
            increments.insert(one.id.as_str(), (fate, line.number));
        }
    }
    let none = Increments::new();
    let mut violations = Vec::new();
    for line in &evidence.history.lines {
        if let Record::Total(total) = &line.record {
            let increments = counters.get(total.counter.as_str()).unwrap_or(&none);
            check_value(line.number, total, increments, &mut violations);
            check_ids(line.number, total, increments, &mut violations);
        }
    }
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S6EndToEnd, lines, story)
}

fn check_value(
    line: usize,
    total: &Total,
    increments: &Increments<'_>,
    violations: &mut Vec<Violation>,
) {
    let count = |fate| increments.values().filter(|(each, _)| *each == fate).count() as u64;
    let (least, unknown) = (count(Fate::Ok), count(Fate::Unknown));
    if !(least..=least + unknown).contains(&total.value) {
        let story = format!(
            "{} is {} after {least} acknowledged increments and {unknown} unknown ones",
            total.counter, total.value
        );
        violations.push(violation(&[line], story));
    }
}

fn check_ids(
    line: usize,
    total: &Total,
    increments: &Increments<'_>,
    violations: &mut Vec<Violation>,
) {
    let Some(ids) = &total.ids else { return };
    let counter = &total.counter;
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for id in ids {
        *times.entry(id).or_default() += 1;
    }
    for (id, times) in &times {
        match increments.get(id) {
            None => {
                let story = format!("increment {id} is in {counter} and nobody made it");
                violations.push(violation(&[line], story));
            }
            Some((Fate::Refused, made)) => {
                let story = format!("increment {id} was refused and is in {counter}");
                violations.push(violation(&[*made, line], story));
            }
            Some((_, made)) if *times > 1 => {
                let story = format!("increment {id} is {times} times in {counter}");
                violations.push(violation(&[*made, line], story));
            }
            Some(_) => {}
        }
    }
    for (id, (fate, made)) in increments {
        if *fate == Fate::Ok && !times.contains_key(id) {
            let story = format!("increment {id} was acknowledged and is not in {counter}");
            violations.push(violation(&[*made, line], story));
        }
    }
}
