//! Every token that was seen, wherever, and the grant that it tells of.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::History;
use super::record::{EventKind, Record, Token};

/// One look at a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting<'a> {
    pub(crate) line: usize,
    pub(crate) token: Token,
    pub(crate) resource: &'a str,
    /// The claim, where the line tells it.
    pub(crate) request: Option<&'a str>,
    /// The token had been issued by then.
    pub(crate) known_ns: u64,
}

/// A grant, put together from all sightings of its token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) token: Token,
    pub(crate) resource: &'a str,
    pub(crate) request: Option<&'a str>,
    /// When it was first asked for; 0 where the history does not tell.
    pub(crate) asked_ns: u64,
    /// The line that asked, or the first that knew.
    pub(crate) asked_line: usize,
    /// It had happened by then.
    pub(crate) known_ns: u64,
    pub(crate) known_line: usize,
}

/// All sightings, in the order of lines.
pub(crate) fn sightings(history: &History) -> Vec<Sighting<'_>> {
    let mut sightings = Vec::new();
    for line in &history.lines {
        look(line.number, &line.record, &mut sightings);
    }
    sightings
}

fn look<'a>(line: usize, record: &'a Record, sightings: &mut Vec<Sighting<'a>>) {
    let known_ns = record.span().map_or(u64::MAX, |span| span.answered_ns);
    let mut saw = |token: Option<Token>, resource: &'a str, request: Option<&'a str>, known_ns| {
        sightings.extend(token.map(|token| Sighting { line, token, resource, request, known_ns }));
    };
    match record {
        Record::Acquire(call) => {
            let token = call.outcome.ok().and_then(|claim| claim.token);
            saw(token, &call.resource, Some(&call.request_id), known_ns);
            let in_the_way = call.outcome.refused().and_then(|no| no.held_token);
            saw(in_the_way, &call.resource, None, known_ns);
        }
        Record::Renew(call) => {
            let token = call.outcome.ok().and_then(|claim| claim.token);
            saw(token, &call.resource, call.request_id.as_deref(), known_ns);
        }
        Record::Release(call) => {
            let ended = call.outcome.ok().filter(|answer| answer.was_held);
            saw(ended.map(|_| call.token), &call.resource, None, known_ns);
        }
        Record::Cancel(call) => {
            let token = call.outcome.ok().and_then(|answer| answer.released_token);
            saw(token, &call.resource, Some(&call.request_id), known_ns);
        }
        Record::Get(call) => {
            saw(call.outcome.ok().and_then(|seen| seen.token), &call.resource, None, known_ns);
        }
        Record::List(call) => {
            for held in call.outcome.ok().iter().flat_map(|page| &page.resources) {
                saw(Some(held.token), &held.resource, None, known_ns);
            }
        }
        Record::Event(event) if event.event != EventKind::Queued => {
            saw(event.token, &event.resource, Some(&event.request_id), event.received_ns);
        }
        _ => {}
    }
}

/// When each request id was first sent, and by which line.
pub(crate) fn first_asked(history: &History) -> HashMap<&str, (u64, usize)> {
    let mut asked = HashMap::new();
    for line in &history.lines {
        if let Record::Acquire(call) = &line.record {
            let this = (call.invoked_ns, line.number);
            let first = asked.entry(call.request_id.as_str()).or_insert(this);
            *first = this.min(*first);
        }
    }
    asked
}

/// One grant for each token. Where sightings contradict each other the first one counts; that they
/// do is another check's finding.
pub(crate) fn grants<'a>(
    sightings: &[Sighting<'a>],
    asked: &HashMap<&'a str, (u64, usize)>,
) -> BTreeMap<Token, Grant<'a>> {
    let mut grants = BTreeMap::new();
    for sighting in sightings {
        let grant = match grants.entry(sighting.token) {
            Entry::Vacant(entry) => entry.insert(first_seen(sighting)),
            Entry::Occupied(entry) => entry.into_mut(),
        };
        grant.request = grant.request.or(sighting.request);
        if sighting.known_ns < grant.known_ns {
            (grant.known_ns, grant.known_line) = (sighting.known_ns, sighting.line);
        }
    }
    for grant in grants.values_mut() {
        if let Some(asked) = grant.request.and_then(|request| asked.get(request)) {
            (grant.asked_ns, grant.asked_line) = *asked;
        }
    }
    grants
}

fn first_seen<'a>(sighting: &Sighting<'a>) -> Grant<'a> {
    let Sighting { line, token, resource, request, known_ns } = *sighting;
    Grant { token, resource, request, asked_ns: 0, asked_line: line, known_ns, known_line: line }
}
