//! S4: while a client may believe that it holds a resource, nobody else was granted it.
//!
//! Two kinds of belief. The one a client recorded; and the one that every answer entitles to, whether
//! or not anybody relied on it: from before the call was sent, for as long as it said, less what two
//! clocks may differ. Neither may reach beyond the first proof that the lease had ended, unless the
//! lease was given up: then the cluster may grant it anew at once, and whoever gave it up must have
//! stopped believing before.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::highest::Highest;
use super::record::{Belief, Fate, Outcome, Record, Standing, Token};
use super::report::{Property, Violation};

/// A time, and the line that tells it.
type At = (u64, usize);

/// How much of a `valid_for` counts: the clocks of leader and holder may differ by 0.1 % in rate each,
/// and lease time has a grain of 1 ms.
pub(crate) fn surely_valid_ns(valid_for_ms: u64) -> u64 {
    const GRAIN_NS: u64 = 2_000_000;
    valid_for_ms.saturating_mul(998_000).saturating_sub(GRAIN_NS)
}

#[derive(Debug, Default)]
struct Tenure<'a> {
    /// The furthest that an answer promised.
    promised: Option<At>,
    /// The first proof that it had ended.
    ended: Option<At>,
    /// Calls that gave it up, or may have: who called, and when.
    given_up: Vec<(&'a str, At)>,
}

/// Beliefs against proofs, beliefs against giving up, beliefs against each other.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let tenures = tenures(evidence);
    let mut violations = Vec::new();
    for (token, tenure) in &tenures {
        check_promise(*token, tenure, &mut violations);
    }
    let mut by_resource: BTreeMap<&str, Vec<(u64, u64, Token, usize)>> = BTreeMap::new();
    for line in &evidence.history.lines {
        let Record::Belief(belief) = &line.record else { continue };
        check_belief(evidence, &tenures, line.number, belief, &mut violations);
        let until = until_given_up_by_others(&tenures, belief);
        let beliefs = by_resource.entry(&belief.resource).or_default();
        beliefs.push((belief.from_ns, until, belief.token, line.number));
    }
    for (resource, beliefs) in by_resource {
        check_disjoint(resource, beliefs, &mut violations);
    }
    violations
}

fn violation(lines: &[usize], story: String) -> Violation {
    Violation::new(Property::S4Beliefs, lines, story)
}

fn check_promise(token: Token, tenure: &Tenure<'_>, violations: &mut Vec<Violation>) {
    let (Some(promised), Some(ended)) = (tenure.promised, tenure.ended) else { return };
    let given_up = tenure.given_up.iter().any(|(_, at)| at.0 <= ended.0);
    if ended.0 < promised.0 && !given_up {
        let story = format!(
            "token {token} was promised for another {} when it had ended already",
            time(promised.0 - ended.0)
        );
        violations.push(violation(&[promised.1, ended.1], story));
    }
}

fn check_belief(
    evidence: &Evidence<'_>,
    tenures: &BTreeMap<Token, Tenure<'_>>,
    line: usize,
    belief: &Belief,
    violations: &mut Vec<Violation>,
) {
    let (token, client) = (belief.token, &belief.client);
    if let Some(grant) = evidence.grants.get(&token)
        && belief.from_ns < grant.asked_ns
    {
        let story = format!("{client} believed in token {token} before it was asked for");
        violations.push(violation(&[line, grant.asked_line], story));
    }
    let Some(tenure) = tenures.get(&token) else { return };
    let own = tenure.given_up.iter().filter(|(by, _)| by == client);
    if let Some((_, at)) = own.min_by_key(|(_, at)| *at)
        && at.0 < belief.until_ns
    {
        let story = format!(
            "{client} still believed in token {token} {} after it began to give it up",
            time(belief.until_ns - at.0)
        );
        violations.push(violation(&[line, at.1], story));
    }
    let until = until_given_up_by_others(tenures, belief);
    if let Some(ended) = tenure.ended
        && ended.0 < until
    {
        let story = format!(
            "{client} believed in token {token} for {} after it had ended",
            time(until - ended.0)
        );
        violations.push(violation(&[line, ended.1], story));
    }
}

/// Somebody else may release a lease by its token; nobody can tell its holder in time.
fn until_given_up_by_others(tenures: &BTreeMap<Token, Tenure<'_>>, belief: &Belief) -> u64 {
    let given_up = tenures.get(&belief.token).into_iter().flat_map(|tenure| &tenure.given_up);
    let by_others = given_up.filter(|(by, _)| *by != belief.client).map(|(_, at)| at.0);
    by_others.min().unwrap_or(u64::MAX).min(belief.until_ns)
}

/// Sorted by their beginnings, each must begin after all before it have ended. Two beliefs in one
/// token are no contradiction: a holder may hand it to its child.
fn check_disjoint(
    resource: &str,
    mut beliefs: Vec<(u64, u64, Token, usize)>,
    violations: &mut Vec<Violation>,
) {
    beliefs.sort_unstable();
    let mut longest: Option<(u64, Token, usize)> = None;
    for (from, until, token, line) in beliefs {
        if let Some((end, other, earlier)) = longest
            && from < end
            && until > from
            && other != token
        {
            let story = format!(
                "two clients believed to hold {resource} for {}, under tokens {other} and {token}",
                time(end.min(until) - from)
            );
            violations.push(violation(&[earlier, line], story));
        }
        longest = longest.max(Some((until, token, line)));
    }
}

fn tenures<'a>(evidence: &Evidence<'a>) -> BTreeMap<Token, Tenure<'a>> {
    let mut tenures: BTreeMap<Token, Tenure<'_>> = BTreeMap::new();
    for line in &evidence.history.lines {
        note(evidence, line.number, &line.record, &mut tenures);
    }
    note_successors(evidence, &mut tenures);
    note_free_reads(evidence, &mut tenures);
    tenures
}

fn note<'a>(
    evidence: &Evidence<'a>,
    line: usize,
    record: &'a Record,
    tenures: &mut BTreeMap<Token, Tenure<'a>>,
) {
    let mut ended = |token, at| {
        let tenure = tenures.entry(token).or_default();
        tenure.ended = [tenure.ended, Some(at)].into_iter().flatten().min();
    };
    let refused = record.fate() == Some(Fate::Refused);
    match record {
        Record::Acquire(call) => promise(tenures, call.invoked_ns, line, &call.outcome),
        Record::Renew(call) => match (call.token, call.answered_ns) {
            (Some(token), Some(answered)) if refused => ended(token, (answered, line)),
            _ => promise(tenures, call.invoked_ns, line, &call.outcome),
        },
        Record::Release(call) => {
            let was_over = call.outcome.ok().is_some_and(|answer| !answer.was_held);
            if let (true, Some(answered)) = (was_over, call.answered_ns) {
                ended(call.token, (answered, line));
            }
            if !refused {
                let tenure = tenures.entry(call.token).or_default();
                tenure.given_up.push((&call.client, (call.invoked_ns, line)));
            }
        }
        Record::Cancel(call) if !refused => {
            if let Some(token) = evidence.token_of.get(call.request_id.as_str()) {
                let tenure = tenures.entry(*token).or_default();
                tenure.given_up.push((&call.client, (call.invoked_ns, line)));
            }
        }
        _ => {}
    }
}

fn promise(
    tenures: &mut BTreeMap<Token, Tenure<'_>>,
    invoked_ns: u64,
    line: usize,
    outcome: &Outcome<Standing>,
) {
    let Some(claim) = outcome.ok() else { return };
    let (Some(token), Some(valid_for_ms)) = (claim.token, claim.valid_for_ms) else { return };
    let until = invoked_ns.saturating_add(surely_valid_ns(valid_for_ms));
    let tenure = tenures.entry(token).or_default();
    tenure.promised = tenure.promised.max(Some((until, line)));
}

/// A lease had ended when a later one of the same resource was known.
fn note_successors(evidence: &Evidence<'_>, tenures: &mut BTreeMap<Token, Tenure<'_>>) {
    let mut next: BTreeMap<&str, At> = BTreeMap::new();
    for grant in evidence.grants.values().rev() {
        let known = (grant.known_ns, grant.known_line);
        let first = next.entry(grant.resource).or_insert((u64::MAX, 0));
        if first.0 < u64::MAX {
            let tenure = tenures.entry(grant.token).or_default();
            tenure.ended = [tenure.ended, Some(*first)].into_iter().flatten().min();
        }
        *first = known.min(*first);
    }
}

/// Whatever was granted before a read that found the resource free had ended when it was answered.
fn note_free_reads(evidence: &Evidence<'_>, tenures: &mut BTreeMap<Token, Tenure<'_>>) {
    let mut known: BTreeMap<&str, Vec<(u64, Token)>> = BTreeMap::new();
    for grant in evidence.grants.values() {
        known.entry(grant.resource).or_default().push((grant.known_ns, grant.token));
    }
    let known: BTreeMap<&str, Highest<Token>> =
        known.into_iter().map(|(resource, known)| (resource, Highest::new(known))).collect();
    for line in &evidence.history.lines {
        let Record::Get(call) = &line.record else { continue };
        let (Some(seen), Some(answered)) = (call.outcome.ok(), call.answered_ns) else { continue };
        let before = known.get(call.resource.as_str());
        let last = before.and_then(|known| known.before(call.invoked_ns));
        if let (None, Some(token)) = (seen.token, last) {
            let tenure = tenures.entry(token).or_default();
            let at = Some((answered, line.number));
            tenure.ended = [tenure.ended, at].into_iter().flatten().min();
        }
    }
}

fn time(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
}
