//! Good histories made bad, each in one way, each way with the property that must notice.

mod claims;
mod order;
mod store;

use leasehold_sim::history::Property;
use leasehold_sim::history::record::{Record, Token};

/// One way to make a good history bad. It says false where the history has no place for it.
pub struct Mutation {
    pub name: &'static str,
    pub noticed_by: Property,
    pub apply: fn(&mut Vec<Record>, &mut fastrand::Rng) -> bool,
}

pub fn all() -> Vec<Mutation> {
    [claims::all(), order::all(), store::all()].into_iter().flatten().collect()
}

/// One of the places where something can be done.
fn pick<T>(mut places: Vec<T>, random: &mut fastrand::Rng) -> Option<T> {
    if places.is_empty() {
        return None;
    }
    Some(places.swap_remove(random.usize(0..places.len())))
}

/// The position, token and request id of each acquire that was answered with a lease.
fn granted(records: &[Record]) -> Vec<(usize, Token, String)> {
    let lines = records.iter().enumerate();
    let granted = lines.filter_map(|(at, record)| {
        let Record::Acquire(call) = record else { return None };
        Some((at, call.outcome.ok()?.token?, call.request_id.clone()))
    });
    granted.collect()
}

/// All pairs of two lists that fit.
fn pairs<A: Clone, B: Clone>(one: &[A], other: &[B], fits: impl Fn(&A, &B) -> bool) -> Vec<(A, B)> {
    let each = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    each.filter(|(a, b)| fits(a, b)).map(|(a, b)| (a.clone(), b.clone())).collect()
}
