//! S7: one request id, one token; one (token, sequence), one write.

use std::collections::HashMap;

use super::evidence::Evidence;
use super::grants::Sighting;
use super::record::{Record, Token};
use super::report::{Property, Violation};

/// Claims by their request ids, writes by their sequences.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = claims(evidence);
    violations.extend(writes(evidence));
    violations
}

fn claims(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut first: HashMap<&str, &Sighting<'_>> = HashMap::new();
    let mut violations = Vec::new();
    for this in &evidence.sightings {
        let Some(request) = this.request else { continue };
        let known = first.entry(request).or_insert(this);
        if known.token != this.token {
            let story = format!(
                "request {request} was granted twice, as token {} and as token {}",
                known.token, this.token
            );
            let lines = [known.line, this.line];
            violations.push(Violation::new(Property::S7Idempotence, &lines, story));
        }
    }
    violations
}

fn writes(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut first: HashMap<(&str, &str, Token, u64), (u64, usize)> = HashMap::new();
    let mut violations = Vec::new();
    for line in &evidence.history.lines {
        let Record::Write(write) = &line.record else { continue };
        if write.sequence == 0 {
            continue;
        }
        let name = (write.store.as_str(), write.resource.as_str(), write.token, write.sequence);
        let Some(written) = write.outcome.ok() else { continue };
        let (revision, earlier) = *first.entry(name).or_insert((written.revision, line.number));
        if revision != written.revision {
            let now = written.revision;
            let title = format!("({}, {}) on {}", write.token, write.sequence, write.resource);
            let story = format!("write {title} was applied twice, at {revision} and at {now}");
            let lines = [earlier, line.number];
            violations.push(Violation::new(Property::S7Idempotence, &lines, story));
        }
    }
    violations
}
