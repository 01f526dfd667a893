//! The promise of an outcome: of one command, or of many under way at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use leasehold_core::Outcome;
use leasehold_types::Fault;
use tokio::sync::{mpsc, oneshot};

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

type Told = Result<Outcome, Fault>;

impl Proposal {
    pub(crate) fn promised() -> (Reply, Self) {
        let (reply, outcome) = oneshot::channel();
        (Reply(Some(To::One(reply))), Self { outcome })
    }
}

impl Future for Proposal {
    type Output = Told;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Told> {
        let told = Pin::new(&mut self.outcome).poll(context);
        told.map(|told| told.unwrap_or_else(|_| Err(node_stopped())))
    }
}

/// Where the outcomes of many commands arrive, each under the number it was proposed with, in the
/// order in which they are known. For each, what a [`Proposal`] promises holds; many are cheaper so.
#[derive(Debug)]
pub struct Outcomes {
    /// Its bound is that of the commands under way, each of which is told once.
    told: mpsc::UnboundedReceiver<(usize, Told)>,
    replies: mpsc::UnboundedSender<(usize, Told)>,
}

impl Outcomes {
    /// None is awaited yet.
    #[must_use]
    pub fn new() -> Self {
        let (replies, told) = mpsc::unbounded_channel();
        Self { told, replies }
    }

    pub(crate) fn promise(&self, number: usize) -> Reply {
        Reply(Some(To::Number(number, self.replies.clone())))
    }

    /// The next outcome and its number; never, while none is awaited.
    ///
    /// # Cancel safety
    /// Dropping this loses no outcome.
    pub async fn next(&mut self) -> (usize, Result<Outcome, Fault>) {
        self.told.recv().await.expect("this end keeps a sender")
    }
}

impl Default for Outcomes {
    fn default() -> Self {
        Self::new()
    }
}

/// The duty to tell an outcome. Dropped without, it tells that the node stopped.
#[derive(Debug)]
pub(crate) struct Reply(Option<To>);

#[derive(Debug)]
enum To {
    One(oneshot::Sender<Told>),
    Number(usize, mpsc::UnboundedSender<(usize, Told)>),
}

impl Reply {
    /// Tells it to whoever waits, if anybody still does.
    pub(crate) fn send(mut self, outcome: Told) {
        self.tell(outcome);
    }

    /// Ends the duty: whoever asked was told by other means.
    pub(crate) fn dismiss(mut self) {
        self.0 = None;
    }

    fn tell(&mut self, outcome: Told) {
        match self.0.take() {
            Some(To::One(one)) => drop(one.send(outcome)),
            Some(To::Number(number, all)) => drop(all.send((number, outcome))),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.tell(Err(node_stopped()));
        }
    }
}

fn node_stopped() -> Fault {
    Fault::OutcomeUnknown { why: "the node stopped".to_owned() }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn unknown(told: &Told) -> bool {
        matches!(told, Err(Fault::OutcomeUnknown { .. }))
    }

    #[test]
    fn every_number_is_told_once_and_one_that_was_dismissed_never() {
        let mut outcomes = Outcomes::new();
        let [first, second, third] = [1, 2, 3].map(|number| outcomes.promise(number));
        assert!(outcomes.next().now_or_never().is_none());
        drop(third);
        first.send(Err(Fault::ShuttingDown));
        second.dismiss();
        let (number, told) = outcomes.next().now_or_never().expect("told");
        assert!(number == 3 && unknown(&told));
        let (number, told) = outcomes.next().now_or_never().expect("told");
        assert!(number == 1 && matches!(told, Err(Fault::ShuttingDown)));
        assert!(outcomes.next().now_or_never().is_none());
    }

    #[test]
    fn a_proposal_whose_command_was_dropped_resolves_to_not_knowing() {
        let (reply, proposal) = Proposal::promised();
        drop(reply);
        assert!(unknown(&proposal.now_or_never().expect("told")));
    }
}
