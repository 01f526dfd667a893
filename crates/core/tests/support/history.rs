//! What no single state can show: the invariants that speak of history, watched over outcomes and
//! events as a client or a watch would see them.

use std::collections::BTreeMap;

use leasehold_core::{Answer, Applied, ClaimAnswer, Event, EventKind, LeaseState, Outcome};
use leasehold_types::{EndReason, FencingToken, LeaseTime, RequestId, ResourceName, Revision};

#[derive(Default)]
pub(crate) struct History {
    revision: Revision,
    last_token: Option<FencingToken>,
    next_token: Option<FencingToken>,
    holders: BTreeMap<ResourceName, RequestId>,
    queues: BTreeMap<ResourceName, Vec<RequestId>>,
    granted: BTreeMap<RequestId, LeaseTime>,
    ended: Vec<(RequestId, LeaseTime)>,
    /// Until when each live claim was promised to last, in any answer.
    promised: BTreeMap<RequestId, LeaseTime>,
}

impl History {
    /// Watches one batch; `state` is as it was after it.
    pub(crate) fn watch(&mut self, applied: &Applied, state: &LeaseState) {
        self.watch_revisions(applied, state);
        let mut outcomes: Vec<&Outcome> = applied.outcomes.iter().collect();
        outcomes.sort_by_key(|outcome| outcome.revision);
        let mut outcomes = outcomes.into_iter().peekable();
        for event in &applied.events {
            while let Some(outcome) = outcomes.next_if(|outcome| outcome.revision < event.revision)
            {
                self.watch_promises(outcome);
            }
            self.watch_event(event, state);
        }
        outcomes.for_each(|outcome| self.watch_promises(outcome));
        assert!(self.next_token <= Some(state.next_token()), "I2: next_token only grows");
        assert!(self.last_token < Some(state.next_token()), "I2: issued tokens are below it");
        self.next_token = Some(state.next_token());
    }

    fn watch_revisions(&mut self, applied: &Applied, state: &LeaseState) {
        let of_events = applied.events.iter().map(|event| event.revision);
        let ordered = std::iter::once(self.revision).chain(of_events.clone());
        assert!(ordered.is_sorted_by(|a, b| a < b), "every event has a revision of its own");
        let of_outcomes = applied.outcomes.iter().map(|outcome| outcome.revision);
        assert!(of_outcomes.chain(of_events).all(|revision| revision <= state.revision()));
        self.revision = state.revision();
    }

    fn watch_promises(&mut self, outcome: &Outcome) {
        let claims: Vec<&ClaimAnswer> = match &outcome.answer {
            Answer::Claim(claim) => vec![claim],
            Answer::Renewed(items) => items.iter().flatten().collect(),
            _ => Vec::new(),
        };
        for claim in claims {
            let promised = self.promised.entry(claim.request).or_default();
            *promised = outcome.at.plus_ms(claim.valid_for_ms).max(*promised);
        }
    }

    fn watch_event(&mut self, event: &Event, state: &LeaseState) {
        let queue = self.queues.entry(event.resource.clone()).or_default();
        match &event.kind {
            EventKind::Queued { place, .. } => {
                queue.push(event.request);
                assert_eq!(*place, queue.len() as u64, "a claim joins at the end");
                assert!(
                    self.holders.contains_key(&event.resource),
                    "nobody waits for what is free"
                );
            }
            EventKind::Granted { token, deadline, .. } => {
                let first = if queue.is_empty() { event.request } else { queue.remove(0) };
                assert_eq!(event.request, first, "I7: grants come in order of arrival");
                assert!(self.last_token < Some(*token), "I2, I6: a later grant has a larger token");
                assert!(*deadline > event.at, "nothing dead is granted");
                self.last_token = Some(*token);
                let before = self.holders.insert(event.resource.clone(), event.request);
                assert_eq!(before, None, "I6: at most one holder");
                self.watch_grant_of_id(event, state);
            }
            EventKind::Ended { token, why } => {
                match token {
                    Some(_) => {
                        let held = self.holders.remove(&event.resource);
                        assert_eq!(held, Some(event.request), "only what is held ends as a lease");
                    }
                    None => queue.retain(|request| *request != event.request),
                }
                let promised = self.promised.remove(&event.request).unwrap_or_default();
                if *why == EndReason::Expired {
                    assert!(promised <= event.at, "C1: no claim expires before any answer said");
                }
                self.ended.push((event.request, event.at));
            }
        }
    }

    fn watch_grant_of_id(&mut self, event: &Event, state: &LeaseState) {
        if self.granted.insert(event.request, event.at).is_none() {
            return;
        }
        let ended = self.ended.iter().rposition(|(request, _)| *request == event.request);
        let index = ended.expect("I4: what was granted must have ended before it is granted again");
        let forgotten_by_time =
            event.at.since_ms(self.ended[index].1) >= state.settings().ended_memory_ms;
        // Cancelled strangers count too, and are not in the events: at least the ends are known.
        let forgotten_by_number = state.ended_len() as u64 >= state.settings().ended_memory_max;
        assert!(
            forgotten_by_time || forgotten_by_number,
            "I4: a remembered id is not granted again"
        );
    }
}
