//! The attempts of one session that are not answered yet.
//!
//! Renewals have a bound of their own: a client that floods its stream with acquires must still be
//! able to keep what it holds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt};
use leasehold_api::CheckedRelease;
use leasehold_api::pb::lease::v1::session_request::Command as Asked;
use leasehold_core::{Command, Outcome};
use leasehold_raft::Proposal;
use leasehold_types::{Acquire, BadField, Fault, Renew, RequestId};

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

struct UnderWay {
    number: u64,
    kind: Kind,
    proposal: Proposal,
}

impl Future for UnderWay {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let (number, kind) = (self.number, self.kind);
        Pin::new(&mut self.proposal).poll(context).map(|outcome| Answered { number, kind, outcome })
    }
}

/// See the module.
pub(super) struct Attempts {
    under_way: FuturesUnordered<UnderWay>,
    renewals: usize,
    renewals_max: usize,
    others_max: usize,
}

impl Attempts {
    pub(super) fn new(renewals_max: usize, others_max: usize) -> Self {
        Self { under_way: FuturesUnordered::new(), renewals: 0, renewals_max, others_max }
    }

    /// Whether another attempt of this kind may begin.
    ///
    /// # Errors
    /// [`Fault::QueueFull`].
    pub(super) fn admit(&self, kind: Kind) -> Result<(), Fault> {
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

    /// An attempt that was admitted and proposed.
    pub(super) fn begin(&mut self, number: u64, kind: Kind, proposal: Proposal) {
        self.renewals += usize::from(kind == Kind::Renew);
        self.under_way.push(UnderWay { number, kind, proposal });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next one that is answered; never, while there is none.
    pub(super) async fn next(&mut self) -> Answered {
        match self.under_way.next().await {
            Some(answered) => {
                self.renewals -= usize::from(answered.kind == Kind::Renew);
                answered
            }
            None => std::future::pending().await,
        }
    }
}
