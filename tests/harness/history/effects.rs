//! Grants and ends that were answered, and those that were seen.

use std::collections::HashSet;

use leasehold_sim::history::record::{EventKind, Record, Token};

/// A lease, and whether it is its end.
type Effect = (Token, bool);

#[derive(Default)]
pub(super) struct Effects {
    answered: HashSet<Effect>,
    seen: HashSet<Effect>,
}

impl Effects {
    /// Takes from a line what it tells of effects.
    pub(super) fn note(&mut self, line: &Record) {
        let answered = match line {
            Record::Acquire(call) => {
                call.outcome.ok().and_then(|claim| Some((claim.token?, false)))
            }
            Record::Release(call) => {
                let ended = call.outcome.ok().filter(|answer| answer.was_held);
                ended.map(|_| (call.token, true))
            }
            Record::Cancel(call) => {
                let token = call.outcome.ok().and_then(|answer| answer.released_token);
                token.map(|token| (token, true))
            }
            _ => None,
        };
        self.answered.extend(answered);
        if let Record::Event(event) = line
            && let Some(token) = event.token
        {
            let ends = matches!(event.event, EventKind::Released | EventKind::Expired);
            self.seen.insert((token, ends));
        }
    }

    /// Whether something was answered that nobody has seen yet.
    pub(super) fn are_unseen(&self) -> bool {
        !self.answered.is_subset(&self.seen)
    }
}
