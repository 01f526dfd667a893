//! The time of each lease as clocks tell it: what was promised of it, and when it is known to have been
//! live, to have been given up, to have ended.

use std::collections::{BTreeMap, HashMap};

use super::History;
use super::grants::Grant;
use super::highest::Highest;
use super::record::{Fate, Outcome, Record, Standing, Token};

/// A time, and the line that tells it.
pub(crate) type At = (u64, usize);

/// How much of a `valid_for` counts: the clocks of leader and holder may differ by 0.1 % in rate each,
/// and lease time has a grain of 1 ms.
pub(crate) fn surely_valid_ns(valid_for_ms: u64) -> u64 {
    const GRAIN_NS: u64 = 2_000_000;
    valid_for_ms.saturating_mul(998_000).saturating_sub(GRAIN_NS)
}

/// What is known of one lease.
#[derive(Debug, Default)]
pub(crate) struct Tenure<'a> {
    /// The furthest that an answer promised.
    pub(crate) promised: Option<At>,
    /// The last moment at or after which it was live.
    pub(crate) alive: Option<At>,
    /// The first proof that it had ended.
    pub(crate) ended: Option<At>,
    /// Calls to give it up that ended it, or may have: who called, and when.
    pub(crate) given_up: Vec<(&'a str, At)>,
    /// Those that found it ended.
    pub(crate) too_late: Vec<(&'a str, At)>,
}

impl<'a> Tenure<'a> {
    fn ended_by(&mut self, at: At) {
        self.ended = Some(self.ended.map_or(at, |ended| ended.min(at)));
    }

    fn alive_at(&mut self, at: At) {
        self.alive = self.alive.max(Some(at));
    }

    /// A call to give it up; whether it found it live, where that is known.
    fn give_up(
        &mut self,
        client: &'a str,
        invoked_ns: u64,
        answered_ns: Option<u64>,
        line: usize,
        found: Option<bool>,
    ) {
        let call = (client, (invoked_ns, line));
        if found == Some(true) {
            self.alive_at(call.1);
        }
        if found != Some(false) {
            self.given_up.push(call);
            return;
        }
        self.too_late.push(call);
        if let Some(answered_ns) = answered_ns {
            self.ended_by((answered_ns, line));
        }
    }
}

/// The tenures of all leases.
pub(crate) fn tenures<'a>(
    history: &'a History,
    grants: &BTreeMap<Token, Grant<'a>>,
    token_of: &HashMap<&'a str, Token>,
) -> BTreeMap<Token, Tenure<'a>> {
    let mut tenures = BTreeMap::new();
    for line in &history.lines {
        note(token_of, line.number, &line.record, &mut tenures);
    }
    note_successors(grants, &mut tenures);
    note_free_reads(history, grants, &mut tenures);
    tenures
}

fn note<'a>(
    token_of: &HashMap<&'a str, Token>,
    line: usize,
    record: &'a Record,
    tenures: &mut BTreeMap<Token, Tenure<'a>>,
) {
    let refused = record.fate() == Some(Fate::Refused);
    match record {
        Record::Acquire(call) => {
            promise(tenures, call.invoked_ns, line, &call.outcome);
            if let Some(token) = call.outcome.refused().and_then(|no| no.held_token) {
                tenures.entry(token).or_default().alive_at((call.invoked_ns, line));
            }
        }
        Record::Renew(call) => match (call.token, call.answered_ns) {
            (Some(token), Some(answered)) if call.outcome.refuses("NOT_HOLDER") => {
                tenures.entry(token).or_default().ended_by((answered, line));
            }
            _ => promise(tenures, call.invoked_ns, line, &call.outcome),
        },
        Record::Release(call) if !refused => {
            let found = call.outcome.ok().map(|answer| answer.was_held);
            let tenure = tenures.entry(call.token).or_default();
            tenure.give_up(&call.client, call.invoked_ns, call.answered_ns, line, found);
        }
        Record::Cancel(call) if !refused => {
            let Some(token) = token_of.get(call.request_id.as_str()) else { return };
            let found = call.outcome.ok().map(|answer| answer.was_live);
            let tenure = tenures.entry(*token).or_default();
            tenure.give_up(&call.client, call.invoked_ns, call.answered_ns, line, found);
        }
        Record::Get(call) => {
            if let Some(token) = call.outcome.ok().and_then(|seen| seen.token) {
                tenures.entry(token).or_default().alive_at((call.invoked_ns, line));
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
    let Some(token) = claim.token else { return };
    let tenure = tenures.entry(token).or_default();
    tenure.alive_at((invoked_ns, line));
    let Some(valid_for_ms) = claim.valid_for_ms else { return };
    let until = invoked_ns.saturating_add(surely_valid_ns(valid_for_ms));
    tenure.promised = tenure.promised.max(Some((until, line)));
}

/// A lease had ended when a later one of the same resource was known.
fn note_successors(grants: &BTreeMap<Token, Grant<'_>>, tenures: &mut BTreeMap<Token, Tenure<'_>>) {
    let mut next: BTreeMap<&str, At> = BTreeMap::new();
    for grant in grants.values().rev() {
        let known = (grant.known_ns, grant.known_line);
        let first = next.entry(grant.resource).or_insert((u64::MAX, 0));
        if first.0 < u64::MAX {
            tenures.entry(grant.token).or_default().ended_by(*first);
        }
        *first = known.min(*first);
    }
}

/// Whatever was granted before a read that found the resource free had ended when it was answered.
fn note_free_reads(
    history: &History,
    grants: &BTreeMap<Token, Grant<'_>>,
    tenures: &mut BTreeMap<Token, Tenure<'_>>,
) {
    let mut known: BTreeMap<&str, Vec<(u64, Token)>> = BTreeMap::new();
    for grant in grants.values() {
        known.entry(grant.resource).or_default().push((grant.known_ns, grant.token));
    }
    let known: BTreeMap<&str, Highest<Token>> =
        known.into_iter().map(|(resource, known)| (resource, Highest::new(known))).collect();
    for line in &history.lines {
        let Record::Get(call) = &line.record else { continue };
        let (Some(seen), Some(answered)) = (call.outcome.ok(), call.answered_ns) else { continue };
        let before = known.get(call.resource.as_str());
        let last = before.and_then(|known| known.before(call.invoked_ns));
        if let (None, Some(token)) = (seen.token, last) {
            tenures.entry(token).or_default().ended_by((answered, line.number));
        }
    }
}
