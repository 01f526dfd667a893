//! The committed budgets, and what is wrong with a count.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Outcome;
use crate::memory::Bytes;

/// Instructions per command, by part.
pub(crate) type Counts = BTreeMap<String, u64>;

/// More than this above its budget is too much. The C library copies in other steps on other processors.
const ABOVE_PERCENT: u64 = 10;
/// More than this below it, and the budget would no longer notice what was gained being lost again.
const BELOW_PERCENT: u64 = 20;

/// See `budgets.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    bytes_per_lease_max: u64,
    instructions: Counts,
    shapes: Vec<Shape>,
}

/// How much more one part may cost than another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    large: String,
    small: String,
    ratio_max: f64,
}

impl Budgets {
    pub(crate) fn committed() -> Outcome<Self> {
        let budgets = toml::from_str(include_str!("../budgets.toml"));
        budgets.map_err(|error| format!("budgets.toml: {error}").into())
    }

    /// Everything that is wrong, in sentences.
    pub(crate) fn judge(&self, counts: &Counts) -> Vec<String> {
        let mut wrong = Vec::new();
        for (part, &count) in counts {
            let Some(&budget) = self.instructions.get(part) else {
                wrong.push(format!("{part} has no budget; it costs {count}"));
                continue;
            };
            if count * 100 > budget * (100 + ABOVE_PERCENT) {
                wrong.push(format!("{part} costs {count}, its budget is {budget}"));
            }
            if count * 100 < budget * (100 - BELOW_PERCENT) {
                wrong.push(format!("{part} costs {count}; lower its budget of {budget}"));
            }
        }
        for part in self.instructions.keys().filter(|part| !counts.contains_key(*part)) {
            wrong.push(format!("{part} has a budget and was not counted"));
        }
        wrong.extend(self.shapes.iter().filter_map(|shape| shape.wrong_with(counts)));
        wrong
    }

    /// What is wrong with what a lease takes, in a sentence.
    pub(crate) fn judge_memory(&self, bytes: Bytes) -> Option<String> {
        let (takes, most) = (bytes.state, self.bytes_per_lease_max);
        (takes > most)
            .then(|| format!("a live lease takes {takes} bytes, at most {most} are allowed"))
    }
}

impl Shape {
    fn wrong_with(&self, counts: &Counts) -> Option<String> {
        let Self { large, small, ratio_max } = self;
        let (Some(&more), Some(&less)) = (counts.get(large), counts.get(small)) else {
            return Some(format!(
                "{large} and {small} are to be compared and were not both counted"
            ));
        };
        let fits = more as f64 <= less as f64 * ratio_max;
        (!fits).then(|| {
            format!("{large} costs {more}, more than {ratio_max} times {small} with {less}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets() -> Budgets {
        Budgets {
            bytes_per_lease_max: 300,
            instructions: counts(&[("a", 1_000), ("b", 100)]),
            shapes: vec![Shape { large: "a".into(), small: "b".into(), ratio_max: 10.5 }],
        }
    }

    fn counts(list: &[(&str, u64)]) -> Counts {
        list.iter().map(|(part, count)| ((*part).to_owned(), *count)).collect()
    }

    #[test]
    fn a_count_within_its_budget_is_nothing_to_complain_about() {
        assert_eq!(budgets().judge(&counts(&[("a", 1_100), ("b", 105)])), [""; 0]);
        assert_eq!(budgets().judge(&counts(&[("a", 850), ("b", 81)])), [""; 0]);
    }

    #[test]
    fn a_count_above_or_far_below_its_budget_is_named() {
        let wrong = budgets().judge(&counts(&[("a", 799), ("b", 111)]));
        assert_eq!(
            wrong,
            ["a costs 799; lower its budget of 1000", "b costs 111, its budget is 100"]
        );
    }

    #[test]
    fn a_part_without_a_budget_and_a_budget_without_a_part_are_named() {
        let wrong = budgets().judge(&counts(&[("a", 1_000), ("c", 7)]));
        assert_eq!(
            wrong,
            [
                "c has no budget; it costs 7",
                "b has a budget and was not counted",
                "a and b are to be compared and were not both counted",
            ]
        );
    }

    #[test]
    fn a_lease_that_takes_more_than_it_may_is_named() {
        let judged = |state| budgets().judge_memory(Bytes { state, snapshot: 1 });
        assert_eq!(judged(300), None);
        assert_eq!(judged(301).unwrap(), "a live lease takes 301 bytes, at most 300 are allowed");
    }

    #[test]
    fn what_grows_too_fast_is_named_though_both_are_within_their_budgets() {
        let wrong = budgets().judge(&counts(&[("a", 1_050), ("b", 95)]));
        assert_eq!(wrong, ["a costs 1050, more than 10.5 times b with 95"]);
    }

    #[test]
    fn the_committed_budgets_are_read_and_name_parts_that_exist() {
        let budgets = Budgets::committed().expect("they are read");
        let known: Vec<&str> = crate::parts::ALL.iter().map(|part| part.name).collect();
        let mut named: Vec<&str> = budgets.instructions.keys().map(String::as_str).collect();
        named.extend(budgets.shapes.iter().flat_map(|shape| [&*shape.large, &*shape.small]));
        named.iter().for_each(|name| assert!(known.contains(name), "{name} is no part"));
        known.iter().for_each(|name| assert!(named.contains(name), "{name} has no budget"));
    }
}
