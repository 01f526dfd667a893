//! What a proposer does while another node leads: pass commands on, one hop.

use std::sync::Arc;
use std::time::Duration;

use leasehold_api::pb::peer::v1 as pb;
use leasehold_core::{Outcome, decode_outcomes, encode_commands};
use leasehold_types::Fault;
use openraft_rt::{AsyncRuntime, Instant, Select2};

use super::Proposer;
use super::flight::{Cargo, Landed, Purpose};
use crate::Member;
use crate::peers::{Peers, fault_from_wire};
use crate::standing::StandingWatch;
use crate::transport::PeerFault;

impl<RT: AsyncRuntime> Proposer<RT> {
    /// One turn behind `leader`.
    pub(super) fn follow(&mut self, leader: &Member) {
        while self.state.forwarding < self.limits.forwards_in_flight_max && !self.held_back() {
            let batch = self.queue.take();
            if batch.is_empty() {
                return;
            }
            let (commands, waiters) =
                batch.into_iter().map(|queued| (queued.command, queued.waiter)).unzip();
            let cargo = Cargo { commands, waiters };
            let route = Route {
                peers: self.peers.clone(),
                leader: leader.clone(),
                standing: self.standing.clone(),
            };
            let flight = forward::<RT>(route, cargo, self.timing.proposal_deadline);
            self.state.forwarding += 1;
            self.state.flights.push(Box::pin(flight));
        }
    }
}

/// The way to the leader, and how long it is one.
struct Route<RT: AsyncRuntime> {
    peers: Arc<Peers>,
    leader: Member,
    standing: StandingWatch<RT>,
}

/// Passes a batch on and tells everybody what became of it. Whoever waits need not wait for a leader
/// that another has followed.
async fn forward<RT: AsyncRuntime>(
    route: Route<RT>,
    cargo: Cargo<RT::Instant>,
    patience: Duration,
) -> Landed<RT::Instant> {
    let now = RT::Instant::now();
    let left = cargo.deadline(patience).saturating_duration_since(now);
    let request = pb::ForwardRequest {
        commands: encode_commands(&cargo.commands).into(),
        waited_ms: u64::try_from((patience - left.min(patience)).as_millis()).unwrap_or(u64::MAX),
    };
    let Route { peers, leader, mut standing } = route;
    let answer = match RT::select2(
        peers.forward(&leader, request, left),
        standing.superseded(&leader),
    )
    .await
    {
        Select2::First(answer) => answer,
        Select2::Second(()) => Err(PeerFault::NoAnswer { why: "another leads now".to_owned() }),
    };
    match answer {
        Ok(reply) => settle(reply.outcomes, cargo),
        // Nothing was taken in.
        Err(
            fault @ (PeerFault::NotDelivered { .. }
            | PeerFault::NotBelieved { .. }
            | PeerFault::Malformed { .. }),
        ) => {
            tracing::debug!(%fault, leader = leader.node_id, "commands were not passed on");
            Landed::refused(Purpose::Forward, cargo.unload())
        }
        Err(
            fault @ (PeerFault::NoAnswer { .. }
            | PeerFault::AnswerNotBelieved { .. }
            | PeerFault::Stopping { .. }),
        ) => {
            cargo.unknown(&format!("the leader did not answer: {fault}"));
            Landed::refused(Purpose::Forward, Vec::new())
        }
    }
}

fn settle<I>(outcomes: Vec<pb::ForwardedOutcome>, cargo: Cargo<I>) -> Landed<I> {
    let mut outcomes = outcomes.into_iter();
    let mut unsent = Vec::new();
    for queued in cargo.unload() {
        match outcomes.next().map_or_else(missing, outcome_from_wire) {
            // The node that was asked does not lead any more; whoever does has not seen it.
            Err(Fault::NoLeader { .. }) => unsent.push(queued),
            outcome => queued.waiter.answer(outcome),
        }
    }
    if unsent.is_empty() {
        Landed::done(Purpose::Forward)
    } else {
        Landed::refused(Purpose::Forward, unsent)
    }
}

fn outcome_from_wire(outcome: pb::ForwardedOutcome) -> Result<Outcome, Fault> {
    use pb::forwarded_outcome::Outcome as Wire;
    match outcome.outcome {
        Some(Wire::Fault(fault)) => Err(fault_from_wire(fault)),
        Some(Wire::Applied(bytes)) => {
            let decoded =
                decode_outcomes(&bytes).ok().and_then(|outcomes| outcomes.into_iter().next());
            decoded.map_or_else(missing, Ok)
        }
        None => missing(),
    }
}

fn missing() -> Result<Outcome, Fault> {
    Err(Fault::OutcomeUnknown { why: "the leader's answer cannot be read".to_owned() })
}
