//! (b), (c), (d): what the store may and must refuse, by times alone.

use std::collections::HashMap;

use super::super::highest::Highest;
use super::violation;
use crate::history::evidence::Evidence;
use crate::history::record::{Fate, Record, Refused, Span, Token};
use crate::history::report::Violation;

/// A token shown to a store: by a write, or by a read that raises the mark.
#[derive(Clone, Copy, Debug)]
struct Presented<'a> {
    line: usize,
    place: (&'a str, &'a str),
    token: Token,
    /// 0 for a read.
    sequence: u64,
    span: Span,
    fate: Fate,
    refused: Option<&'a Refused>,
}

impl Presented<'_> {
    fn mark(&self) -> (Token, u64, usize) {
        (self.token, self.sequence, self.line)
    }

    /// Whether the store surely raised the mark to it: also where it refused for another reason.
    fn raised(&self) -> bool {
        let refused = self.refused.map(|refused| refused.reason.as_str());
        self.fate == Fate::Ok || matches!(refused, Some("VERSION_MISMATCH" | "VALUE_TOO_LARGE"))
    }
}

type Marks<'a> = HashMap<(&'a str, &'a str), Highest<(Token, u64, usize)>>;

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let presented = presented(evidence);
    let raised = presented.iter().filter(|one| one.raised());
    let raised = marks(raised.map(|one| (one.place, (one.span.answered_ns, one.mark()))));
    let sent = marks(presented.iter().map(|one| (one.place, (one.span.invoked_ns, one.mark()))));
    let sequences = presented.iter().map(|one| ((one.place, one.token), one));
    let mut under_token: HashMap<_, Vec<(u64, u64)>> = HashMap::new();
    for (name, one) in sequences {
        under_token.entry(name).or_default().push((one.span.invoked_ns, one.sequence));
    }
    let under_token: HashMap<_, Highest<u64>> =
        under_token.into_iter().map(|(name, sent)| (name, Highest::new(sent))).collect();
    let mut violations = Vec::new();
    for one in &presented {
        match one.fate {
            Fate::Ok => {
                violations.extend(stale_accepted(one, &raised));
                violations.extend(wrong_resource(one, evidence));
            }
            Fate::Refused => {
                let sequence = under_token[&(one.place, one.token)].before(after(one));
                violations.extend(falsely_refused(one, &sent, sequence));
            }
            Fate::Unknown => {}
        }
    }
    violations
}

fn marks<'a>(
    shown: impl Iterator<Item = ((&'a str, &'a str), (u64, (Token, u64, usize)))>,
) -> Marks<'a> {
    let mut by_place: HashMap<_, Vec<_>> = HashMap::new();
    for (place, mark) in shown {
        by_place.entry(place).or_default().push(mark);
    }
    by_place.into_iter().map(|(place, marks)| (place, Highest::new(marks))).collect()
}

fn presented<'a>(evidence: &Evidence<'a>) -> Vec<Presented<'a>> {
    let one = |line, record: &'a Record| {
        let (store, resource, token, sequence, refused) = match record {
            Record::Write(call) => {
                let refused = call.outcome.refused();
                (&call.store, &call.resource, call.token, call.sequence, refused)
            }
            Record::Read(call) => {
                (&call.store, &call.resource, call.token?, 0, call.outcome.refused())
            }
            _ => return None,
        };
        let (place, span, fate) =
            ((store.as_str(), resource.as_str()), record.span()?, record.fate()?);
        Some(Presented { line, place, token, sequence, span, fate, refused })
    };
    let lines = evidence.history.lines.iter();
    lines.filter_map(|line| one(line.number, &line.record)).collect()
}

/// Just after its answer.
fn after(one: &Presented<'_>) -> u64 {
    one.span.answered_ns.saturating_add(1)
}

fn stale_accepted(one: &Presented<'_>, raised: &Marks<'_>) -> Option<Violation> {
    let (token, sequence, line) = raised.get(&one.place)?.before(one.span.invoked_ns)?;
    let late = one.sequence > 0 && one.sequence < sequence;
    let stale = one.token < token || (one.token == token && late);
    stale.then(|| {
        let story = format!(
            "{} accepted (token, sequence) ({}, {}), sent after ({token}, {sequence}) was accepted",
            one.place.1, one.token, one.sequence
        );
        violation(&[line, one.line], story)
    })
}

fn falsely_refused(
    one: &Presented<'_>,
    sent: &Marks<'_>,
    sequence: Option<u64>,
) -> Option<Violation> {
    let refused = one.refused?;
    let by_then = sent.get(&one.place)?.before(after(one));
    let justified = match refused.reason.as_str() {
        "STALE_TOKEN" => by_then.is_some_and(|(token, _, _)| {
            token > one.token
                && refused.mark_token.is_none_or(|mark| mark > one.token && mark <= token)
        }),
        "STALE_SEQUENCE" => sequence.is_some_and(|sequence| sequence > one.sequence),
        _ => true,
    };
    (!justified).then(|| {
        let story = format!(
            "{} refused (token, sequence) ({}, {}) as {} when nothing larger had been presented",
            one.place.1, one.token, one.sequence, refused.reason
        );
        violation(&[one.line], story)
    })
}

fn wrong_resource(one: &Presented<'_>, evidence: &Evidence<'_>) -> Option<Violation> {
    let grant = evidence.grants.get(&one.token)?;
    (grant.resource != one.place.1).then(|| {
        let story = format!(
            "token {} was granted for {} and accepted on {}",
            one.token, grant.resource, one.place.1
        );
        violation(&[grant.known_line, one.line], story)
    })
}
