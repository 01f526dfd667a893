//! What a proposer does while its node leads.

use std::time::Duration;

use leasehold_core::{Batch, Command, LeaseState};
use leasehold_types::LeaseTime;
use openraft_rt::AsyncRuntime;

use super::flight::{Cargo, Purpose};
use super::{Proposer, Queued};
use crate::lease_clock::{LeaseClock, Note};
use crate::progress::Figures;
use crate::type_config::{Leadership, LogData};

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

    /// Proposes an entry bound to the leadership that stamped it.
    async fn send(
        &mut self,
        term: u64,
        data: LogData,
        cargo: Cargo<RT::Instant>,
        purpose: Purpose,
    ) {
        let (responder, outcome) = openraft::impls::ProgressResponder::complete_only();
        let write = self.raft.write(data).with_leader(Leadership::new(term)).responder(responder);
        let taken = write.await;
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
