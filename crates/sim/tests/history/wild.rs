//! Histories disturbed without a plan: one answer or one time of one call becomes another.
//!
//! Not among it, since only the search can tell: a claim of which the `acquire` is missing. The fast
//! checks take it for that of somebody who is not recorded.

use leasehold_sim::history::record::{Outcome, Record, Refused, Standing, Token};

use super::generator::MS;

/// Changes one line; false where the chosen one has nothing to change.
pub fn disturb(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let tokens: Vec<Token> = records.iter().filter_map(token).collect();
    let calls: Vec<usize> = (0..records.len()).filter(|at| is_of_a_claim(&records[*at])).collect();
    let Some(at) = random.choice(&calls).copied() else { return false };
    let Some(other) = random.choice(&tokens).copied() else { return false };
    match random.u8(0..5) {
        0 => move_in_time(&mut records[at], random),
        1 => {
            let call = records.remove(at);
            matches!(call, Record::Release(_) | Record::Cancel(_))
        }
        2 => refuse(&mut records[at]),
        _ => say_otherwise(&mut records[at], other),
    }
}

fn is_of_a_claim(record: &Record) -> bool {
    let (acquire, renew) =
        (matches!(record, Record::Acquire(_)), matches!(record, Record::Renew(_)));
    let ends = matches!(record, Record::Release(_) | Record::Cancel(_));
    acquire || renew || ends || matches!(record, Record::Get(_))
}

fn token(record: &Record) -> Option<Token> {
    match record {
        Record::Acquire(call) => call.outcome.ok()?.token,
        _ => None,
    }
}

/// Earlier or later by up to three seconds, as long as it was before.
fn move_in_time(record: &mut Record, random: &mut fastrand::Rng) -> bool {
    let by = random.u64(0..3_000 * MS);
    let back = random.bool();
    let moved = |ns: u64| if back { ns.saturating_sub(by) } else { ns + by };
    let (invoked_ns, answered_ns) = match record {
        Record::Acquire(call) => (&mut call.invoked_ns, &mut call.answered_ns),
        Record::Renew(call) => (&mut call.invoked_ns, &mut call.answered_ns),
        Record::Release(call) => (&mut call.invoked_ns, &mut call.answered_ns),
        Record::Cancel(call) => (&mut call.invoked_ns, &mut call.answered_ns),
        Record::Get(call) => (&mut call.invoked_ns, &mut call.answered_ns),
        _ => return false,
    };
    *invoked_ns = moved(*invoked_ns);
    *answered_ns = answered_ns.map(moved);
    true
}

fn refuse(record: &mut Record) -> bool {
    let no = |reason: &str| Refused::because(reason);
    match record {
        Record::Renew(call) => call.outcome = Outcome::Refused(no("NOT_HOLDER")),
        Record::Acquire(call) => {
            let waited = call.wait_ms > 0;
            if call.outcome.ok().is_none() || !waited {
                return false;
            }
            call.outcome = Outcome::Refused(no("WAIT_OVER"));
        }
        _ => return false,
    }
    true
}

fn say_otherwise(record: &mut Record, other: Token) -> bool {
    let hold = |outcome: &mut Outcome<Standing>| {
        let Outcome::Ok(claim) = outcome else { return false };
        claim.token = Some(other);
        true
    };
    match record {
        Record::Acquire(call) => hold(&mut call.outcome),
        Record::Renew(call) => hold(&mut call.outcome),
        Record::Release(call) => match &mut call.outcome {
            Outcome::Ok(answer) => {
                answer.was_held = !answer.was_held;
                true
            }
            _ => false,
        },
        Record::Cancel(call) => match &mut call.outcome {
            Outcome::Ok(answer) => {
                answer.was_live = !answer.was_live;
                answer.released_token = answer.was_live.then_some(other);
                true
            }
            _ => false,
        },
        Record::Get(call) => match &mut call.outcome {
            Outcome::Ok(seen) => {
                seen.token = if seen.token == Some(other) { None } else { Some(other) };
                true
            }
            _ => false,
        },
        _ => false,
    }
}
