//! The way from a session to its client, bounded in bytes.
//!
//! The bytes of all replies that the client has not taken are counted. When there is no room for
//! another the client does not read, and the stream is ended: a slow reader must not hold up the
//! renewals of its own stream, nor fill this node's memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_types::Fault;
use prost::Message;
use tokio::sync::mpsc;
use tonic::Status;

/// What a small reply takes beside its own bytes.
const OVERHEAD_BYTES: usize = 256;

type Reply = Result<pb::SessionResponse, Status>;

/// The session's end.
#[derive(Debug)]
pub(super) struct Replies {
    /// Each with the bytes that it is counted with.
    queue: mpsc::UnboundedSender<(Reply, usize)>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The client's end.
#[derive(Debug)]
pub(crate) struct ReplyStream {
    queue: mpsc::UnboundedReceiver<(Reply, usize)>,
    bytes: Arc<AtomicUsize>,
}

/// A queue that holds at most `bytes_max` bytes.
pub(super) fn replies(bytes_max: usize) -> (Replies, ReplyStream) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let replies = Replies { queue: sender, bytes: bytes.clone(), bytes_max };
    (replies, ReplyStream { queue: receiver, bytes })
}

impl Replies {
    /// Puts a reply at the end of the queue.
    ///
    /// # Errors
    /// The problem to end the stream with, when the client does not read.
    pub(super) fn push(&self, reply: pb::SessionResponse) -> Result<(), Problem> {
        let bytes = reply.encoded_len() + OVERHEAD_BYTES;
        // Only the session adds: what the client takes meanwhile makes more room, not less.
        if self.bytes.load(Ordering::Relaxed) + bytes > self.bytes_max {
            return Err(self.overflow());
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A client that is gone is noticed by `closed`.
        let _ = self.queue.send((Ok(reply), bytes));
        Ok(())
    }

    fn overflow(&self) -> Problem {
        let limit = self.bytes_max;
        let why = format!("more than {limit} bytes of answers were not read by the client");
        Fault::OutcomeUnknown { why }.into()
    }

    /// Ends the stream with a problem. It ends in order when this is dropped.
    pub(super) fn fail(&self, problem: Problem) {
        let _ = self.queue.send((Err(problem.into()), 0));
    }

    /// Returns when the client is gone.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }
}

impl Stream for ReplyStream {
    type Item = Reply;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Reply>> {
        self.queue.poll_recv(context).map(|taken| {
            taken.map(|(reply, bytes)| {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                reply
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    fn reply(attempt: u64) -> pb::SessionResponse {
        pb::SessionResponse { attempt, message: None }
    }

    #[test]
    fn what_the_client_takes_makes_room_again() {
        let (replies, mut stream) = replies(2 * (OVERHEAD_BYTES + 16));
        for attempt in 1..=100 {
            replies.push(reply(attempt)).expect("room for one");
            let taken =
                stream.next().now_or_never().flatten().expect("a reply").expect("not an end");
            assert_eq!(taken.attempt, attempt);
        }
    }

    #[test]
    fn a_client_that_does_not_read_ends_its_stream_after_what_fitted() {
        let (replies, mut stream) = replies(2 * (OVERHEAD_BYTES + 16));
        assert!(replies.push(reply(1)).is_ok() && replies.push(reply(2)).is_ok());
        let problem = replies.push(reply(3)).expect_err("no room");
        assert_eq!(problem.reason(), "OUTCOME_UNKNOWN");
        replies.fail(problem);
        drop(replies);
        let mut next = || stream.next().now_or_never().expect("ready");
        assert_eq!(next().map(|reply| reply.map(|reply| reply.attempt).ok()), Some(Some(1)));
        assert_eq!(next().map(|reply| reply.map(|reply| reply.attempt).ok()), Some(Some(2)));
        assert_eq!(next().map(|reply| reply.is_err()), Some(true));
        assert!(next().is_none());
    }
}
