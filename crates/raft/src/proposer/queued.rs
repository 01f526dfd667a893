//! A command, and whoever waits for it.

use std::time::Duration;

use leasehold_core::{Command, Outcome};
use leasehold_types::Fault;
use openraft_rt::Instant;

use crate::proposal::Reply;

/// A command, and whoever waits for it. `I` is the runtime's instant.
#[derive(Debug)]
pub(crate) struct Queued<I> {
    pub(crate) command: Command,
    pub(crate) waiter: Waiter<I>,
}

/// Whoever waits for a command's outcome.
#[derive(Debug)]
pub(crate) struct Waiter<I> {
    pub(crate) origin: Origin,
    /// When the command arrived on this node.
    pub(crate) since: I,
    /// How long it had waited on another by then.
    pub(crate) before: Duration,
    reply: Reply,
    /// What the command takes up in a batch, at most.
    pub(super) bytes: usize,
}

impl<I: Instant> Waiter<I> {
    /// How long the command has waited in all.
    pub(crate) fn waited(&self, now: I) -> Duration {
        now.saturating_duration_since(self.since) + self.before
    }

    /// When its patience is over.
    pub(crate) fn deadline(&self, patience: Duration) -> I {
        self.since + patience.saturating_sub(self.before)
    }
}

impl<I> Waiter<I> {
    /// Tells the outcome to whoever waits, if anybody still does.
    pub(crate) fn answer(self, outcome: Result<Outcome, Fault>) {
        self.reply.send(outcome);
    }

    /// Whoever handed the command in is told at once that it was not taken.
    pub(super) fn dismiss(self) {
        self.reply.dismiss();
    }
}

/// Where a command came from: one that a peer passed on is never passed on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client of this node.
    Client,
    /// A peer.
    Peer,
}

impl<I> Queued<I> {
    pub(crate) fn new(
        command: Command,
        origin: Origin,
        since: I,
        before: Duration,
        reply: Reply,
    ) -> Self {
        let bytes = bytes_at_most(&command);
        Self { command, waiter: Waiter { origin, since, before, reply, bytes } }
    }
}

/// What a command takes up in a batch, at most. An item of a renewal counts as much as a command of
/// its own: its answer does, on the way back from the leader.
fn bytes_at_most(command: &Command) -> usize {
    const FRAME: usize = 64;
    let variable = match command {
        Command::Acquire(acquire) => {
            acquire.resource.as_str().len() + acquire.holder.as_str().len()
        }
        Command::Renew(renew) => FRAME * (renew.tokens.len() + renew.requests.len()),
        Command::Release { resource, .. } => resource.as_str().len(),
        Command::Cancel { .. } | Command::Pulse => 0,
    };
    FRAME + variable
}
