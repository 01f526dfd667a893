//! A cluster that grants, ends or answers wrongly.

use std::collections::BTreeMap;

use leasehold_sim::history::Property;
use leasehold_sim::history::record::{
    Cancel, Cancelled, EventKind, Outcome, Record, Refused, Token,
};

use super::{Mutation, granted, pairs, pick};

pub fn all() -> Vec<Mutation> {
    use Property as P;
    let of = |name, noticed_by, apply| Mutation { name, noticed_by, apply };
    vec![
        of("one token for two grants", P::S1Uniqueness, duplicate_token),
        of("a grant's event is dropped", P::S3Exclusion, drop_grant_event),
        of("an end's event is dropped", P::S3Exclusion, drop_end_event),
        of("a lease is renewed after the next was granted", P::S3Exclusion, renew_too_late),
        of("a refusal names a lease that had ended", P::S3Exclusion, held_by_the_past),
        of("a token is known before it was asked for", P::S2RealTime, held_by_the_future),
        of("two watches see different events", P::S3Exclusion, change_one_copy),
        of("two beliefs overlap", P::S4Beliefs, overlap_beliefs),
        of("a belief outlives its release", P::S4Beliefs, believe_past_release),
        of("an answer promises too long", P::S4Beliefs, promise_too_long),
        of("one request id is answered with two tokens", P::S7Idempotence, second_token),
        of("a refused claim was granted", P::S8Definite, refuse_granted),
        of("a cancelled claim is granted", P::S8Definite, cancel_before_grant),
        of("an answered grant is seen by no watch", P::S8Definite, drop_grant_event),
        of("a read tells an older holder", P::S9Reads, read_older_holder),
        of("a read finds a held resource free", P::S9Reads, read_free),
        of("a list lacks what is held", P::S9Reads, list_lacks_one),
        of("a later waiter is granted first", P::S10Fifo, later_waiter_first),
    ]
}

fn duplicate_token(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let granted = granted(records);
    let places = pairs(&granted, &granted, |one, other| one.1 != other.1);
    let Some((one, other)) = pick(places, random) else { return false };
    set_token(&mut records[other.0], one.1)
}

fn set_token(record: &mut Record, token: Token) -> bool {
    let Record::Acquire(call) = record else { return false };
    let Outcome::Ok(claim) = &mut call.outcome else { return false };
    claim.token = Some(token);
    true
}

fn tokens_of_events(records: &[Record], is_grant: bool) -> Vec<(String, Token)> {
    let events = records.iter().filter_map(|record| {
        let Record::Event(event) = record else { return None };
        let fits = (event.event == EventKind::Granted) == is_grant;
        fits.then_some((event.resource.clone(), event.token?))
    });
    events.collect()
}

fn drop_event(records: &mut Vec<Record>, token: Token, is_grant: bool) -> bool {
    let before = records.len();
    records.retain(|record| {
        let Record::Event(event) = record else { return true };
        event.token != Some(token) || (event.event == EventKind::Granted) != is_grant
    });
    records.len() < before
}

fn drop_grant_event(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let answered: Vec<Token> = granted(records).into_iter().map(|grant| grant.1).collect();
    let Some(token) = pick(answered, random) else { return false };
    drop_event(records, token, true)
}

fn drop_end_event(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let (grants, ends) = (tokens_of_events(records, true), tokens_of_events(records, false));
    let followed =
        |end: &(String, Token), next: &(String, Token)| end.0 == next.0 && end.1 < next.1;
    let places = pairs(&ends, &grants, followed);
    let Some((end, _)) = pick(places, random) else { return false };
    drop_event(records, end.1, false)
}

fn renew_too_late(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let granted: Vec<(String, Token, u64)> = records
        .iter()
        .filter_map(|record| {
            let Record::Acquire(call) = record else { return None };
            let claim = call.outcome.ok()?;
            Some((call.resource.clone(), claim.token?, claim.revision?))
        })
        .collect();
    let renewed: Vec<(usize, String, Token)> = (0..)
        .zip(records.iter())
        .filter_map(|(at, record)| {
            let Record::Renew(call) = record else { return None };
            Some((at, call.resource.clone(), call.outcome.ok()?.token?))
        })
        .collect();
    let places = pairs(&renewed, &granted, |renew, next| renew.1 == next.0 && renew.2 < next.1);
    let Some((renew, next)) = pick(places, random) else { return false };
    if let Record::Renew(call) = &mut records[renew.0]
        && let Outcome::Ok(claim) = &mut call.outcome
    {
        claim.revision = Some(next.2 + 1);
    }
    true
}

/// Those who were refused because a lease stood in the way: where, when, and on what.
fn refused(records: &[Record]) -> Vec<(usize, u64, u64, String)> {
    let lines = records.iter().enumerate();
    let refused = lines.filter_map(|(at, record)| {
        let Record::Acquire(call) = record else { return None };
        call.outcome.refused()?.held_token?;
        Some((at, call.invoked_ns, call.answered_ns?, call.resource.clone()))
    });
    refused.collect()
}

fn name_holder(record: &mut Record, token: Token) -> bool {
    let Record::Acquire(call) = record else { return false };
    let Outcome::Refused(no) = &mut call.outcome else { return false };
    (no.held_token, no.revision) = (Some(token), None);
    true
}

/// By a lease of which a release had found, before the call was made, that it was over.
fn held_by_the_past(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let over = records.iter().filter_map(|record| {
        let Record::Release(call) = record else { return None };
        let is_over = call.outcome.ok().is_some_and(|answer| !answer.was_held);
        is_over.then_some((call.resource.clone(), call.answered_ns?, call.token))
    });
    let over: Vec<(String, u64, Token)> = over.collect();
    let after = |one: &(usize, u64, u64, String), past: &(String, u64, Token)| {
        one.3 == past.0 && past.1 < one.1
    };
    let places = pairs(&refused(records), &over, after);
    let Some((refused, past)) = pick(places, random) else { return false };
    name_holder(&mut records[refused.0], past.2)
}

/// By a lease that was asked for after the call was answered.
fn held_by_the_future(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let mut asked: BTreeMap<String, u64> = BTreeMap::new();
    for record in records.iter() {
        if let Record::Acquire(call) = record {
            let first = asked.entry(call.request_id.clone()).or_insert(call.invoked_ns);
            *first = call.invoked_ns.min(*first);
        }
    }
    let later: Vec<(String, u64, Token)> = granted(records)
        .into_iter()
        .filter_map(|(at, token, request)| match &records[at] {
            Record::Acquire(call) => Some((call.resource.clone(), asked[&request], token)),
            _ => None,
        })
        .collect();
    let before = |one: &(usize, u64, u64, String), future: &(String, u64, Token)| {
        one.3 == future.0 && one.2 < future.1
    };
    let places = pairs(&refused(records), &later, before);
    let Some((refused, future)) = pick(places, random) else { return false };
    name_holder(&mut records[refused.0], future.2)
}

fn change_one_copy(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let copies = |record: &&mut Record| matches!(record, Record::Event(e) if e.client == "w2");
    let places: Vec<&mut Record> = records.iter_mut().filter(copies).collect();
    let Some(Record::Event(event)) = pick(places, random) else { return false };
    event.request_id = "somebody else".into();
    true
}

fn overlap_beliefs(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let beliefs: Vec<(usize, String, Token, u64)> = (0..)
        .zip(records.iter())
        .filter_map(|(at, record)| {
            let Record::Belief(belief) = record else { return None };
            Some((at, belief.resource.clone(), belief.token, belief.from_ns))
        })
        .collect();
    let places =
        pairs(&beliefs, &beliefs, |one, next| one.1 == next.1 && one.2 < next.2 && one.3 < next.3);
    let Some((one, next)) = pick(places, random) else { return false };
    if let Record::Belief(belief) = &mut records[one.0] {
        belief.until_ns = next.3 + 1;
    }
    true
}

fn believe_past_release(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let released: BTreeMap<Token, u64> = records
        .iter()
        .filter_map(|record| {
            let Record::Release(call) = record else { return None };
            call.outcome.refused().is_none().then_some((call.token, call.invoked_ns))
        })
        .collect();
    let places: Vec<&mut Record> = records
        .iter_mut()
        .filter(|record| {
            matches!(record, Record::Belief(belief) if released.contains_key(&belief.token))
        })
        .collect();
    let Some(Record::Belief(belief)) = pick(places, random) else { return false };
    belief.until_ns = released[&belief.token] + 1;
    true
}

/// Only of a lease that nobody gave up and that somebody else got afterwards.
fn promise_too_long(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let given_up: Vec<Token> = records
        .iter()
        .filter_map(|record| match record {
            Record::Release(call) => Some(call.token),
            _ => None,
        })
        .collect();
    let cancelled: Vec<String> = records
        .iter()
        .filter_map(|record| match record {
            Record::Cancel(call) => Some(call.request_id.clone()),
            _ => None,
        })
        .collect();
    let granted = granted(records);
    let resource = |at: usize| match &records[at] {
        Record::Acquire(call) => call.resource.clone(),
        _ => String::new(),
    };
    let places = pairs(&granted, &granted, |one, next| {
        one.1 < next.1
            && resource(one.0) == resource(next.0)
            && !given_up.contains(&one.1)
            && !cancelled.contains(&one.2)
    });
    let Some((one, _)) = pick(places, random) else { return false };
    if let Record::Acquire(call) = &mut records[one.0]
        && let Outcome::Ok(claim) = &mut call.outcome
    {
        claim.valid_for_ms = Some(86_400_000);
    }
    true
}

fn second_token(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some((at, token, _)) = pick(granted(records), random) else { return false };
    let mut again = records[at].clone();
    set_token(&mut again, Token::new(token.get() + 1_000).expect("not 0"));
    records.push(again);
    true
}

fn refuse_granted(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let mut messages: BTreeMap<String, usize> = BTreeMap::new();
    for record in records.iter() {
        if let Record::Acquire(call) = record {
            *messages.entry(call.request_id.clone()).or_default() += 1;
        }
    }
    let mut places = granted(records);
    places.retain(|(_, _, request)| messages[request] == 1);
    let Some((at, _, _)) = pick(places, random) else { return false };
    if let Record::Acquire(call) = &mut records[at] {
        call.outcome = Outcome::Refused(Refused::because("HELD"));
    }
    true
}

fn cancel_before_grant(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some((at, _, request_id)) = pick(granted(records), random) else { return false };
    let Record::Acquire(call) = &records[at] else { return false };
    let before = call.invoked_ns.saturating_sub(1_000);
    let nothing = Cancelled { was_live: false, released_token: None, revision: None };
    let cancel = Cancel {
        client: call.client.clone(),
        resource: call.resource.clone(),
        request_id,
        invoked_ns: before,
        answered_ns: Some(before),
        outcome: Outcome::Ok(nothing),
    };
    records.push(Record::Cancel(cancel));
    true
}

fn read_older_holder(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let granted = tokens_of_events(records, true);
    let read: Vec<(usize, String, Token)> = (0..)
        .zip(records.iter())
        .filter_map(|(at, record)| {
            let Record::Get(call) = record else { return None };
            Some((at, call.resource.clone(), call.outcome.ok()?.token?))
        })
        .collect();
    let places = pairs(&read, &granted, |read, older| read.1 == older.0 && older.1 < read.2);
    let Some((read, older)) = pick(places, random) else { return false };
    if let Record::Get(call) = &mut records[read.0]
        && let Outcome::Ok(seen) = &mut call.outcome
    {
        seen.token = Some(older.1);
    }
    true
}

fn read_free(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let renewed: Vec<(Token, u64)> = records
        .iter()
        .filter_map(|record| {
            let Record::Renew(call) = record else { return None };
            let claim = call.outcome.ok()?;
            Some((claim.token?, claim.revision?))
        })
        .collect();
    let places: Vec<&mut Record> = records
        .iter_mut()
        .filter(|record| {
            let Record::Get(call) = record else { return false };
            let Some(seen) = call.outcome.ok() else { return false };
            let Some(token) = seen.token else { return false };
            renewed.iter().any(|(of, at)| *of == token && Some(*at) > seen.revision)
        })
        .collect();
    let Some(Record::Get(call)) = pick(places, random) else { return false };
    if let Outcome::Ok(seen) = &mut call.outcome {
        seen.token = None;
    }
    true
}

fn list_lacks_one(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let places = records.iter_mut().filter_map(|record| {
        let Record::List(call) = record else { return None };
        let Outcome::Ok(page) = &mut call.outcome else { return None };
        (!page.resources.is_empty()).then_some(page)
    });
    let Some(page) = pick(places.collect(), random) else { return false };
    page.resources.remove(random.usize(0..page.resources.len()));
    true
}

/// Two that were queued together change places when they are granted.
fn later_waiter_first(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let revision = |request: &str, kind: EventKind| {
        records.iter().find_map(|record| match record {
            Record::Event(event) if event.request_id == request && event.event == kind => {
                Some(event.revision)
            }
            _ => None,
        })
    };
    let waited: Vec<(String, String, u64, u64)> = records
        .iter()
        .filter_map(|record| {
            let Record::Event(event) = record else { return None };
            let granted = revision(&event.request_id, EventKind::Granted)?;
            (event.event == EventKind::Queued).then(|| {
                (event.request_id.clone(), event.resource.clone(), event.revision, granted)
            })
        })
        .collect();
    let places = pairs(&waited, &waited, |one, next| {
        one.1 == next.1 && one.2 < next.2 && next.2 < one.3 && one.3 < next.3
    });
    let Some((one, next)) = pick(places, random) else { return false };
    for record in records {
        if let Record::Event(event) = record
            && event.event == EventKind::Granted
        {
            if event.request_id == one.0 {
                event.request_id = next.0.clone();
            } else if event.request_id == next.0 {
                event.request_id = one.0.clone();
            }
        }
    }
    true
}
