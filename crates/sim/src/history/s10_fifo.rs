//! S10: who waits first is granted first.
//!
//! By answers: if one claim was told its place in the queue before another was asked for, and both were
//! granted, the first has the smaller token. By events: where a watch missed nothing, a grant goes to the
//! first of those who were queued and have not ended.

use std::collections::{BTreeMap, VecDeque};

use super::evidence::Evidence;
use super::highest::Highest;
use super::record::{EventKind, Record, Token};
use super::report::{Property, Violation};
use super::watches::{SeenEvent, Stretch};

/// Both ways.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = by_answers(evidence);
    for resource in evidence.watches.resources() {
        for stretch in evidence.watches.stretches(resource) {
            let events = evidence.watches.events_in(resource, stretch);
            replay(resource, stretch, events, &mut violations);
        }
    }
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S10Fifo, lines, story)
}

/// When a place in the queue was known, and of whom: the token it came to, and the line.
type Known = (u64, (Token, usize));

fn by_answers(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut queued: BTreeMap<&str, Vec<Known>> = BTreeMap::new();
    for line in &evidence.history.lines {
        let Record::Acquire(call) = &line.record else { continue };
        let waits = call.outcome.ok().is_some_and(|claim| claim.place.is_some());
        let token = evidence.token_of.get(call.request_id.as_str());
        if let (true, Some(answered), Some(token)) = (waits, call.answered_ns, token) {
            let known = (answered, (*token, line.number));
            queued.entry(call.resource.as_str()).or_default().push(known);
        }
    }
    let queued: BTreeMap<&str, Highest<(Token, usize)>> =
        queued.into_iter().map(|(resource, known)| (resource, Highest::new(known))).collect();
    let mut violations = Vec::new();
    for grant in evidence.grants.values() {
        let before = queued.get(grant.resource).and_then(|known| known.before(grant.asked_ns));
        if let Some((token, line)) = before
            && token > grant.token
        {
            let story = format!(
                "token {} on {} was granted before token {token}, \
                 which was in the queue before it was asked for",
                grant.token, grant.resource
            );
            violations.push(violation(&[line, grant.asked_line, grant.known_line], story));
        }
    }
    violations
}

fn replay<'a>(
    resource: &str,
    stretch: Stretch,
    events: impl Iterator<Item = SeenEvent<'a>>,
    violations: &mut Vec<Violation>,
) {
    // Who was queued before the stretch began is ahead of everybody in here.
    let knows_all = stretch.after == 0;
    let mut queue: VecDeque<(&str, usize)> = VecDeque::new();
    for SeenEvent { line, event } in events {
        let request = event.request_id.as_str();
        let place = queue.iter().position(|(waiting, _)| *waiting == request);
        match event.event {
            EventKind::Queued => {
                queue.push_back((request, line));
                continue;
            }
            EventKind::Granted if place > Some(0) || (place.is_none() && knows_all) => {
                if let Some((first, queued)) = queue.front() {
                    let story = format!(
                        "{resource} was granted to request {request} at revision {} \
                         while request {first} was first in the queue",
                        event.revision
                    );
                    violations.push(violation(&[*queued, line], story));
                }
            }
            _ => {}
        }
        place.and_then(|place| queue.remove(place));
    }
}
