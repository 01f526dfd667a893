//! S8: definite means definite. A no has no effect, a yes has one.

use std::collections::HashMap;

use super::evidence::Evidence;
use super::record::{Cancel, EventKind, Fate, Record, Token};
use super::report::{Property, Violation};
use super::tenures::surely_valid_ns;

/// For how long a cluster remembers, by default, the request id of a claim that has ended. Past that
/// an id is a new one.
const REQUEST_MEMORY_NS: u64 = 60_000_000_000;

/// Refused claims, cancelled claims, and answers that a watch must have seen come true.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = refused_claims(evidence);
    violations.extend(waits_cut_short(evidence));
    violations.extend(cancelled_claims(evidence));
    violations.extend(unseen_effects(evidence));
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S8Definite, lines, story)
}

/// The messages of one request id that were refused.
#[derive(Default)]
struct Refusals {
    /// The last of them, as long as there are no others.
    only: Option<usize>,
    /// One that says that the claim waited in vain, and when it said so.
    wait_over: Option<(u64, usize)>,
    has_others: bool,
    last_sent_ns: u64,
}

/// An id of which every message was refused was never granted; nor was one that waited in vain, whatever
/// its other messages were answered. `ENDED` says that it may have been, and a client library that sent
/// several messages may have cancelled what one of them was granted.
fn refused_claims(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut by_request: HashMap<&str, Refusals> = HashMap::new();
    for line in &evidence.history.lines {
        let Record::Acquire(call) = &line.record else { continue };
        let refusals = by_request.entry(call.request_id.as_str()).or_default();
        refusals.last_sent_ns = refusals.last_sent_ns.max(call.invoked_ns);
        match call.outcome.refused().filter(|no| no.reason != "ENDED" && !call.retried) {
            None => refusals.has_others = true,
            Some(no) => {
                refusals.only = Some(line.number);
                if no.reason == "WAIT_OVER" {
                    refusals.wait_over = Some((call.answered_ns.unwrap_or(u64::MAX), line.number));
                }
            }
        }
    }
    let granted = evidence.grants.values().filter_map(|grant| {
        let request = grant.request?;
        let line = by_request.get(request)?.contradicts_a_grant()?;
        let story = format!("request {request} was refused and has token {}", grant.token);
        Some(violation(&[line, grant.known_line], story))
    });
    granted.collect()
}

impl Refusals {
    /// The line that says that the id was never granted.
    fn contradicts_a_grant(&self) -> Option<usize> {
        let remembered =
            |answered: u64| self.last_sent_ns.saturating_sub(answered) < REQUEST_MEMORY_NS;
        let wait_over = self.wait_over.filter(|(answered, _)| remembered(*answered));
        let only = self.only.filter(|_| !self.has_others);
        wait_over.map(|(_, line)| line).or(only)
    }
}

/// Whoever is told that its wait is over has waited as long as it asked to.
fn waits_cut_short(evidence: &Evidence<'_>) -> Vec<Violation> {
    let cut_short = evidence.history.lines.iter().filter_map(|line| {
        let Record::Acquire(call) = &line.record else { return None };
        if !call.outcome.refuses("WAIT_OVER") {
            return None;
        }
        let (asked_ns, asked) = *evidence.asked.get(call.request_id.as_str())?;
        let waited_ns = call.answered_ns?.saturating_sub(asked_ns);
        (waited_ns < surely_valid_ns(call.wait_ms)).then(|| {
            let story = format!(
                "request {} asked to wait {} ms and was sent away after {} ms",
                call.request_id,
                call.wait_ms,
                waited_ns / 1_000_000
            );
            violation(&[asked, line.number], story)
        })
    });
    cut_short.collect()
}

/// Nothing is granted to an id after its cancellation was answered, while it is remembered.
fn cancelled_claims(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut cancelled: HashMap<&str, (usize, &Cancel)> = HashMap::new();
    for line in &evidence.history.lines {
        if let Record::Cancel(call) = &line.record
            && call.outcome.ok().is_some()
        {
            let known = cancelled.entry(call.request_id.as_str()).or_insert((line.number, call));
            if call.answered_ns < known.1.answered_ns {
                *known = (line.number, call);
            }
        }
    }
    let mut violations = Vec::new();
    for line in &evidence.history.lines {
        let request = match &line.record {
            Record::Acquire(call) if call.outcome.ok().is_some() => &call.request_id,
            Record::Event(event) if event.event == EventKind::Granted => &event.request_id,
            _ => continue,
        };
        let Some((cancel_line, cancel)) = cancelled.get(request.as_str()) else { continue };
        if came_later(&line.record, cancel) {
            let story = format!("request {request} was granted or queued after it was cancelled");
            violations.push(violation(&[*cancel_line, line.number], story));
        }
    }
    violations
}

fn came_later(record: &Record, cancel: &Cancel) -> bool {
    let answered = cancel.answered_ns.unwrap_or(u64::MAX);
    let revision = cancel.outcome.ok().and_then(|answer| answer.revision);
    match record {
        Record::Acquire(call) => {
            answered < call.invoked_ns && call.invoked_ns - answered < REQUEST_MEMORY_NS
        }
        Record::Event(event) => {
            let remembered =
                event.received_ns.saturating_sub(cancel.invoked_ns) < REQUEST_MEMORY_NS;
            remembered && revision.is_some_and(|revision| revision < event.revision)
        }
        _ => false,
    }
}

/// Where a watch missed nothing, it saw each grant and each release that was answered.
fn unseen_effects(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut seen: HashMap<(Token, bool), u64> = HashMap::new();
    let mut messages: HashMap<&str, usize> = HashMap::new();
    for line in &evidence.history.lines {
        match &line.record {
            Record::Event(event) => {
                if let Some(token) = event.token {
                    let is_grant = event.event == EventKind::Granted;
                    seen.insert((token, is_grant), event.revision);
                }
            }
            Record::Acquire(call) => {
                let more = if call.retried { 2 } else { 1 };
                *messages.entry(call.request_id.as_str()).or_default() += more;
            }
            _ => {}
        }
    }
    let mut violations = Vec::new();
    for line in &evidence.history.lines {
        if line.record.fate() != Some(Fate::Ok) {
            continue;
        }
        let Some(told) = told(&line.record, &messages) else { continue };
        let stretches = evidence.watches.stretches(told.resource);
        let stretch = stretches.into_iter().find(|stretch| stretch.has(told.revision));
        let surely_within = stretch.is_some_and(|stretch| stretch.after == 0 || told.at_once);
        if surely_within && !seen.contains_key(&(told.token, told.is_grant)) {
            let what = if told.is_grant { "granted" } else { "released" };
            let story = format!(
                "token {} on {} was answered as {what} by revision {}, and the watch saw no such event",
                told.token, told.resource, told.revision
            );
            violations.push(violation(&[line.number], story));
        }
    }
    violations
}

/// An effect that an answer tells of.
struct Told<'a> {
    resource: &'a str,
    token: Token,
    is_grant: bool,
    revision: u64,
    /// Whether it happened with this very answer, and not at some revision before.
    at_once: bool,
}

fn told<'a>(record: &'a Record, messages: &HashMap<&str, usize>) -> Option<Told<'a>> {
    match record {
        Record::Acquire(call) => {
            let claim = call.outcome.ok()?;
            let (token, revision) = (claim.token?, claim.revision?);
            let at_once = messages.get(call.request_id.as_str()) == Some(&1);
            Some(Told { resource: &call.resource, token, is_grant: true, revision, at_once })
        }
        Record::Release(call) => {
            let answer = call.outcome.ok().filter(|answer| answer.was_held)?;
            let (token, revision) = (call.token, answer.revision?);
            let at_once = true;
            Some(Told { resource: &call.resource, token, is_grant: false, revision, at_once })
        }
        _ => None,
    }
}
