//! The calls of one resource, as the search wants them: names as small numbers, nothing it cannot use.

use std::collections::BTreeMap;

use super::super::record::{Outcome, Record, Span, Standing, Token};
use super::super::tenures::surely_valid_ns;
use crate::history::History;

/// All calls of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    /// For each claim its token, where any line tells it.
    pub(super) token_of: Vec<Option<Token>>,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) span: Span,
    pub(super) what: What,
}

/// What was asked, and what was answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Acquire { claim: usize, waits: bool, surely_until_ns: u64, answer: Acquired },
    RenewClaim { claim: usize, surely_until_ns: u64, answer: Renewed },
    RenewToken { token: Token, surely_until_ns: u64, ok: bool },
    Release { token: Token, was_held: Option<bool> },
    Cancel { claim: usize, answer: Option<(bool, Option<Token>)> },
    Get { token: Option<Token> },
}

/// The answers to an acquire that say something about the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquired {
    Token(Token),
    Place,
    Held(Option<Token>),
    WaitOver,
    Ended,
    Unknown,
}

/// The answers to a renewal by request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewed {
    Token(Token),
    Place,
    Gone,
}

/// Sorts a history's calls by resource.
pub(super) fn by_resource(history: &History) -> BTreeMap<&str, Calls> {
    let mut all: BTreeMap<&str, (Calls, BTreeMap<&str, usize>)> = BTreeMap::new();
    for line in &history.lines {
        let (resource, request) = match &line.record {
            Record::Acquire(call) => (&call.resource, Some(&call.request_id)),
            Record::Renew(call) => (&call.resource, call.request_id.as_ref()),
            Record::Cancel(call) => (&call.resource, Some(&call.request_id)),
            Record::Release(call) => (&call.resource, None),
            Record::Get(call) => (&call.resource, None),
            _ => continue,
        };
        let (calls, numbers) = all.entry(resource).or_default();
        let fresh = numbers.len();
        let claim = request.map(|request| *numbers.entry(request).or_insert(fresh));
        calls.token_of.resize(numbers.len(), None);
        let (Some(what), Some(span)) = (what(&line.record, claim), line.record.span()) else {
            continue;
        };
        if let (Some(claim), Some(token)) = (claim, token_told(&what)) {
            calls.token_of[claim].get_or_insert(token);
        }
        calls.calls.push(Call { span, what });
    }
    all.into_iter().map(|(resource, (calls, _))| (resource, calls)).collect()
}

fn token_told(what: &What) -> Option<Token> {
    match what {
        What::Acquire { answer: Acquired::Token(token), .. }
        | What::RenewClaim { answer: Renewed::Token(token), .. } => Some(*token),
        What::Cancel { answer: Some((_, token)), .. } => *token,
        _ => None,
    }
}

/// A line as a call; `None` where neither its effect nor its answer can matter: a renewal that may not
/// have happened only keeps what may end from having to.
fn what(record: &Record, claim: Option<usize>) -> Option<What> {
    match record {
        Record::Acquire(call) => Some(What::Acquire {
            claim: claim?,
            waits: call.wait_ms > 0,
            surely_until_ns: surely_until(call.invoked_ns, &call.outcome),
            answer: acquired(&call.outcome)?,
        }),
        Record::Renew(call) => {
            let surely_until_ns = surely_until(call.invoked_ns, &call.outcome);
            if let Some(token) = call.token {
                let ok = call.outcome.ok().is_some();
                let told = ok || is_gone(&call.outcome);
                return told.then_some(What::RenewToken { token, surely_until_ns, ok });
            }
            let answer = match &call.outcome {
                Outcome::Refused(_) if is_gone(&call.outcome) => Renewed::Gone,
                Outcome::Refused(_) | Outcome::Unknown => return None,
                Outcome::Ok(standing) => standing.token.map_or(Renewed::Place, Renewed::Token),
            };
            Some(What::RenewClaim { claim: claim?, surely_until_ns, answer })
        }
        Record::Release(call) => {
            if call.outcome.refused().is_some() {
                return None;
            }
            let was_held = call.outcome.ok().map(|answer| answer.was_held);
            Some(What::Release { token: call.token, was_held })
        }
        Record::Cancel(call) => {
            if call.outcome.refused().is_some() {
                return None;
            }
            let answer = call.outcome.ok().map(|answer| (answer.was_live, answer.released_token));
            Some(What::Cancel { claim: claim?, answer })
        }
        Record::Get(call) => Some(What::Get { token: call.outcome.ok()?.token }),
        _ => None,
    }
}

fn acquired(outcome: &Outcome<Standing>) -> Option<Acquired> {
    match outcome {
        Outcome::Ok(claim) => Some(claim.token.map_or(Acquired::Place, Acquired::Token)),
        Outcome::Unknown => Some(Acquired::Unknown),
        Outcome::Refused(no) => match no.reason.as_str() {
            "HELD" => Some(Acquired::Held(no.held_token)),
            "WAIT_OVER" => Some(Acquired::WaitOver),
            "ENDED" => Some(Acquired::Ended),
            _ => None,
        },
    }
}

/// Whether a renewal was told that there is no such claim, and not just that nobody took the call.
fn is_gone(outcome: &Outcome<Standing>) -> bool {
    outcome.refuses("NOT_HOLDER") || outcome.refuses("ENDED")
}

fn surely_until(invoked_ns: u64, outcome: &Outcome<Standing>) -> u64 {
    let valid_for_ms = outcome.ok().and_then(|claim| claim.valid_for_ms);
    valid_for_ms.map_or(0, |ms| invoked_ns.saturating_add(surely_valid_ns(ms)))
}
