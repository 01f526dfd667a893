//! From a command to a log entry: collect, close, stamp, propose; or pass on to the leader.
//!
//! One task owns all of it. It waits for something to happen ([`Proposer::wait`]) and then takes one
//! turn ([`Proposer::turn`]): if this node leads it closes batches, stamps and proposes them; if it
//! follows it passes commands on, one hop and no further; if nobody leads it waits, within the
//! patience of each command. Several batches are in flight; what comes back is answered by position.
//!
//! Two rules make stamps safe. A batch is stamped *after* its last command was taken: a stamp older
//! than a request it covers would end leases early. And an entry is bound to the leadership whose
//! clock stamped it: a deposed leader can neither expire nor renew (etcd#12528 and etcd#15247 are
//! what happens otherwise).

mod flight;
mod follow;
mod lead;
mod queue;
mod queued;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leasehold_clock::Clock;
use leasehold_core::{Command, Settings};
use leasehold_types::{Fault, LeaseTime};
use openraft::Raft;
use openraft_rt::{AsyncRuntime, Instant};

use crate::lease_clock::LeaseClock;
use crate::peers::Peers;
use crate::progress::Progress;
use crate::standing::{Standing, StandingWatch};
use crate::state_machine::StateMachine;
use crate::type_config::Types;
use crate::watched::Watched;
use crate::{Limits, Outcomes, Proposal, Timing};

use flight::{Flight, Landed, Purpose};
pub(crate) use queue::Queue;
pub(crate) use queued::{Origin, Queued};

/// Where commands are handed in.
pub(crate) struct Intake<RT: AsyncRuntime> {
    pub(crate) queue: Arc<Queue<RT::Instant>>,
}

impl<RT: AsyncRuntime> Clone for Intake<RT> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<RT: AsyncRuntime> fmt::Debug for Intake<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intake")
    }
}

impl<RT: AsyncRuntime> Intake<RT> {
    /// Takes a command in that has waited elsewhere for `waited`, or says at once why not.
    pub(crate) fn propose(
        &self,
        command: Command,
        origin: Origin,
        waited: Duration,
    ) -> Result<Proposal, Fault> {
        let (reply, proposal) = Proposal::promised();
        self.queue.put(Queued::new(command, origin, RT::Instant::now(), waited, reply))?;
        Ok(proposal)
    }

    /// Takes a command of a client in, whose outcome arrives among others; or says at once why not.
    pub(crate) fn propose_into(
        &self,
        command: Command,
        outcomes: &Outcomes,
        number: usize,
    ) -> Result<(), Fault> {
        let (now, waited) = (RT::Instant::now(), Duration::ZERO);
        let reply = outcomes.promise(number);
        self.queue.put(Queued::new(command, Origin::Client, now, waited, reply))
    }
}

/// The owner of everything between the queue and the log.
pub(crate) struct Proposer<RT: AsyncRuntime> {
    pub(crate) raft: Raft<Types<RT>, StateMachine<RT>>,
    pub(crate) queue: Arc<Queue<RT::Instant>>,
    pub(crate) standing: StandingWatch<RT>,
    pub(crate) progress: Watched<RT, Progress>,
    pub(crate) stop: Watched<RT, bool>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    /// What a new cluster is founded with.
    pub(crate) settings: Settings,
    pub(crate) state: TurnState<RT>,
}

/// What the proposer remembers from turn to turn.
pub(crate) struct TurnState<RT: AsyncRuntime> {
    flights: FuturesUnordered<Flight<RT::Instant>>,
    proposing: usize,
    forwarding: usize,
    founding: bool,
    /// Lease time of the leadership this node has, once it has noted its start.
    lease_clock: Option<LeaseClock>,
    /// The largest stamp under way or applied in this leadership.
    last_stamp: LeaseTime,
    /// Something was just refused: nothing is sent before.
    hold_until: Option<RT::Instant>,
}

impl<RT: AsyncRuntime> Default for TurnState<RT> {
    fn default() -> Self {
        Self {
            flights: FuturesUnordered::new(),
            proposing: 0,
            forwarding: 0,
            founding: false,
            lease_clock: None,
            last_stamp: LeaseTime::default(),
            hold_until: None,
        }
    }
}

/// Why a turn is taken.
enum Wake<I> {
    Stop,
    Landed(Landed<I>),
    Arrived,
    Changed,
}

impl<RT: AsyncRuntime> Proposer<RT> {
    /// Runs until the node stops; then answers what still waits in the queue.
    pub(crate) async fn run(mut self) {
        loop {
            match self.wait().await {
                Wake::Stop => break,
                Wake::Landed(landed) => self.land(landed),
                Wake::Arrived => let_others_arrive().await,
                Wake::Changed => {}
            }
            self.turn().await;
        }
        for queued in self.queue.close() {
            queued.waiter.answer(Err(Fault::ShuttingDown));
        }
    }

    /// Only waits. Dropping any of what is waited for loses nothing.
    async fn wait(&mut self) -> Wake<RT::Instant> {
        let standing = self.standing.now();
        let idle = RT::sleep(self.idle_for(&standing));
        let may_send = self.may_send(&standing);
        let awaits_note =
            matches!(standing, Standing::Leading { .. }) && self.state.lease_clock.is_none();
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => Wake::Stop,
            Some(landed) = self.state.flights.next(), if !self.state.flights.is_empty() => Wake::Landed(landed),
            () = self.standing.changed() => Wake::Changed,
            Ok(()) = self.progress.changed(), if awaits_note => Wake::Changed,
            () = self.queue.arrived(), if may_send => Wake::Arrived,
            () = idle => Wake::Changed,
        }
    }

    /// Decides and sends; waits for nothing but room in the library's queue.
    async fn turn(&mut self) {
        let standing = self.standing.now();
        match &standing {
            Standing::Leading { term } => self.lead(*term).await,
            Standing::Following { leader } => {
                self.leave_leadership();
                self.follow(leader);
            }
            Standing::Leaderless => self.leave_leadership(),
        }
        self.answer_overdue(&standing);
    }

    fn leave_leadership(&mut self) {
        self.state.lease_clock = None;
        let fault = Fault::NoLeader { leader_address: self.standing.now().leader_address() };
        for queued in self.queue.take_from_peers() {
            queued.waiter.answer(Err(fault.clone()));
        }
    }

    /// Answers what has waited in the queue for too long. It was never sent, so it surely has no
    /// effect.
    fn answer_overdue(&self, standing: &Standing) {
        let (patience, fault) = if self.held_back() || *standing == Standing::Leaderless {
            let leader_address = standing.leader_address();
            (self.timing.leaderless_patience, Fault::NoLeader { leader_address })
        } else {
            let limit = self.limits.queue_commands_max as u64;
            (self.timing.proposal_deadline, Fault::QueueFull { limit })
        };
        let now = RT::Instant::now();
        for queued in self.queue.overdue(|waiter| waiter.waited(now), patience) {
            queued.waiter.answer(Err(fault.clone()));
        }
    }

    /// Takes in what came back.
    fn land(&mut self, landed: Landed<RT::Instant>) {
        match landed.purpose {
            Purpose::Propose => self.state.proposing -= 1,
            Purpose::Forward => self.state.forwarding -= 1,
            Purpose::Found => self.state.founding = false,
        }
        if landed.refused {
            self.state.hold_until = Some(RT::Instant::now() + self.timing.heartbeat / 2);
            self.state.last_stamp = LeaseTime::default();
        }
        self.queue.give_back(landed.unsent);
    }

    fn held_back(&self) -> bool {
        self.state.hold_until.is_some_and(|until| RT::Instant::now() < until)
    }

    /// Whether a turn could send what waits in the queue.
    fn may_send(&self, standing: &Standing) -> bool {
        !self.held_back()
            && match standing {
                Standing::Leading { .. } => {
                    self.state.lease_clock.is_some()
                        && self.state.proposing < self.limits.batches_in_flight_max
                }
                Standing::Following { .. } => {
                    self.state.forwarding < self.limits.forwards_in_flight_max
                }
                Standing::Leaderless => false,
            }
    }

    /// How long nothing needs to be done if nothing happens.
    fn idle_for(&self, standing: &Standing) -> Duration {
        let mut idle = self.timing.turn;
        if let Some(until) = self.state.hold_until {
            let left = until.saturating_duration_since(RT::Instant::now());
            idle = if left.is_zero() { idle } else { idle.min(left) };
        }
        if matches!(standing, Standing::Leading { .. }) && self.may_send(standing) {
            idle = idle.min(self.until_pulse());
        }
        idle.max(SHORTEST_SLEEP)
    }
}

/// Lease time has a grain of a millisecond: to wake more often changes nothing.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Lets every task that is ready run once: what they hand in rides in the same batch.
async fn let_others_arrive() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return std::task::Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
