//! A full search for linearizability, on small histories, one resource at a time.
//!
//! Answers of calls alone, without revisions and events: is there any order of the calls, each between
//! its invocation and its answer, in which a sequential lease server would have given these answers? The
//! algorithm is Wing and Gong's (1993) with Lowe's memory of configurations already seen (2017): a bit
//! for each call and the state of the model. Resources are independent (Herlihy and Wing, 1990), so each
//! is searched alone. The search is exponential at worst, so it is bounded.
//!
//! The fast checks are stronger, since they know revisions, and this is simpler, since it knows a
//! server and nothing else. Where the search says no and the fast checks say nothing, the fast checks
//! have a hole; finding that is what the search is for. Two holes are known, and meant: a bare `HELD` or
//! `WAIT_OVER` of a resource that nobody can have held carries nothing to compare; and a claim that nobody in the
//! history asked for is taken, there, for that of somebody who is not recorded.

mod calls;
mod model;

use std::collections::{BTreeMap, HashSet};

use super::History;
use calls::{Call, Calls};
use model::State;

/// The most calls on one resource that are searched.
pub const CALLS_MAX: usize = 64;
/// The most configurations that are looked at for one resource.
pub const CONFIGURATIONS_MAX: usize = 200_000;

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none.
    NotLinearizable,
    /// More than [`CALLS_MAX`] calls, or [`CONFIGURATIONS_MAX`] configurations.
    GaveUp,
}

/// Searches every resource of a history.
pub fn search(history: &History) -> BTreeMap<String, Verdict> {
    let by_resource = calls::by_resource(history);
    by_resource
        .iter()
        .map(|(resource, calls)| ((*resource).to_owned(), search_one(calls)))
        .collect()
}

/// Which calls have begun to take effect, and what that made of the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Configuration {
    begun: u64,
    state: State,
}

fn search_one(calls: &Calls) -> Verdict {
    if calls.calls.len() > CALLS_MAX {
        return Verdict::GaveUp;
    }
    let mut seen: HashSet<Configuration> = HashSet::new();
    let mut stack = vec![Configuration { begun: 0, state: State::default() }];
    while let Some(here) = stack.pop() {
        if seen.contains(&here) {
            continue;
        }
        // No later call may take effect once the first of the outstanding answers has come.
        let Some(horizon) = first_outstanding_answer(calls, &here) else {
            return Verdict::Linearizable;
        };
        stack.extend(here.next(calls, horizon));
        seen.insert(here);
        if seen.len() > CONFIGURATIONS_MAX {
            return Verdict::GaveUp;
        }
    }
    Verdict::NotLinearizable
}

/// When the first of the calls that are not over was answered; `None` when all that were answered are
/// over.
fn first_outstanding_answer(calls: &Calls, here: &Configuration) -> Option<u64> {
    let outstanding = calls.calls.iter().enumerate().filter(|(at, call)| {
        let has_begun = here.begun & (1 << at) != 0;
        !has_begun || here.state.keeps_waiting(call)
    });
    let first = outstanding.map(|(_, call)| call.span.answered_ns).min();
    first.filter(|answered| *answered < u64::MAX)
}

impl Configuration {
    /// Every configuration one step on.
    fn next(&self, calls: &Calls, horizon: u64) -> Vec<Self> {
        let can_begin =
            |at: usize, call: &Call| self.begun & (1 << at) == 0 && call.span.invoked_ns <= horizon;
        let mut next = Vec::new();
        for (at, call) in calls.calls.iter().enumerate().filter(|(at, call)| can_begin(*at, call)) {
            let state = self.state.after(call, calls);
            next.extend(state.map(|state| Self { begun: self.begun | (1 << at), state }));
        }
        let ends = self.state.after_an_end(horizon, calls).into_iter();
        next.extend(ends.map(|state| Self { begun: self.begun, state }));
        next
    }
}
