//! The promise of an outcome.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use leasehold_core::Outcome;
use leasehold_types::Fault;
use tokio::sync::oneshot;

/// A command on its way through the log; resolves to its replicated outcome.
///
/// Resolves within the node's proposal deadline, whatever happens: to a [`Fault`] that tells whether
/// the command surely had no effect, if there is no outcome.
///
/// # Cancel safety
/// Dropping this withdraws nothing: the command may still be applied. Ask again with the same
/// request id.
#[derive(Debug)]
#[must_use = "the outcome is known only to whoever awaits this"]
pub struct Proposal {
    outcome: oneshot::Receiver<Result<Outcome, Fault>>,
}

impl Proposal {
    pub(crate) fn new(outcome: oneshot::Receiver<Result<Outcome, Fault>>) -> Self {
        Self { outcome }
    }
}

impl Future for Proposal {
    type Output = Result<Outcome, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.outcome).poll(context).map(|received| {
            received.unwrap_or_else(|_| {
                Err(Fault::OutcomeUnknown { why: "the node stopped".to_owned() })
            })
        })
    }
}
