//! What a node's process does for clients: connections for claims, and single questions.
//!
//! What the lease server does around a node, without gRPC.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_client::message::{Answer, Command};
use leasehold_core::{Answer as Replicated, Command as Proposed, LeaseState, Outcome, Renew};
use leasehold_raft::{AsyncRuntime, Change, Node};
use leasehold_types::{
    Acquire, ClaimAnswer, Event, Fault, FencingToken, RequestId, ResourceName, Standing,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::network::{Knock, Network, PipeEnd, Place};
use super::plan::Plant;
use super::process::{self, SimProcesses};
use super::seen::ReadSeen;

/// A client opens a connection.
pub(crate) struct Session {
    pub(crate) requests: mpsc::UnboundedReceiver<(u64, Command)>,
    pub(crate) replies: PipeEnd<Said>,
}

/// A client asks who holds a resource.
pub(crate) struct Question {
    pub(crate) client: u64,
    pub(crate) resource: ResourceName,
    pub(crate) asker: oneshot::Sender<Option<ReadSeen>>,
}

/// What a node says on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// First of all: who leads, and for how long ids are remembered.
    Welcome { leader: Option<u64>, request_memory: Duration },
    /// To a numbered attempt.
    Answered(u64, Answer),
    /// Something happened to a claim.
    Pushed(RequestId),
}

/// Whom a node serves, and how.
pub(crate) struct Service {
    pub(crate) id: u64,
    pub(crate) node: Node<SimProcesses>,
    pub(crate) network: Network,
    pub(crate) request_memory: Duration,
    pub(crate) plant: Option<Plant>,
}

impl Service {
    /// Until the process ends.
    pub(crate) async fn run(self, mut knocks: mpsc::UnboundedReceiver<Knock>) {
        while let Some(knock) = knocks.recv().await {
            let knock = match knock.downcast::<Session>() {
                Ok(session) => {
                    self.open(*session);
                    continue;
                }
                Err(knock) => knock,
            };
            if let Ok(question) = knock.downcast::<Question>() {
                self.answer(*question);
            }
        }
    }

    fn open(&self, session: Session) {
        let serving = Serving {
            feed: self.node.applied(),
            node: self.node.clone(),
            replies: session.replies,
            known: BTreeSet::new(),
            plant: self.plant,
        };
        drop(SimProcesses::spawn(serving.run(session.requests, self.request_memory)));
    }

    /// A read: behind a barrier, unless this bug is planted.
    fn answer(&self, question: Question) {
        let Question { client, resource, asker } = question;
        let (node, network, plant) = (self.node.clone(), self.network.clone(), self.plant);
        let (here, there) = (Place::Node(self.id), Place::Client(client));
        drop(SimProcesses::spawn(async move {
            let passed = match plant {
                Some(Plant::ReadsAskNobody) => Ok(()),
                _ => node.barrier().await,
            };
            let answer = match passed {
                Ok(()) => node.query(move |state| read(state, resource)).await.ok(),
                Err(_) => None,
            };
            network.reply(here, there, asker, answer);
        }));
    }
}

fn read(state: &LeaseState, resource: ResourceName) -> ReadSeen {
    let token = state.get(resource.as_str()).and_then(|view| match view.lease.standing {
        Standing::Held { token } => Some(token),
        Standing::Waiting { .. } => None,
    });
    ReadSeen { resource, revision: state.revision(), token }
}

/// One connection of a client.
struct Serving {
    node: Node<SimProcesses>,
    feed: broadcast::Receiver<Arc<Change>>,
    replies: PipeEnd<Said>,
    /// The claims it has heard of on this connection.
    known: BTreeSet<RequestId>,
    plant: Option<Plant>,
}

impl Serving {
    async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<(u64, Command)>,
        request_memory: Duration,
    ) {
        let leader = self.node.status().leader.map(|leader| leader.node_id);
        self.replies.send(Said::Welcome { leader, request_memory });
        let (answers, mut answered) = mpsc::unbounded_channel();
        loop {
            let said = tokio::select! {
                biased;
                said = answered.recv() => said,
                request = requests.recv() => match request {
                    Some((attempt, command)) => {
                        self.take(attempt, command, answers.clone());
                        continue;
                    }
                    None => break,
                },
                change = self.feed.recv() => match change {
                    Ok(change) => {
                        self.push(&change);
                        continue;
                    }
                    Err(_) => break,
                },
            };
            if let Some((attempt, answer)) = said
                && !self.replies.send(Said::Answered(attempt, answer))
            {
                break;
            }
        }
        self.closed();
    }

    fn take(
        &mut self,
        mut attempt: u64,
        command: Command,
        answers: mpsc::UnboundedSender<(u64, Answer)>,
    ) {
        match &command {
            Command::Acquire(ask) => {
                self.known.insert(ask.request);
                if self.plant == Some(Plant::NodeAnswersBeforeCommit) {
                    self.replies.send(Said::Answered(attempt, Answer::Acquired(promised(ask))));
                    attempt = u64::MAX;
                }
            }
            Command::Renew(ids) => self.known.extend(ids),
            Command::Release { .. } | Command::Cancel(_) => {}
        }
        let (node, plant) = (self.node.clone(), self.plant);
        drop(SimProcesses::spawn(async move {
            let answer = match node.propose(proposed(command)) {
                Ok(proposal) => proposal.await,
                Err(fault) => Err(fault),
            };
            // A connection that is gone has no more use for it.
            let _ = answers.send((attempt, answer_of(answer, plant)));
        }));
    }

    fn push(&mut self, change: &Change) {
        let Change::Batch(batch) = change else { return };
        for Event { request, .. } in &batch.events {
            if self.known.contains(request) {
                self.replies.send(Said::Pushed(*request));
            }
        }
    }

    /// Only the client ends its claims, and only the client keeps them; unless a bug is planted.
    fn closed(self) {
        match self.plant {
            Some(Plant::NodeCancelsWhenAConnectionBreaks) => {
                for request in self.known {
                    drop(self.node.propose(Proposed::Cancel { request }));
                }
            }
            Some(Plant::NodeRenewsForTheDead) => {
                let requests = self.known.into_iter().collect();
                drop(SimProcesses::spawn(renew_for_ever(self.node, requests)));
            }
            _ => {}
        }
    }
}

/// A planted bug: claims are renewed though nobody asked, until none is left.
async fn renew_for_ever(node: Node<SimProcesses>, requests: Vec<RequestId>) {
    loop {
        let renew = Renew { tokens: Vec::new(), requests: requests.clone() };
        let outcome = match node.propose(Proposed::Renew(renew)) {
            Ok(proposal) => proposal.await,
            Err(fault) => Err(fault),
        };
        if let Ok(Replicated::Renewed(items)) = outcome.map(|outcome| outcome.answer)
            && items.iter().all(Result::is_err)
        {
            return;
        }
        process::sleep(Duration::from_millis(300)).await;
    }
}

/// What nobody has decided yet: a place in the queue.
fn promised(ask: &Acquire) -> ClaimAnswer {
    ClaimAnswer {
        resource: ask.resource.clone(),
        holder: ask.holder.clone(),
        request: ask.request,
        ttl: ask.ttl,
        standing: Standing::Waiting { place: 1 },
        valid_for_ms: ask.ttl.as_ms(),
    }
}

fn proposed(command: Command) -> Proposed {
    match command {
        Command::Acquire(ask) => Proposed::Acquire(ask),
        Command::Renew(requests) => Proposed::Renew(Renew { tokens: Vec::new(), requests }),
        Command::Release { resource, token } => Proposed::Release { resource, token },
        Command::Cancel(request) => Proposed::Cancel { request },
    }
}

fn answer_of(outcome: Result<Outcome, Fault>, plant: Option<Plant>) -> Answer {
    let failed = |problem: Problem| Answer::Failed { problem, retry_after: None };
    match outcome.map(|outcome| outcome.answer) {
        Ok(Replicated::Claim(mut claim)) => {
            match (plant, &mut claim.standing) {
                (Some(Plant::AnswersPromiseAWholeTtl), _) => {
                    claim.valid_for_ms = claim.ttl.as_ms();
                }
                (Some(Plant::AnswersNameAnotherToken), Standing::Held { token }) => {
                    *token = FencingToken::new(token.get() | 1).unwrap_or(*token);
                }
                _ => {}
            }
            Answer::Acquired(claim)
        }
        Ok(Replicated::Renewed(items)) => {
            Answer::Renewed(items.into_iter().map(|item| item.map_err(Problem::from)).collect())
        }
        Ok(Replicated::Released { was_held }) => Answer::Released { was_held },
        Ok(Replicated::Cancelled { ended }) => Answer::Cancelled { was_live: ended.is_some() },
        Ok(Replicated::Refused(refusal)) => failed(refusal.into()),
        Ok(Replicated::Pulsed) => {
            let why = "a pulse was answered to a client".to_owned();
            failed(Fault::OutcomeUnknown { why }.into())
        }
        Err(fault) => failed(fault.into()),
    }
}
