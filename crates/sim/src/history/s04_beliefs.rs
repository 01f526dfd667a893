//! S4: while a client may believe that it holds a resource, nobody else was granted it.
//!
//! Two kinds of belief. The one a client recorded; and the one that every answer entitles to, whether
//! or not anybody relied on it: from before the call was sent, for as long as it said, less what two
//! clocks may differ. Neither may reach beyond the first proof that the lease had ended, unless the
//! lease was given up: then the cluster may grant it anew at once, and whoever gave it up must have
//! stopped believing before.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::record::{Belief, Record, Token};
use super::report::{Property, Violation};
use super::tenures::Tenure;

/// Beliefs against proofs, beliefs against giving up, beliefs against each other.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let tenures = &evidence.tenures;
    let mut violations = Vec::new();
    for (token, tenure) in tenures {
        check_promise(*token, tenure, &mut violations);
    }
    let mut by_resource: BTreeMap<&str, Vec<(u64, u64, Token, usize)>> = BTreeMap::new();
    for line in &evidence.history.lines {
        let Record::Belief(belief) = &line.record else { continue };
        check_belief(evidence, line.number, belief, &mut violations);
        let until = until_given_up_by_others(tenures, belief);
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
    let Some(tenure) = evidence.tenures.get(&token) else { return };
    let said = tenure.given_up.iter().chain(&tenure.too_late);
    let own = said.filter(|(by, _)| by == client);
    if let Some((_, at)) = own.min_by_key(|(_, at)| *at)
        && at.0 < belief.until_ns
    {
        let story = format!(
            "{client} still believed in token {token} {} after it began to give it up",
            time(belief.until_ns - at.0)
        );
        violations.push(violation(&[line, at.1], story));
    }
    let until = until_given_up_by_others(&evidence.tenures, belief);
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

fn time(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
}
