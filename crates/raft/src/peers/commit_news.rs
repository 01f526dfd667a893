//! What is committed is news that rides on the next entries.
//!
//! Whenever an entry is committed, the consensus library tells every follower at once, with an append
//! that has no entries. Under load the next entries are on their way within a fraction of a
//! millisecond and say the same. Sent by itself, the news costs a message to and from each follower,
//! about as much as the entry did, and goes out ahead of the answer that the client waits for. So such
//! an append is held back for [`HELD_BACK`]: entries that come meanwhile take its place, and it is sent
//! when none do. Where nothing follows, a follower applies what is committed that much later, and a
//! timer's grain; no answer of the leader waits for it.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use openraft::Instant;
use openraft::raft::AppendEntriesRequest;
use openraft_rt::AsyncRuntime;

use crate::transport::Messages;
use crate::type_config::{LogId, Types};

/// How long an append without entries waits for one with. The least that a runtime's timers tell apart.
const HELD_BACK: Duration = Duration::from_millis(1);

type Request<RT> = AppendEntriesRequest<Types<RT>>;

/// The same requests without those whose news a later one brings. The first is never held back, nor
/// is one that does not follow upon the one before: such a probe is sent for its answer.
pub(super) fn ride_on_entries<RT: AsyncRuntime>(
    requests: Messages<Request<RT>>,
) -> Messages<Request<RT>> {
    let riding = Riding { requests, end: None, held: None };
    stream::unfold(riding, |mut riding| async move { Some((riding.next().await?, riding)) }).boxed()
}

struct Riding<RT: AsyncRuntime> {
    requests: Messages<Request<RT>>,
    /// Where the log ends for whoever has taken what was let through.
    end: Option<LogId>,
    /// News, and until when it waits.
    held: Option<(Request<RT>, RT::Instant)>,
}

impl<RT: AsyncRuntime> Riding<RT> {
    async fn next(&mut self) -> Option<Request<RT>> {
        loop {
            let next = match &self.held {
                None => self.requests.next().await,
                // Out of time or at their end: either way it is sent.
                Some((_, until)) => {
                    RT::timeout_at(*until, self.requests.next()).await.unwrap_or_default()
                }
            };
            let Some(request) = next else {
                return self.held.take().map(|(news, _)| news);
            };
            let held = self.held.take();
            if request.entries.is_empty() && self.end.is_some() && self.end == request.prev_log_id {
                let until = held.map_or_else(|| RT::Instant::now() + HELD_BACK, |(_, until)| until);
                self.held = Some((request, until));
                continue;
            }
            self.end = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
            return Some(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::Instant as _;
    use openraft_rt_sim::SimRuntime;

    use super::*;
    use crate::type_config::{Entry, Leadership, Payload, Vote};

    type Sim = SimRuntime;
    type At = <Sim as AsyncRuntime>::Instant;

    fn at(index: u64) -> LogId {
        LogId::new(Leadership::new(1), index)
    }

    /// An append of so many entries behind entry `behind` that says `committed` is committed.
    fn append(behind: u64, entries: u64, committed: u64) -> Request<Sim> {
        let entry = |index| Entry { log_id: at(index), payload: Payload::Blank };
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: Some(at(behind)),
            entries: (behind + 1..=behind + entries).map(entry).collect(),
            leader_commit: Some(at(committed)),
        }
    }

    /// What is let through of requests that come at these microseconds: when, how many entries, and
    /// what is committed.
    fn let_through(requests: Vec<(u64, Request<Sim>)>) -> Vec<(u128, usize, u64)> {
        Sim::with_seed(1).block_on(async {
            let began = At::now();
            let requests = stream::iter(requests).then(move |(micros, request)| async move {
                Sim::sleep_until(began + Duration::from_micros(micros)).await;
                request
            });
            let told = |request: Request<Sim>| {
                let committed = request.leader_commit.map_or(0, |at| at.index);
                (began.elapsed().as_micros(), request.entries.len(), committed)
            };
            ride_on_entries::<Sim>(requests.boxed()).map(told).collect().await
        })
    }

    #[test]
    fn news_rides_on_entries_that_come_within_its_time() {
        let through = let_through(vec![
            (0, append(0, 1, 0)),
            (300, append(1, 0, 1)),
            (500, append(1, 1, 1)),
            (900, append(2, 0, 2)),
            (1_000, append(2, 3, 2)),
        ]);
        assert_eq!(through, [(0, 1, 0), (500, 1, 1), (1_000, 3, 2)]);
    }

    #[test]
    fn news_that_nothing_follows_is_sent_when_its_time_is_over_and_later_news_adds_none() {
        let through = let_through(vec![
            (0, append(0, 3, 0)),
            (300, append(3, 0, 1)),
            (1_200, append(3, 0, 3)),
            (9_000, append(3, 1, 3)),
        ]);
        assert_eq!(through, [(0, 3, 0), (1_300, 0, 3), (9_000, 1, 3)]);
    }

    #[test]
    fn the_last_news_is_sent_when_the_requests_end() {
        let through = let_through(vec![(0, append(0, 1, 0)), (300, append(1, 0, 1))]);
        assert_eq!(through, [(0, 1, 0), (300, 0, 1)]);
    }

    #[test]
    fn a_probe_is_not_held_back_neither_the_first_nor_one_that_starts_elsewhere() {
        let through =
            let_through(vec![(0, append(5, 0, 5)), (100, append(3, 0, 5)), (200, append(3, 2, 5))]);
        assert_eq!(through, [(0, 0, 5), (100, 0, 5), (200, 2, 5)]);
    }
}
