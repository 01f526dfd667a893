//! The life of each lease as revisions tell it: from where to where it is known to have been live,
//! and from where on it is known to have ended.

use std::collections::{BTreeMap, HashMap};

use super::History;
use super::record::{EventKind, Record, Token};

/// A revision, and the line that names it.
pub(crate) type At = (u64, usize);

/// What is known of one lease. Reads are not in it: they are checked against it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// The first and the last revision at which it was live.
    pub(crate) live: Option<(At, At)>,
    /// The revision of its grant, where an event tells it.
    pub(crate) granted: Option<At>,
    /// The first revision at which it had ended.
    pub(crate) ended: Option<At>,
}

/// The leases of one resource, in the order of their tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lives {
    by_token: BTreeMap<Token, Life>,
    /// For each lease, in that order: the last sign of life of any before it.
    before: Vec<Option<(At, Token)>>,
}

impl Lives {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Token, Neighbour<'_>)> {
        let leases = self.by_token.iter().zip(&self.before);
        leases.map(|((token, life), before)| (*token, Neighbour { life, before: *before }))
    }

    fn index(&mut self) {
        let mut last: Option<(At, Token)> = None;
        for (token, life) in &self.by_token {
            self.before.push(last);
            last = last.max(life.live.map(|(_, last)| (last, *token)));
        }
    }
}

/// A lease, and the last sign of life of any lease before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbour<'a> {
    pub(crate) life: &'a Life,
    pub(crate) before: Option<(At, Token)>,
}

/// The lives of all leases, by resource.
pub(crate) fn lives<'a>(
    history: &'a History,
    token_of: &HashMap<&'a str, Token>,
) -> BTreeMap<&'a str, Lives> {
    let mut all: BTreeMap<&str, Lives> = BTreeMap::new();
    for line in &history.lines {
        let Some((resource, token, revision, sign)) = sign(&line.record, token_of) else {
            continue;
        };
        let life = all.entry(resource).or_default().by_token.entry(token).or_default();
        life.note(sign, (revision, line.number));
    }
    all.values_mut().for_each(Lives::index);
    all
}

#[derive(Clone, Copy)]
enum Sign {
    Granted,
    Live,
    Ended,
    /// Ended by this very call, which had one revision and gave the end one and a hand-over perhaps
    /// another: before it, two revisions ago at least, the lease was live.
    EndedByThis,
}

impl Life {
    fn note(&mut self, sign: Sign, at: At) {
        if let Sign::EndedByThis = sign {
            self.note(Sign::Live, (at.0.saturating_sub(2), at.1));
        }
        if let Sign::Ended | Sign::EndedByThis = sign {
            self.ended = Some(self.ended.map_or(at, |ended| ended.min(at)));
            return;
        }
        if let Sign::Granted = sign {
            self.granted = Some(at);
        }
        let (first, last) = self.live.unwrap_or((at, at));
        self.live = Some((first.min(at), last.max(at)));
    }
}

/// What a line says of a lease at a revision.
fn sign<'a>(
    record: &'a Record,
    token_of: &HashMap<&str, Token>,
) -> Option<(&'a str, Token, u64, Sign)> {
    match record {
        Record::Acquire(call) => match (call.outcome.ok(), call.outcome.refused()) {
            (Some(claim), _) => Some((&call.resource, claim.token?, claim.revision?, Sign::Live)),
            (_, Some(no)) => Some((&call.resource, no.held_token?, no.revision?, Sign::Live)),
            _ => None,
        },
        Record::Renew(call) => match (call.outcome.ok(), call.outcome.refused()) {
            (Some(claim), _) => Some((&call.resource, claim.token?, claim.revision?, Sign::Live)),
            (_, Some(refused)) if refused.reason == "NOT_HOLDER" => {
                Some((&call.resource, call.token?, refused.revision?, Sign::Ended))
            }
            _ => None,
        },
        Record::Release(call) => {
            let answer = call.outcome.ok()?;
            let sign = if answer.was_held { Sign::EndedByThis } else { Sign::Ended };
            Some((&call.resource, call.token, answer.revision?, sign))
        }
        Record::Cancel(call) => {
            let (answer, token) = (call.outcome.ok()?, token_of.get(call.request_id.as_str()));
            let ends_lease = answer.released_token.is_some();
            let sign = if ends_lease { Sign::EndedByThis } else { Sign::Ended };
            Some((&call.resource, *token?, answer.revision?, sign))
        }
        Record::Event(event) => {
            let sign = match event.event {
                EventKind::Granted => Sign::Granted,
                EventKind::Released | EventKind::Expired => Sign::Ended,
                EventKind::Queued => return None,
            };
            Some((&event.resource, event.token?, event.revision, sign))
        }
        _ => None,
    }
}
