//! Unary acquires that wait: while such a call is open, this node keeps its claim alive.
//!
//! One task owns the [`schedule::Schedule`] and renews all due claims of all open calls in few `Renew`
//! commands, by request id. The renewal's answer also repairs a lost push: if the claim turns out to
//! be held, or gone, the call is answered from it.
//!
//! When a call breaks, its claim is only not renewed any more. It is never cancelled or released on
//! the caller's behalf: by now the caller may hold it through another node.

mod schedule;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use leasehold_core::{Answer, Command, Outcome};
use leasehold_raft::{AsyncRuntime, Node};
use leasehold_types::{
    ClaimAnswer, Fault, LeaseTime, Refusal, Renew, RequestId, Revision, Standing,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use crate::quota::Quota;
use schedule::Schedule;

/// Claims in one renewal: a fraction of a batch, so that other renewals fit beside it.
const CLAIMS_PER_RENEWAL: usize = 4_000;
/// Renewals under way. More would only queue behind each other.
const RENEWALS_MAX: usize = 8;
/// Calls on their way into the room.
const ARRIVALS_MAX: usize = 1_024;

/// What a renewal told about a claim that somebody waits for.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It is held: the push was lost or late.
    Held {
        /// The claim as it stands.
        claim: ClaimAnswer,
        /// Its deadline.
        deadline: LeaseTime,
        /// The revision just after the renewal.
        revision: Revision,
    },
    /// It is gone.
    Gone(Refusal),
    /// It could not be renewed for so long that the caller should ask another node.
    OutOfReach(Fault),
}

#[derive(Debug)]
struct Arrival {
    claim: ClaimAnswer,
    verdict: oneshot::Sender<Verdict>,
}

/// The way into the waiting room. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct WaitingRoom {
    arrivals: mpsc::Sender<Arrival>,
    places: Quota,
}

impl WaitingRoom {
    /// A room, and the task that renews; see [`Task::run`]. A claim that cannot be renewed for its ttl and
    /// `patience` is given up.
    pub(crate) fn new<RT: AsyncRuntime>(
        node: Node<RT>,
        places_max: usize,
        patience: Duration,
    ) -> (Self, Task<RT>) {
        let (arrivals, inbox) = mpsc::channel(ARRIVALS_MAX);
        let schedule = Schedule::new(patience);
        let task = Task { node, schedule, inbox, under_way: FuturesUnordered::new() };
        (Self { arrivals, places: Quota::new(places_max) }, task)
    }

    /// Takes a place, before anything is asked of the cluster.
    ///
    /// # Errors
    /// [`Fault::QueueFull`].
    pub(crate) fn take_place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.places.take()
    }

    /// Keeps a waiting claim alive until the receiver is dropped, and tells what renewals tell. The
    /// sender is dropped without a word only when the node stops.
    pub(crate) async fn keep_alive(&self, claim: ClaimAnswer) -> oneshot::Receiver<Verdict> {
        let (verdict, told) = oneshot::channel();
        // A failure drops the sender, which the receiver notices.
        let _ = self.arrivals.send(Arrival { claim, verdict }).await;
        told
    }
}

type Answered = (Vec<RequestId>, Result<Outcome, Fault>);

/// The owner of the schedule.
pub(crate) struct Task<RT: AsyncRuntime> {
    node: Node<RT>,
    schedule: Schedule<oneshot::Sender<Verdict>>,
    inbox: mpsc::Receiver<Arrival>,
    under_way: FuturesUnordered<BoxFuture<'static, Answered>>,
}

impl<RT: AsyncRuntime> Task<RT> {
    /// Ends when every [`WaitingRoom`] is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let due = self.schedule.next_due().filter(|_| self.under_way.len() < RENEWALS_MAX);
            tokio::select! {
                arrival = self.inbox.recv() => match arrival {
                    Some(arrival) => self.on_arrival(arrival),
                    None => return,
                },
                Some((claims, outcome)) = self.under_way.next() => self.on_answer(claims, outcome),
                () = sleep_until(due) => self.renew_what_is_due(),
            }
        }
    }

    fn on_arrival(&mut self, Arrival { claim, verdict }: Arrival) {
        let valid_for = Duration::from_millis(claim.valid_for_ms);
        self.schedule.add(Instant::now(), claim.request, claim.ttl, valid_for, verdict);
    }

    fn renew_what_is_due(&mut self) {
        let claims = self
            .schedule
            .take_due(Instant::now(), CLAIMS_PER_RENEWAL, |waiter| !waiter.is_closed());
        if claims.is_empty() {
            return;
        }
        let renew = Renew { tokens: Vec::new(), requests: claims.clone() };
        match self.node.propose(Command::Renew(renew)) {
            Ok(proposal) => {
                self.under_way.push(Box::pin(async move { (claims, proposal.await) }));
            }
            Err(fault) => self.on_failure(claims, &fault),
        }
    }

    fn on_answer(&mut self, claims: Vec<RequestId>, outcome: Result<Outcome, Fault>) {
        match outcome {
            Ok(Outcome { revision, at, answer: Answer::Renewed(items) }) => {
                for (request, item) in claims.into_iter().zip(items) {
                    self.on_item(request, item, at, revision);
                }
            }
            Ok(other) => {
                let why = format!("a renewal was answered with {:?}", other.answer);
                self.on_failure(claims, &Fault::OutcomeUnknown { why });
            }
            Err(fault) => self.on_failure(claims, &fault),
        }
    }

    fn on_item(
        &mut self,
        request: RequestId,
        item: Result<ClaimAnswer, Refusal>,
        at: LeaseTime,
        revision: Revision,
    ) {
        let verdict = match item {
            Ok(ClaimAnswer { standing: Standing::Waiting { .. }, .. }) => {
                return self.schedule.confirmed(Instant::now(), request);
            }
            Ok(claim) => {
                let deadline = at.plus_ms(claim.valid_for_ms);
                Verdict::Held { claim, deadline, revision }
            }
            Err(refusal) => Verdict::Gone(refusal),
        };
        tell(self.schedule.remove(request), &verdict);
    }

    fn on_failure(&mut self, claims: Vec<RequestId>, fault: &Fault) {
        let now = Instant::now();
        for request in claims {
            let given_up = self.schedule.failed(now, request);
            tell(given_up, &Verdict::OutOfReach(fault.clone()));
        }
    }
}

fn tell(waiters: Vec<oneshot::Sender<Verdict>>, verdict: &Verdict) {
    for waiter in waiters {
        // A call that broke meanwhile needs no verdict.
        let _ = waiter.send(verdict.clone());
    }
}

/// Never, where there is no time.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::machine::Machine;
    use leasehold_raft::TokioNode;
    use leasehold_types::{Acquire, FencingToken, Holder, LeaseTtl, ResourceName, WaitLimit};

    /// A cluster of one. It needs no port: nobody asks it from outside.
    async fn node(directory: &std::path::Path) -> TokioNode {
        let text = format!(
            r#"
            cluster_id = "test"
            node_id = 1
            data_dir = {directory:?}
            client_listen = "127.0.0.1:1"
            peer_listen = "127.0.0.1:2"
            members = [{{ node_id = 1, client_address = "a:1", peer_address = "a:2" }}]
            timing = {{ heartbeat = "30ms", election_min = "90ms", election_max = "150ms" }}
            cluster = {{ ttl_min = "400ms", stamp_interval = "50ms" }}
            "#
        );
        let config = Config::parse(&text).expect("a good config");
        let machine = Machine::open(&config).expect("a disk");
        crate::start::start_node(&config, machine).await.expect("started").node
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
    }

    async fn claim(node: &TokioNode, request: u8) -> ClaimAnswer {
        let acquire = Command::Acquire(Acquire {
            resource: ResourceName::new("r").expect("a name"),
            holder: Holder::new("h").expect("a holder"),
            request: RequestId::from_bytes([request; 16]),
            ttl: LeaseTtl::from_ms(400).expect("a ttl"),
            wait: WaitLimit::from_ms(60_000).expect("a wait"),
        });
        let outcome = within(node.propose(acquire).expect("room")).await.expect("an outcome");
        let Answer::Claim(claim) = outcome.answer else { panic!("{outcome:?}") };
        claim
    }

    fn token(claim: &ClaimAnswer) -> Option<FencingToken> {
        match claim.standing {
            Standing::Held { token } => Some(token),
            Standing::Waiting { .. } => None,
        }
    }

    #[tokio::test]
    async fn a_renewal_tells_a_call_that_heard_no_push_that_it_holds_and_later_that_it_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let node = node(directory.path()).await;
        let (room, task) = WaitingRoom::new(node.clone(), 10, Duration::from_secs(5));
        tokio::spawn(task.run());
        let held = token(&claim(&node, 1).await).expect("held");
        let waiting = claim(&node, 2).await;
        assert_eq!(token(&waiting), None);

        // Nobody renews the first: it ends, and the second is granted without anybody being told.
        let verdict = within(room.keep_alive(waiting.clone()).await).await.expect("a verdict");
        let Verdict::Held { claim, deadline, .. } = verdict else { panic!("{verdict:?}") };
        assert!(token(&claim) > Some(held) && deadline > LeaseTime(400));

        let cancel = Command::Cancel { request: waiting.request };
        within(node.propose(cancel).expect("room")).await.expect("cancelled");
        let verdict = within(room.keep_alive(waiting).await).await.expect("a verdict");
        assert!(matches!(verdict, Verdict::Gone(Refusal::Ended { .. })), "{verdict:?}");
        node.shutdown().await;
    }

    #[tokio::test]
    async fn a_claim_that_cannot_be_renewed_is_given_up_and_not_called_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let node = node(directory.path()).await;
        let (room, task) = WaitingRoom::new(node.clone(), 10, Duration::from_millis(500));
        tokio::spawn(task.run());
        claim(&node, 1).await;
        let waiting = claim(&node, 2).await;
        node.shutdown().await;
        let verdict = within(room.keep_alive(waiting).await).await.expect("a verdict");
        assert!(matches!(verdict, Verdict::OutOfReach(_)), "{verdict:?}");
    }
}
