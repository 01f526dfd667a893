//! A batch on its way, and what becomes of it.

use std::pin::Pin;
use std::time::Duration;

use leasehold_core::{Command, Outcome};
use leasehold_types::Fault;
use openraft::errors::{ClientWriteError, Fatal};
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::OneshotReceiverOf;
use openraft_rt::{AsyncRuntime, Instant};

use super::Queued;
use super::queued::Waiter;
use crate::type_config::Types;

/// A batch on its way.
pub(super) type Flight<I> = Pin<Box<dyn Future<Output = Landed<I>> + Send>>;

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Propose,
    Forward,
    Found,
}

/// What is on board: commands, and whoever waits for them, by position.
#[derive(Debug)]
pub(super) struct Cargo<I> {
    pub(super) commands: Vec<Command>,
    pub(super) waiters: Vec<Waiter<I>>,
}

impl<I> Default for Cargo<I> {
    fn default() -> Self {
        Self { commands: Vec::new(), waiters: Vec::new() }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Landed<I> {
    pub(super) purpose: Purpose,
    /// Whether it was refused: to send more at once would be refused as well.
    pub(super) refused: bool,
    /// What surely had no effect and may be sent again.
    pub(super) unsent: Vec<Queued<I>>,
}

impl<I> Landed<I> {
    pub(super) fn done(purpose: Purpose) -> Self {
        Self { purpose, refused: false, unsent: Vec::new() }
    }

    pub(super) fn refused(purpose: Purpose, unsent: Vec<Queued<I>>) -> Self {
        Self { purpose, refused: true, unsent }
    }
}

impl<I: Instant> Cargo<I> {
    /// When the first of those who wait must be told something.
    pub(super) fn deadline(&self, patience: Duration) -> I {
        let first = self.waiters.iter().map(|waiter| waiter.deadline(patience)).min();
        first.unwrap_or_else(|| I::now() + patience)
    }
}

impl<I> Cargo<I> {
    /// Tells everybody that nothing is known.
    pub(super) fn unknown(self, why: &str) {
        for waiter in self.waiters {
            waiter.answer(Err(Fault::OutcomeUnknown { why: why.to_owned() }));
        }
    }

    /// Everything as it was in the queue.
    pub(super) fn unload(self) -> Vec<Queued<I>> {
        let pairs = self.commands.into_iter().zip(self.waiters);
        pairs.map(|(command, waiter)| Queued { command, waiter }).collect()
    }

    fn deliver(self, outcomes: Vec<Outcome>) {
        let mut outcomes = outcomes.into_iter();
        for waiter in self.waiters {
            let missing =
                || Fault::OutcomeUnknown { why: "the batch was answered in part".to_owned() };
            waiter.answer(outcomes.next().ok_or_else(missing));
        }
    }
}

/// Follows a proposed entry until the library has decided about it. Whoever waits is told by
/// `deadline` at the latest; the flight goes on until its place is really free.
pub(super) async fn propose<RT: AsyncRuntime>(
    taken: Result<(), Fatal<Types<RT>>>,
    mut outcome: OneshotReceiverOf<Types<RT>, ClientWriteResult<Types<RT>>>,
    cargo: Cargo<RT::Instant>,
    purpose: Purpose,
    deadline: RT::Instant,
) -> Landed<RT::Instant> {
    if taken.is_err() {
        return Landed::refused(purpose, cargo.unload());
    }
    match RT::timeout_at(deadline, &mut outcome).await {
        Ok(Ok(result)) => settle::<RT>(result, cargo, purpose),
        Ok(Err(_)) => {
            cargo.unknown("the node stopped");
            Landed::refused(purpose, Vec::new())
        }
        Err(_) => {
            cargo.unknown("no majority confirmed it in time");
            // The place is free when the library is done with the entry, however it went.
            let _ = outcome.await;
            Landed::done(purpose)
        }
    }
}

fn settle<RT: AsyncRuntime>(
    result: ClientWriteResult<Types<RT>>,
    cargo: Cargo<RT::Instant>,
    purpose: Purpose,
) -> Landed<RT::Instant> {
    match result {
        Ok(response) => {
            cargo.deliver(response.data.0);
            Landed::done(purpose)
        }
        // Never appended, so it surely had no effect.
        Err(ClientWriteError::ForwardToLeader(_)) => Landed::refused(purpose, cargo.unload()),
        // Appended here, and discarded for another leader's log, which may hold it as well.
        Err(ClientWriteError::LogEntryDiscarded(_)) => {
            cargo.unknown("another node took over the lead");
            Landed::refused(purpose, Vec::new())
        }
        // Not among the answers to a batch; if one comes, nothing is known.
        Err(
            error @ (ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_)),
        ) => {
            tracing::error!(%error, "a batch was answered like a change of members");
            cargo.unknown("the answer makes no sense");
            Landed::refused(purpose, Vec::new())
        }
    }
}
