//! The leases that a session itself gave back.
//!
//! Their ends are answers on the same stream, so they are not pushed as well: of a client that takes a
//! lease and gives it back, every fifth message would be one that it knows already. Pushes are hints; one that
//! is left out where the answer was lost is made up for by the repeated release.

use std::collections::VecDeque;

use hashbrown::HashSet;
use leasehold_types::{EndReason, Event, EventKind, FencingToken};

/// Tokens that are remembered. Most are forgotten at once, when the end is told; those of leases that
/// this session does not follow, or that had ended before, are forgotten when others have come.
const TOKENS_MAX: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct GivenBack {
    tokens: HashSet<FencingToken>,
    /// The oldest first, with some that are forgotten.
    order: VecDeque<FencingToken>,
}

impl GivenBack {
    /// A release is under way.
    pub(super) fn note(&mut self, token: FencingToken) {
        if !self.tokens.insert(token) {
            return;
        }
        self.order.push_back(token);
        if self.order.len() > TOKENS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }

    /// Whether the event is the end that a release of this session made. True once.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        match event.kind {
            EventKind::Ended { token: Some(token), why: EndReason::Released } => {
                self.tokens.remove(&token)
            }
            EventKind::Ended { .. } | EventKind::Granted { .. } | EventKind::Queued { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_types::{Holder, LeaseTime, RequestId, ResourceName, Revision};

    fn token(number: u64) -> FencingToken {
        FencingToken::new(number).expect("a token")
    }

    fn ended(number: u64, why: EndReason) -> Event {
        Event {
            revision: Revision(number),
            at: LeaseTime(0),
            resource: ResourceName::new("r").expect("a name"),
            holder: Holder::new("h").expect("a holder"),
            request: RequestId::from_bytes([0; 16]),
            kind: EventKind::Ended { token: Some(token(number)), why },
        }
    }

    #[test]
    fn only_a_release_of_that_very_lease_is_its_own_end_and_once() {
        let mut given_back = GivenBack::default();
        given_back.note(token(1));
        assert!(!given_back.take(&ended(1, EndReason::Expired)));
        assert!(!given_back.take(&ended(2, EndReason::Released)));
        assert!(given_back.take(&ended(1, EndReason::Released)));
        assert!(!given_back.take(&ended(1, EndReason::Released)));
    }

    #[test]
    fn what_never_ends_does_not_pile_up() {
        let mut given_back = GivenBack::default();
        (1..=20_000).for_each(|number| given_back.note(token(number)));
        assert_eq!((given_back.tokens.len(), given_back.order.len()), (TOKENS_MAX, TOKENS_MAX));
        assert!(given_back.take(&ended(20_000, EndReason::Released)));
        assert!(!given_back.take(&ended(1, EndReason::Released)));
    }
}
