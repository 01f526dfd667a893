//! The attempts of one session that are not answered yet.
//!
//! Renewals have a bound of their own: a client that floods its stream with acquires must still be
//! able to keep what it holds.

use leasehold_api::CheckedRelease;
use leasehold_api::pb::lease::v1::session_request::Command as Asked;
use leasehold_core::{Command, Outcome};
use leasehold_raft::{AsyncRuntime, Node, Outcomes};
use leasehold_types::{Acquire, BadField, Fault, Renew, RequestId};
use slab::Slab;

/// What an attempt asked, as far as its answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Acquire,
    Renew,
    Release,
    Cancel,
}

/// What was asked, checked.
pub(super) fn checked(asked: Option<Asked>) -> Result<(Kind, Command), BadField> {
    Ok(match asked {
        Some(Asked::Acquire(raw)) => (Kind::Acquire, Command::Acquire(Acquire::try_from(raw)?)),
        Some(Asked::Renew(raw)) => (Kind::Renew, Command::Renew(Renew::try_from(raw)?)),
        Some(Asked::Release(raw)) => {
            let CheckedRelease { resource, token } = raw.try_into()?;
            (Kind::Release, Command::Release { resource, token })
        }
        Some(Asked::Cancel(raw)) => {
            (Kind::Cancel, Command::Cancel { request: RequestId::try_from(raw)? })
        }
        None => {
            return Err(BadField::new("command", "nothing", "acquire, renew, release or cancel"));
        }
    })
}

/// An attempt whose outcome is there.
pub(super) struct Answered {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) outcome: Result<Outcome, Fault>,
}

/// See the module.
pub(super) struct Attempts {
    /// The client's numbers, which may be the same twice; by places of our own.
    under_way: Slab<(u64, Kind)>,
    outcomes: Outcomes,
    renewals: usize,
    renewals_max: usize,
    others_max: usize,
}

impl Attempts {
    pub(super) fn new(renewals_max: usize, others_max: usize) -> Self {
        let (under_way, outcomes) = (Slab::new(), Outcomes::new());
        Self { under_way, outcomes, renewals: 0, renewals_max, others_max }
    }

    /// Proposes an attempt if another of its kind may begin.
    ///
    /// # Errors
    /// [`Fault::QueueFull`], and those of [`Node::propose`].
    pub(super) fn begin<RT: AsyncRuntime>(
        &mut self,
        node: &Node<RT>,
        number: u64,
        kind: Kind,
        command: Command,
    ) -> Result<(), Fault> {
        self.admit(kind)?;
        let place = self.under_way.vacant_entry();
        node.propose_into(command, &self.outcomes, place.key())?;
        place.insert((number, kind));
        self.renewals += usize::from(kind == Kind::Renew);
        Ok(())
    }

    fn admit(&self, kind: Kind) -> Result<(), Fault> {
        let (count, limit) = match kind {
            Kind::Renew => (self.renewals, self.renewals_max),
            Kind::Acquire | Kind::Release | Kind::Cancel => {
                (self.under_way.len() - self.renewals, self.others_max)
            }
        };
        match count < limit {
            true => Ok(()),
            false => Err(Fault::QueueFull { limit: limit as u64 }),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next one that is answered; never, while there is none.
    pub(super) async fn next(&mut self) -> Answered {
        let (place, outcome) = self.outcomes.next().await;
        let (number, kind) = self.under_way.remove(place);
        self.renewals -= usize::from(kind == Kind::Renew);
        Answered { number, kind, outcome }
    }
}
