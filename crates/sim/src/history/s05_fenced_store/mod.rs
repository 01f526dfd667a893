//! S5: a fenced store refuses what is stale, and nothing else, and keeps what it acknowledged.
//!
//! (a) In the order of the store's revisions, the tokens accepted on a resource never fall. (b) After
//! a token was accepted, nothing smaller that is sent later is. (c) A refusal as stale names a reason
//! that exists: something larger was presented before. (d) A token is accepted only on the resource it
//! was granted for. (e) What was acknowledged is there until a later write replaces it.

mod marks;
mod order;
mod survival;

use std::collections::HashMap;

use super::evidence::Evidence;
use super::record::{Mutation, Record, Span, Token, Write};
use super::report::{Property, Violation};

/// (a) to (e).
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let efforts = efforts(evidence);
    let mut violations = order::check(&efforts);
    violations.extend(marks::check(evidence));
    violations.extend(survival::check(evidence, &efforts));
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S5FencedStore, lines, story)
}

/// One write, however often it was sent.
#[derive(Clone, Debug)]
pub(super) struct Effort<'a> {
    pub(super) store: &'a str,
    pub(super) resource: &'a str,
    pub(super) token: Token,
    pub(super) sequence: u64,
    /// What was to be changed. A writer that repeats a number with another content does wrong, and does
    /// not know which of them was applied.
    contents: Vec<&'a [Mutation]>,
    /// From the first time it was sent to the first time it was acknowledged.
    pub(super) span: Span,
    /// The store's revision, once acknowledged.
    pub(super) revision: Option<u64>,
    pub(super) line: usize,
}

/// All writes that happened or may have. A sequence of 0 never repeats itself.
fn efforts<'a>(evidence: &Evidence<'a>) -> Vec<Effort<'a>> {
    let mut by_name: HashMap<(&str, &str, Token, u64, usize), Effort<'_>> = HashMap::new();
    for line in &evidence.history.lines {
        let Record::Write(write) = &line.record else { continue };
        if write.outcome.refused().is_some() {
            continue;
        }
        let unrepeated = if write.sequence == 0 { line.number } else { 0 };
        let name = (
            write.store.as_str(),
            write.resource.as_str(),
            write.token,
            write.sequence,
            unrepeated,
        );
        let effort = by_name.entry(name).or_insert_with(|| first_sent(line.number, write));
        effort.add(line.number, write);
    }
    let mut efforts: Vec<Effort<'_>> = by_name.into_values().collect();
    efforts.sort_unstable_by_key(|effort| effort.line);
    efforts
}

fn first_sent(line: usize, write: &Write) -> Effort<'_> {
    Effort {
        store: &write.store,
        resource: &write.resource,
        token: write.token,
        sequence: write.sequence,
        contents: Vec::new(),
        span: Span { invoked_ns: u64::MAX, answered_ns: u64::MAX },
        revision: None,
        line,
    }
}

impl<'a> Effort<'a> {
    fn add(&mut self, line: usize, write: &'a Write) {
        if !self.contents.contains(&write.mutations.as_slice()) {
            self.contents.push(&write.mutations);
        }
        let span = Span::new(write.invoked_ns, write.answered_ns, &write.outcome);
        self.span.invoked_ns = self.span.invoked_ns.min(span.invoked_ns);
        if span.answered_ns < self.span.answered_ns {
            self.span.answered_ns = span.answered_ns;
            self.line = line;
        }
        self.revision = self.revision.or(write.outcome.ok().map(|written| written.revision));
    }

    /// The keys that it may have changed.
    fn keys(&self) -> impl Iterator<Item = &'a str> {
        let mutations = self.contents.iter().flat_map(|content| content.iter());
        mutations.map(Mutation::key)
    }

    /// What it may have done to a key last, if anything.
    fn last_changes<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'a Mutation> + 's {
        let change = move |content: &&'a [Mutation]| content.iter().rfind(|one| one.key() == key);
        self.contents.iter().filter_map(change)
    }
}
