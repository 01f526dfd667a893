//! S1: no two grants carry the same token. One hash lookup a sighting.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::grants::Sighting;
use super::record::Token;
use super::report::{Property, Violation};

/// A token belongs to one resource and one claim, wherever it is seen.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut first: BTreeMap<Token, Sighting<'_>> = BTreeMap::new();
    let mut violations = Vec::new();
    for this in &evidence.sightings {
        let known = first.entry(this.token).or_insert(*this);
        if let Some(story) = contradiction(known, this) {
            let lines = [known.line, this.line];
            violations.push(Violation::new(Property::S1Uniqueness, &lines, story));
        }
        if known.request.is_none() && this.request.is_some() && known.resource == this.resource {
            *known = *this;
        }
    }
    violations
}

fn contradiction(known: &Sighting<'_>, this: &Sighting<'_>) -> Option<String> {
    let token = this.token;
    if known.resource != this.resource {
        let (one, other) = (known.resource, this.resource);
        return Some(format!("token {token} was granted on {one} and on {other}"));
    }
    let (one, other) = (known.request?, this.request?);
    (one != other)
        .then(|| format!("token {token} was granted to request {one} and to request {other}"))
}
