//! What a proposer does while its node leads.

use std::time::Duration;

use leasehold_core::{Batch, Command, LeaseState};
use leasehold_types::LeaseTime;
use openraft::Raft;
use openraft::errors::Fatal;
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::OneshotReceiverOf;
use openraft_rt::AsyncRuntime;

use super::flight::{Cargo, Purpose};
use super::{Proposer, Queued};
use crate::lease_clock::{LeaseClock, Note};
use crate::progress::Figures;
use crate::state_machine::StateMachine;
use crate::type_config::{Leadership, LogData, Types};

impl<RT: AsyncRuntime> Proposer<RT> {
    /// One turn in the leadership `term`. Does nothing before this node has applied the first entry
    /// of that leadership and noted where lease time stood.
    pub(super) async fn lead(&mut self, term: u64) {
        let progress = *self.progress.borrow_and_update();
        let Some(note) = progress.note.filter(|note| note.term == term) else {
            self.state.lease_clock = None;
            return;
        };
        self.enter_leadership(note);
        if self.held_back() {
            return;
        }
        let Some(figures) = progress.figures else {
            return self.found(term).await;
        };
        self.turn_clock(figures.at);
        while self.state.proposing < self.limits.batches_in_flight_max {
            let batch = self.queue.take();
            if batch.is_empty() {
                return self.pulse(term, &figures).await;
            }
            // The last command of the batch has arrived: only now is it stamped.
            let at = self.turn_clock(figures.at);
            self.propose(term, at, batch).await;
        }
    }

    fn enter_leadership(&mut self, note: Note) {
        let entered =
            self.state.lease_clock.as_ref().is_some_and(|clock| clock.term() == note.term);
        if !entered {
            self.state.lease_clock = Some(LeaseClock::from_note(note));
            self.state.last_stamp = LeaseTime::default();
            tracing::info!(term = note.term, lease_time = note.at.0, "this node leads");
        }
    }

    /// Turns the lease clock and reads it.
    fn turn_clock(&mut self, applied: LeaseTime) -> LeaseTime {
        let clock =
            self.state.lease_clock.as_mut().expect("the clock was set when leadership was entered");
        clock.turn(self.clock.read(), applied);
        clock.stamp()
    }

    async fn propose(&mut self, term: u64, at: LeaseTime, queued: Vec<Queued<RT::Instant>>) {
        let (commands, waiters) =
            queued.into_iter().map(|queued| (queued.command, queued.waiter)).unzip();
        let batch = Batch { at, commands };
        let data = LogData::Batch(batch.encode().into());
        self.state.last_stamp = self.state.last_stamp.max(at);
        self.state.proposing += 1;
        let cargo = Cargo { commands: batch.commands, waiters };
        self.send(term, data, cargo, Purpose::Propose).await;
    }

    async fn send(
        &mut self,
        term: u64,
        data: LogData,
        cargo: Cargo<RT::Instant>,
        purpose: Purpose,
    ) {
        let (taken, outcome) = hand_in(&self.raft, term, data).await;
        let deadline = cargo.deadline(self.timing.proposal_deadline);
        let flight = super::flight::propose::<RT>(taken, outcome, cargo, purpose, deadline);
        self.state.flights.push(Box::pin(flight));
    }

    /// Commits a stamp if one is due: something ends, or time itself must be remembered.
    async fn pulse(&mut self, term: u64, figures: &Figures) {
        let at = self.turn_clock(figures.at);
        if at >= self.pulse_due(figures) {
            let batch = Batch { at, commands: vec![Command::Pulse] };
            self.state.last_stamp = at;
            self.state.proposing += 1;
            let data = LogData::Batch(batch.encode().into());
            self.send(term, data, Cargo::default(), Purpose::Propose).await;
        }
    }

    /// The lease time at which a stamp should be committed if none is before.
    fn pulse_due(&self, figures: &Figures) -> LeaseTime {
        if figures.ends_are_left && self.state.proposing == 0 {
            // Any entry ends more of them; where none is under way, a pulse does, and at once.
            return figures.at;
        }
        let newest = self.state.last_stamp.max(figures.at);
        // A deadline that a stamp under way has passed needs no other.
        let deadline = figures.next_deadline.filter(|deadline| *deadline > newest);
        let interval = figures.time_matters.then(|| newest.plus_ms(figures.stamp_interval_ms));
        deadline.into_iter().chain(interval).min().unwrap_or(LeaseTime(u64::MAX))
    }

    /// How long until a pulse is due.
    pub(super) fn until_pulse(&self) -> Duration {
        let figures = self.progress.borrow().figures;
        match (&self.state.lease_clock, figures) {
            (Some(clock), Some(figures)) => clock.until(self.pulse_due(&figures)),
            _ => Duration::MAX,
        }
    }

    /// Founds the cluster: puts the state it starts with into the log.
    async fn found(&mut self, term: u64) {
        if !self.state.founding {
            self.state.founding = true;
            let state = LeaseState::new(self.settings.clone()).snapshot();
            let data = LogData::Founding(state.into());
            self.send(term, data, Cargo::default(), Purpose::Found).await;
        }
    }
}

/// Hands an entry to the library, bound to the leadership that stamped it: in any other it is refused,
/// and surely has no effect.
async fn hand_in<RT: AsyncRuntime>(
    raft: &Raft<Types<RT>, StateMachine<RT>>,
    term: u64,
    data: LogData,
) -> (Result<(), Fatal<Types<RT>>>, OneshotReceiverOf<Types<RT>, ClientWriteResult<Types<RT>>>) {
    let (responder, outcome) = openraft::impls::ProgressResponder::complete_only();
    let write = raft.write(data).with_leader(Leadership::new(term)).responder(responder);
    (write.await, outcome)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leasehold_clock::MachineClock;
    use leasehold_core::Settings;
    use leasehold_disk::fake::FakeDisk;
    use leasehold_disk::{BootId, DiskId, Identity};
    use openraft::errors::ClientWriteError;
    use openraft_rt_sim::SimRuntime;

    use super::*;
    use crate::transport::{Lane, PeerLink, Transport};
    use crate::{Execution, Limits, Member, Node, NodeConfig, SnapshotPolicy, Timing};

    /// A node alone has nobody to reach.
    #[derive(Debug)]
    struct Nobody;

    impl Transport for Nobody {
        fn link(&self, member: &Member, _: Lane) -> Arc<dyn PeerLink> {
            unreachable!("{member:?}")
        }
    }

    async fn alone() -> Node<SimRuntime> {
        let address = || "alone:1".to_owned();
        let member = Member { node_id: 1, client_address: address(), peer_address: address() };
        let config = NodeConfig {
            cluster_id: "test".to_owned(),
            node_id: 1,
            members: [(1, member)].into(),
            timing: Timing::quick(),
            limits: Limits::default(),
            snapshots: SnapshotPolicy::default(),
            execution: Execution::Tasks { sync: Duration::from_micros(150) },
            settings: Settings::default(),
        };
        let disk = FakeDisk::new(1).mount();
        let identity = Identity::claim(&*disk, "test", 1, DiskId([1; 16]), BootId([1; 16]))
            .expect("an empty disk");
        let clock = Arc::new(MachineClock);
        let node = Node::start(config, identity, disk, clock, Arc::new(Nobody)).await;
        let node = node.expect("the node starts");
        node.watch_status().wait_for(|status| status.serving).await.expect("it leads");
        node
    }

    #[test]
    fn an_entry_stamped_under_another_leadership_is_refused_and_surely_not_applied() {
        SimRuntime::with_seed(1).block_on(async {
            let node = alone().await;
            let term = node.status().term;
            let pulse = Batch { at: LeaseTime(1), commands: vec![Command::Pulse] };
            for (under, is_taken) in [(term - 1, false), (term + 1, false), (term, true)] {
                let data = LogData::Batch(pulse.encode().into());
                let (taken, outcome) = hand_in(&node.inner.raft, under, data).await;
                taken.expect("the node runs");
                match outcome.await.expect("the node answers") {
                    Ok(_) => assert!(is_taken, "stamped under {under}, taken under {term}"),
                    Err(ClientWriteError::ForwardToLeader(_)) => assert!(!is_taken),
                    Err(error) => panic!("{error}"),
                }
            }
            node.shutdown().await;
        });
    }
}
