//! (a): the order of the store's own revisions, which it assigns when it accepts.

use std::collections::BTreeMap;

use super::super::greedy::{self, Step, TurnedBack};
use super::{Effort, violation};
use crate::history::report::Violation;

pub(super) fn check(efforts: &[Effort<'_>]) -> Vec<Violation> {
    let mut by_store: BTreeMap<&str, Vec<(u64, &Effort<'_>)>> = BTreeMap::new();
    for effort in efforts {
        if let Some(revision) = effort.revision {
            by_store.entry(effort.store).or_default().push((revision, effort));
        }
    }
    let mut violations = Vec::new();
    for accepted in by_store.values_mut() {
        accepted.sort_by_key(|(revision, effort)| (*revision, effort.line));
        in_real_time(accepted, &mut violations);
        marks_never_fall(accepted, &mut violations);
    }
    violations
}

fn in_real_time(accepted: &[(u64, &Effort<'_>)], violations: &mut Vec<Violation>) {
    let steps = accepted.iter().map(|(revision, effort)| Step {
        order: *revision,
        reads: false,
        span: effort.span,
        line: effort.line,
    });
    for TurnedBack { first, second } in greedy::turned_back(steps.collect()) {
        let story = format!(
            "write {} was answered before write {} was sent, and has no smaller revision",
            second.order, first.order
        );
        violations.push(violation(&[first.line, second.line], story));
    }
}

fn marks_never_fall(accepted: &[(u64, &Effort<'_>)], violations: &mut Vec<Violation>) {
    let mut marks: BTreeMap<&str, &Effort<'_>> = BTreeMap::new();
    let mut last: Option<(u64, usize)> = None;
    for (revision, effort) in accepted {
        if let Some((before, line)) = last
            && before == *revision
        {
            let story = format!("two writes have the store's revision {revision}");
            violations.push(violation(&[line, effort.line], story));
        }
        last = Some((*revision, effort.line));
        let mark = marks.entry(effort.resource).or_insert(effort);
        let presented = (effort.token, effort.sequence);
        let stale = effort.token < mark.token
            || (effort.token == mark.token
                && effort.sequence > 0
                && effort.sequence < mark.sequence);
        if stale {
            let story = format!(
                "revision {revision} accepted (token, sequence) {} on {} after {}",
                pair(presented),
                effort.resource,
                pair((mark.token, mark.sequence))
            );
            violations.push(violation(&[mark.line, effort.line], story));
        } else if presented > (mark.token, mark.sequence) {
            *mark = effort;
        }
    }
}

fn pair((token, sequence): (crate::history::record::Token, u64)) -> String {
    format!("({token}, {sequence})")
}
