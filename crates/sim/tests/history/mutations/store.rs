//! A store that accepts, refuses or forgets wrongly.

use leasehold_sim::history::Property;
use leasehold_sim::history::record::{Entry, Outcome, Record, Refused, Write, Written};

use super::{Mutation, pairs, pick};

pub fn all() -> Vec<Mutation> {
    use Property as P;
    let of = |name, noticed_by, apply| Mutation { name, noticed_by, apply };
    vec![
        of("a stale write is accepted", P::S5FencedStore, accept_stale),
        of("a late duplicate is accepted", P::S5FencedStore, accept_late_duplicate),
        of("a write is refused for nothing", P::S5FencedStore, refuse_for_nothing),
        of("a token is accepted on another resource", P::S5FencedStore, wrong_resource),
        of("an acknowledged write is lost", P::S5FencedStore, lose_key),
        of("an older value comes back", P::S5FencedStore, old_value),
        of("a value is read that nobody wrote", P::S5FencedStore, invent_value),
        of("a refused write is read", P::S5FencedStore, refuse_read_write),
        of("an increment is lost", P::S6EndToEnd, lose_increment),
        of("an increment counts twice", P::S6EndToEnd, count_twice),
        of("a write is applied twice", P::S7Idempotence, apply_twice),
    ]
}

fn writes(records: &[Record]) -> Vec<(usize, Write)> {
    let writes = (0..).zip(records).filter_map(|(at, record)| match record {
        Record::Write(write) => Some((at, write.clone())),
        _ => None,
    });
    writes.collect()
}

fn accepted(records: &[Record]) -> Vec<(usize, Write)> {
    let mut writes = writes(records);
    writes.retain(|(_, write)| write.outcome.ok().is_some());
    writes
}

fn last_revision(records: &[Record]) -> u64 {
    let accepted = accepted(records).into_iter();
    let revisions = accepted.filter_map(|(_, write)| Some(write.outcome.ok()?.revision));
    revisions.max().unwrap_or(0)
}

fn is_after(one: &Write, next: &Write) -> bool {
    one.resource == next.resource && one.answered_ns < Some(next.invoked_ns)
}

fn accept(records: &mut [Record], at: usize) -> bool {
    let revision = last_revision(records) + 1;
    let Record::Write(write) = &mut records[at] else { return false };
    write.outcome = Outcome::Ok(Written { revision });
    true
}

fn accept_stale(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let refused = |write: &Write| write.outcome.refused().is_some();
    let places = pairs(&accepted(records), &writes(records), |(_, one), (_, stale)| {
        is_after(one, stale) && stale.token < one.token && refused(stale)
    });
    let Some((_, stale)) = pick(places, random) else { return false };
    accept(records, stale.0)
}

fn accept_late_duplicate(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let accepted = accepted(records);
    let places = pairs(&accepted, &accepted, |(_, early), (_, late)| {
        is_after(early, late) && early.token == late.token && early.sequence < late.sequence
    });
    let Some((early, late)) = pick(places, random) else { return false };
    let answered = late.1.answered_ns.unwrap_or(0);
    let (invoked_ns, answered_ns) = (answered + 1, Some(answered + 2));
    records.push(Record::Write(Write { invoked_ns, answered_ns, ..early.1 }));
    true
}

fn refuse_for_nothing(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let mut places = accepted(records);
    let largest = |write: &Write| {
        records.iter().all(|record| match record {
            Record::Write(other) => other.resource != write.resource || other.token <= write.token,
            Record::Read(other) => {
                other.resource != write.resource || other.token.is_none_or(|t| t <= write.token)
            }
            _ => true,
        })
    };
    places.retain(|(_, write)| largest(write));
    let Some((at, _)) = pick(places, random) else { return false };
    if let Record::Write(write) = &mut records[at] {
        write.outcome = Outcome::Refused(Refused::because("STALE_TOKEN"));
    }
    true
}

fn wrong_resource(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some((at, _)) = pick(accepted(records), random) else { return false };
    if let Record::Write(write) = &mut records[at] {
        write.resource = "elsewhere".into();
    }
    true
}

/// Reads of the counter that found something, each with an acknowledged increment before it.
fn counter_reads(records: &[Record]) -> Vec<usize> {
    let appended = accepted(records);
    let found = |at: &usize| {
        let Record::Read(read) = &records[*at] else { return false };
        let has_entry = read.outcome.ok().is_some_and(|found| found.entry.is_some());
        let before = |write: &Write| {
            write.resource == read.resource
                && write.mutations[0].key() == read.key
                && write.answered_ns < Some(read.invoked_ns)
        };
        has_entry && read.key == "ids" && appended.iter().any(|(_, write)| before(write))
    };
    (0..records.len()).filter(found).collect()
}

fn set_entry(record: &mut Record, entry: Option<Entry>) {
    if let Record::Read(read) = record
        && let Outcome::Ok(found) = &mut read.outcome
    {
        found.entry = entry;
    }
}

fn lose_key(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some(at) = pick(counter_reads(records), random) else { return false };
    set_entry(&mut records[at], None);
    true
}

/// A read finds what an earlier write left, although a later one was acknowledged before.
fn old_value(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let reads: Vec<(usize, String, u64, u64)> = (0..)
        .zip(records.iter())
        .filter_map(|(at, record)| {
            let Record::Read(read) = record else { return None };
            let version = read.outcome.ok()?.entry.as_ref()?.version;
            Some((at, format!("{}/{}", read.resource, read.key), version, read.invoked_ns))
        })
        .collect();
    let acknowledged: Vec<(u64, u64)> = accepted(records)
        .into_iter()
        .filter_map(|(_, write)| Some((write.outcome.ok()?.revision, write.answered_ns?)))
        .collect();
    let places = pairs(&reads, &reads, |old, new| {
        let in_time = |(revision, answered): &(u64, u64)| *revision == new.2 && *answered < new.3;
        old.1 == new.1 && old.2 < new.2 && acknowledged.iter().any(in_time)
    });
    let Some((old, new)) = pick(places, random) else { return false };
    let Record::Read(read) = &records[old.0] else { return false };
    let entry = read.outcome.ok().and_then(|found| found.entry.clone());
    set_entry(&mut records[new.0], entry);
    true
}

fn invent_value(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let places: Vec<&mut Entry> = records
        .iter_mut()
        .filter_map(|record| match record {
            Record::Read(read) => match &mut read.outcome {
                Outcome::Ok(found) => found.entry.as_mut(),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let Some(entry) = pick(places, random) else { return false };
    entry.value.push_str("and more");
    true
}

/// Every message of a write whose value was read later is answered with a definite no.
fn refuse_read_write(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let versions: Vec<u64> = records
        .iter()
        .filter_map(|record| match record {
            Record::Read(read) => Some(read.outcome.ok()?.entry.as_ref()?.version),
            _ => None,
        })
        .collect();
    let mut places = accepted(records);
    places.retain(|(_, write)| {
        write.outcome.ok().is_some_and(|written| versions.contains(&written.revision))
    });
    let Some((_, chosen)) = pick(places, random) else { return false };
    for record in records {
        if let Record::Write(write) = record
            && (write.token, write.sequence) == (chosen.token, chosen.sequence)
        {
            write.outcome = Outcome::Refused(Refused::because("VERSION_MISMATCH"));
        }
    }
    true
}

fn acknowledged_ids(records: &[Record]) -> Vec<String> {
    let ids = records.iter().filter_map(|record| match record {
        Record::Increment(one) => one.outcome.ok().map(|_| one.id.clone()),
        _ => None,
    });
    ids.collect()
}

fn change_ids(records: &mut [Record], change: impl Fn(&mut Vec<String>) -> bool) -> bool {
    records.iter_mut().any(|record| {
        let Record::Total(total) = record else { return false };
        let Some(ids) = &mut total.ids else { return false };
        let changed = change(ids);
        total.value = ids.len() as u64;
        changed
    })
}

fn lose_increment(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some(id) = pick(acknowledged_ids(records), random) else { return false };
    change_ids(records, |ids| {
        let at = ids.iter().position(|other| *other == id);
        at.map(|at| ids.remove(at)).is_some()
    })
}

fn count_twice(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some(id) = pick(acknowledged_ids(records), random) else { return false };
    change_ids(records, |ids| {
        let is_there = ids.contains(&id);
        if is_there {
            ids.push(id.clone());
        }
        is_there
    })
}

fn apply_twice(records: &mut Vec<Record>, random: &mut fastrand::Rng) -> bool {
    let Some((at, _)) = pick(accepted(records), random) else { return false };
    let mut again = records[at].clone();
    let revision = last_revision(records) + 1;
    if let Record::Write(write) = &mut again {
        write.outcome = Outcome::Ok(Written { revision });
    }
    records.push(again);
    true
}
