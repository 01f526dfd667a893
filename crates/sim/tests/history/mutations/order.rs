//! A cluster, or a recorder, that turns time back.

use leasehold_sim::history::Property;
use leasehold_sim::history::record::{Outcome, Record, Standing, Token};

use super::super::generator::span;
use super::{Mutation, granted, pairs, pick};

pub fn all() -> Vec<Mutation> {
    use Property as P;
    let of = |name, noticed_by, apply| Mutation { name, noticed_by, apply };
    vec![
        of("two grants change tokens", P::S2RealTime, swap_tokens),
        of("an answer comes before its question", P::RevisionOrder, answer_before_question),
        of("two calls change revisions", P::RevisionOrder, swap_revisions),
        of("an event comes before its cause", P::RevisionOrder, event_before_cause),
        of("a read is older than what was answered before", P::RevisionOrder, stale_read),
    ]
}

/// Consistently, on every line: only the order of times tells.
fn swap_tokens(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let granted = granted(records);
    let asked = |request: &str| {
        let calls = records.iter().filter_map(|record| match record {
            Record::Acquire(call) if call.request_id == request => Some(call.invoked_ns),
            _ => None,
        });
        calls.min().unwrap_or(0)
    };
    let places = pairs(&granted, &granted, |one, next| {
        span(&records[one.0]).answered_ns < asked(&next.2) && one.1 < next.1
    });
    let Some((one, next)) = pick(places, random) else { return false };
    let swap = |token: &mut Token| {
        if *token == one.1 {
            *token = next.1;
        } else if *token == next.1 {
            *token = one.1;
        }
    };
    records.iter_mut().for_each(|record| each_token(record, &swap));
    true
}

fn each_token(record: &mut Record, change: &impl Fn(&mut Token)) {
    let standing = |outcome: &mut Outcome<Standing>| {
        if let Outcome::Ok(claim) = outcome {
            claim.token.iter_mut().for_each(change);
        }
    };
    match record {
        Record::Acquire(call) => standing(&mut call.outcome),
        Record::Renew(call) => {
            call.token.iter_mut().for_each(change);
            standing(&mut call.outcome);
        }
        Record::Release(call) => change(&mut call.token),
        Record::Cancel(call) => {
            if let Outcome::Ok(answer) = &mut call.outcome {
                answer.released_token.iter_mut().for_each(change);
            }
        }
        Record::Get(call) => {
            if let Outcome::Ok(seen) = &mut call.outcome {
                seen.token.iter_mut().for_each(change);
            }
        }
        Record::List(call) => {
            if let Outcome::Ok(page) = &mut call.outcome {
                page.resources.iter_mut().for_each(|held| change(&mut held.token));
            }
        }
        Record::Event(event) => event.token.iter_mut().for_each(change),
        Record::Belief(belief) => change(&mut belief.token),
        Record::Write(call) => change(&mut call.token),
        Record::Read(call) => call.token.iter_mut().for_each(change),
        _ => {}
    }
}

fn answer_before_question(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let places: Vec<&mut Record> =
        records.iter_mut().filter(|record| span(record).answered_ns < u64::MAX).collect();
    let Some(record) = pick(places, random) else { return false };
    let before = span(record).invoked_ns.checked_sub(1);
    match record {
        Record::Acquire(call) => call.answered_ns = before,
        Record::Renew(call) => call.answered_ns = before,
        Record::Release(call) => call.answered_ns = before,
        Record::Get(call) => call.answered_ns = before,
        Record::Write(call) => call.answered_ns = before,
        Record::Read(call) => call.answered_ns = before,
        _ => return false,
    }
    before.is_some()
}

fn revision(record: &mut Record) -> Option<&mut u64> {
    fn standing(outcome: &mut Outcome<Standing>) -> Option<&mut u64> {
        match outcome {
            Outcome::Ok(claim) => claim.revision.as_mut(),
            _ => None,
        }
    }
    match record {
        Record::Acquire(call) => standing(&mut call.outcome),
        Record::Renew(call) => standing(&mut call.outcome),
        Record::Release(call) => match &mut call.outcome {
            Outcome::Ok(answer) => answer.revision.as_mut(),
            _ => None,
        },
        Record::Get(call) => match &mut call.outcome {
            Outcome::Ok(seen) => seen.revision.as_mut(),
            _ => None,
        },
        _ => None,
    }
}

fn revisions(records: &mut [Record]) -> Vec<(usize, u64, u64, u64)> {
    let known = records.iter_mut().enumerate().filter_map(|(at, record)| {
        let span = span(record);
        Some((at, *revision(record)?, span.invoked_ns, span.answered_ns))
    });
    known.collect()
}

fn swap_revisions(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let known = revisions(records);
    let places = pairs(&known, &known, |one, next| one.3 < next.2 && one.1 < next.1);
    let Some((one, next)) = pick(places, random) else { return false };
    for (at, with) in [(one.0, next.1), (next.0, one.1)] {
        if let Some(revision) = revision(&mut records[at]) {
            *revision = with;
        }
    }
    true
}

fn event_before_cause(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let grants = granted(records);
    let first_asked = |request: &str| {
        let calls = records.iter().filter_map(|record| match record {
            Record::Acquire(call) if call.request_id == request => Some(call.invoked_ns),
            _ => None,
        });
        calls.min()
    };
    let Some((_, _, request)) = pick(grants, random) else { return false };
    let Some(before) = first_asked(&request).and_then(|asked| asked.checked_sub(1)) else {
        return false;
    };
    for record in records {
        if let Record::Event(event) = record
            && event.request_id == request
        {
            event.received_ns = before;
            return true;
        }
    }
    false
}

fn stale_read(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let known = revisions(records);
    let reads: Vec<_> =
        known.iter().filter(|known| matches!(records[known.0], Record::Get(_))).copied().collect();
    let places = pairs(&known, &reads, |one, read| {
        one.3 < read.2 && one.0 != read.0 && one.1 > 1 && one.1 <= read.1
    });
    let Some((one, read)) = pick(places, random) else { return false };
    if let Some(revision) = revision(&mut records[read.0]) {
        *revision = one.1 - 1;
    }
    true
}
