//! Every answer carries a revision, so the order in which things happened is known; this checks that
//! real time agrees. With the other checks, which say that the order makes sense, it is linearizability.

use super::evidence::Evidence;
use super::greedy::{self, Step, TurnedBack};
use super::record::{Record, Span};
use super::report::{Property, Violation};

/// All answers and events of the lease cluster, in the order of their revisions; and no call, of
/// whatever kind, is answered before it was made.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let lines = &evidence.history.lines;
    let steps = lines.iter().filter_map(|line| step(evidence, line.number, &line.record));
    let mut violations = Vec::new();
    for TurnedBack { first, second } in greedy::turned_back(steps.collect()) {
        if first.line == second.line {
            continue;
        }
        let story = format!(
            "revision {} was answered before the call that made revision {} was sent",
            second.order, first.order
        );
        let lines = [first.line, second.line];
        violations.push(Violation::new(Property::RevisionOrder, &lines, story));
    }
    let inverted = lines.iter().filter_map(|line| inverted(evidence, line.number, &line.record));
    violations.extend(inverted);
    violations
}

/// What came before its cause, whatever its revision.
fn inverted(evidence: &Evidence<'_>, line: usize, record: &Record) -> Option<Violation> {
    let violation = |lines: &[usize], story: &str| {
        Some(Violation::new(Property::RevisionOrder, lines, story.to_owned()))
    };
    if let Record::Event(event) = record {
        let (asked_ns, asked) = *evidence.asked.get(event.request_id.as_str())?;
        let is_early = event.received_ns < asked_ns;
        return is_early
            .then(|| violation(&[asked, line], "the event came before its claim was asked for"))?;
    }
    let span = record.span()?;
    let is_early = span.answered_ns < span.invoked_ns;
    is_early.then(|| violation(&[line], "the call was answered before it was made"))?
}

fn step(evidence: &Evidence<'_>, line: usize, record: &Record) -> Option<Step> {
    if let Record::Event(event) = record {
        let asked = evidence.asked.get(event.request_id.as_str());
        let answered_ns = event.received_ns;
        let span = Span { invoked_ns: asked.map_or(0, |asked| asked.0), answered_ns };
        return Some(Step { order: event.revision, reads: false, span, line });
    }
    let reads = matches!(record, Record::Get(_) | Record::List(_));
    Some(Step { order: revision(record)?, reads, span: record.span()?, line })
}

fn revision(record: &Record) -> Option<u64> {
    match record {
        Record::Acquire(call) => match call.outcome.refused() {
            Some(refused) => refused.revision,
            None => call.outcome.ok()?.revision,
        },
        Record::Renew(call) => match call.outcome.refused() {
            Some(refused) => refused.revision,
            None => call.outcome.ok()?.revision,
        },
        Record::Release(call) => call.outcome.ok()?.revision,
        Record::Cancel(call) => call.outcome.ok()?.revision,
        Record::Get(call) => call.outcome.ok()?.revision,
        Record::List(call) => call.outcome.ok()?.revision,
        _ => None,
    }
}
