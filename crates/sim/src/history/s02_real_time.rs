//! S2: if a grant was answered before another was asked for, its token is smaller; and no token is known
//! before it was asked for. With S1 this is all there is to it: an order by token exists and respects
//! real time.
//!
//! Tokens count the grants of a whole cluster, so this is checked across resources.

use super::evidence::Evidence;
use super::highest::Highest;
use super::report::{Property, Violation};

/// For each grant: no token that was known before it was asked for is as large, or the same.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let grants = evidence.grants.values();
    let known = grants.map(|grant| (grant.known_ns, (grant.token, grant.known_line)));
    let known = Highest::new(known.collect());
    let mut violations = Vec::new();
    for grant in evidence.grants.values() {
        let Some((earlier, line)) = known.before(grant.asked_ns) else { continue };
        if earlier >= grant.token {
            let story = if earlier > grant.token {
                let token = grant.token;
                format!("token {earlier} was known before the smaller token {token} was asked for")
            } else {
                format!("token {earlier} was known before it was asked for")
            };
            let lines = [line, grant.asked_line, grant.known_line];
            violations.push(Violation::new(Property::S2RealTime, &lines, story));
        }
    }
    violations
}
