//! (e): an acknowledged write is there until a later one replaces it, and what is read was written.
//!
//! A key's versions are the store's revisions, so its writes and reads have a known order, and a read
//! that finds an older version than was acknowledged before it turns time back. Only a read that finds
//! nothing names no version.

use std::collections::BTreeMap;

use super::super::greedy::{self, Step, TurnedBack};
use super::{Effort, violation};
use crate::history::evidence::Evidence;
use crate::history::record::{Entry, Mutation, Read, Record, Span};
use crate::history::report::Violation;

#[derive(Debug, Default)]
struct Key<'a> {
    /// Acknowledged writes that change it, by revision.
    acknowledged: BTreeMap<u64, &'a Effort<'a>>,
    /// Those that may have happened.
    unknown: Vec<&'a Effort<'a>>,
    reads: Vec<(usize, &'a Read)>,
}

pub(super) fn check<'a>(evidence: &Evidence<'a>, efforts: &'a [Effort<'a>]) -> Vec<Violation> {
    let mut keys: BTreeMap<(&str, &str, &str), Key<'_>> = BTreeMap::new();
    for line in &evidence.history.lines {
        if let Record::Read(read) = &line.record {
            let name = (read.store.as_str(), read.resource.as_str(), read.key.as_str());
            keys.entry(name).or_default().reads.push((line.number, read));
        }
    }
    for effort in efforts {
        for name in effort.keys() {
            let Some(key) = keys.get_mut(&(effort.store, effort.resource, name)) else {
                continue;
            };
            match effort.revision {
                Some(revision) => {
                    key.acknowledged.insert(revision, effort);
                }
                None => key.unknown.push(effort),
            }
        }
    }
    let mut violations = Vec::new();
    for ((_, resource, name), key) in &keys {
        key.check(&format!("{name} of {resource}"), name, &mut violations);
    }
    violations
}

impl Key<'_> {
    fn check(&self, title: &str, key: &str, violations: &mut Vec<Violation>) {
        let mut steps = Vec::new();
        for (revision, effort) in &self.acknowledged {
            let (order, span, line) = (*revision, effort.span, effort.line);
            steps.push(Step { order, reads: false, span, line });
        }
        for (line, read) in &self.reads {
            let Some(found) = read.outcome.ok() else { continue };
            let span = Span::new(read.invoked_ns, read.answered_ns, &read.outcome);
            let Some(entry) = &found.entry else {
                violations.extend(self.lost(title, key, *line, span));
                continue;
            };
            steps.push(Step { order: entry.version, reads: true, span, line: *line });
            match self.writer(key, entry, span) {
                Ok(Some(effort)) => {
                    let (order, line) = (entry.version, effort.line);
                    let span = Span { answered_ns: u64::MAX, ..effort.span };
                    steps.push(Step { order, reads: false, span, line });
                }
                Ok(None) => {}
                Err(story) => violations.push(violation(&[*line], format!("{title} {story}"))),
            }
        }
        for TurnedBack { first, second } in greedy::turned_back(steps) {
            let story = format!(
                "{title} had version {} in a call answered before the one with version {} was sent",
                second.order, first.order
            );
            violations.push(violation(&[first.line, second.line], story));
        }
    }

    /// Whoever wrote an entry, where its revision was not acknowledged; or why nobody can have.
    fn writer(&self, key: &str, entry: &Entry, read: Span) -> Result<Option<&Effort<'_>>, String> {
        if let Some(effort) = self.acknowledged.get(&entry.version) {
            return if wrote(effort, key, entry) {
                Ok(None)
            } else {
                Err(format!("does not read as write {} left it", entry.version))
            };
        }
        let sent_before = |effort: &&&Effort<'_>| effort.span.invoked_ns <= read.answered_ns;
        let mut unknown = self.unknown.iter().filter(sent_before);
        match unknown.find(|effort| wrote(effort, key, entry)) {
            Some(effort) => Ok(Some(effort)),
            None => Err(format!("has a value of version {} that nobody wrote", entry.version)),
        }
    }

    /// A read found nothing: the last write acknowledged before it must have been a deletion, or some
    /// deletion may have come after it.
    fn lost(&self, title: &str, key: &str, line: usize, read: Span) -> Option<Violation> {
        let before = |effort: &&&Effort<'_>| effort.span.answered_ns < read.invoked_ns;
        let last = self.acknowledged.values().rfind(before)?;
        let revision = last.revision?;
        let later = self.acknowledged.range(revision..).map(|(_, effort)| effort);
        let mut candidates = later.chain(&self.unknown);
        let deleted = candidates.any(|effort| {
            effort.span.invoked_ns <= read.answered_ns
                && effort.last_changes(key).any(|one| matches!(one, Mutation::Delete { .. }))
        });
        (!deleted).then(|| {
            let story = format!("{title} was not there after write {revision} was acknowledged");
            violation(&[last.line, line], story)
        })
    }
}

fn wrote(effort: &Effort<'_>, key: &str, entry: &Entry) -> bool {
    let fits = |change: &Mutation| match change {
        Mutation::Put { value, .. } => *value == entry.value,
        Mutation::Append { value, .. } => entry.value.ends_with(value.as_str()),
        Mutation::Delete { .. } => false,
    };
    effort.token == entry.token && effort.last_changes(key).any(fits)
}
