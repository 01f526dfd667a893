//! Linearizable read points.
//!
//! A read point is a place in the log that a leader, confirmed by a majority *after* it was asked,
//! knows to be no older than anything answered before (ReadIndex; Ongaro, PhD thesis, 6.4). State that
//! has applied it may be read. Calls that wait at the same time share one round.
//!
//! Deliberately absent: reads on the strength of a leader's lease. They would trust the election
//! timers of other machines.

use std::fmt;
use std::sync::Arc;

use leasehold_api::pb::peer::v1 as pb;
use leasehold_types::Fault;
use openraft::errors::RaftError;
use openraft::{Raft, ReadPolicy};
use openraft_rt::{AsyncRuntime, Instant};
use tokio::sync::{mpsc, oneshot};

use crate::Timing;
use crate::peers::{Peers, fault_from_wire};
use crate::progress::Progress;
use crate::standing::{Standing, StandingWatch};
use crate::state_machine::StateMachine;
use crate::type_config::{LogId, Types};
use crate::watched::Watched;
use crate::wire;

/// Gets read points, from this node if it leads and else from the leader.
pub(crate) struct ReadPoints<RT: AsyncRuntime> {
    pub(crate) raft: Raft<Types<RT>, StateMachine<RT>>,
    pub(crate) standing: StandingWatch<RT>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) timing: Timing,
}

impl<RT: AsyncRuntime> Clone for ReadPoints<RT> {
    fn clone(&self) -> Self {
        let Self { raft, standing, peers, timing } = self;
        Self {
            raft: raft.clone(),
            standing: standing.clone(),
            peers: peers.clone(),
            timing: timing.clone(),
        }
    }
}

impl<RT: AsyncRuntime> fmt::Debug for ReadPoints<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadPoints")
    }
}

impl<RT: AsyncRuntime> ReadPoints<RT> {
    /// A read point if this node leads.
    pub(crate) async fn as_leader(&self) -> Result<LogId, Fault> {
        let asked = self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
        asked.map(|point| *point.read_log_id().log_id()).map_err(|error| match error {
            RaftError::APIError(_) => self.no_leader(),
            RaftError::Fatal(_) => Fault::ShuttingDown,
        })
    }

    async fn ask_leader(&self, leader: &crate::Member) -> Result<LogId, Fault> {
        use pb::read_index_reply::Outcome;
        let asked = self.peers.read_index(leader, self.timing.election_max).await;
        match asked.ok().and_then(|reply| reply.outcome) {
            Some(Outcome::ReadLogId(at)) => Ok(wire::log_id_from_wire(at)),
            Some(Outcome::Fault(fault)) => Err(fault_from_wire(fault)),
            // Asking changes nothing, so not to know is not to have.
            None => Err(self.no_leader()),
        }
    }

    async fn once(&self) -> Result<LogId, Fault> {
        match self.standing.now() {
            Standing::Leading { .. } => self.as_leader().await,
            Standing::Following { leader } => self.ask_leader(&leader).await,
            Standing::Leaderless => Err(self.no_leader()),
        }
    }

    fn no_leader(&self) -> Fault {
        Fault::NoLeader { leader_address: self.standing.now().leader_address() }
    }
}

/// Whoever waits for a barrier.
pub(crate) type BarrierWaiter = oneshot::Sender<Result<(), Fault>>;

/// Barriers that wait at the same time.
pub(crate) const WAITERS_MAX: usize = 65_536;

/// Serves barriers, one round for all that wait, until every asker is gone.
pub(crate) async fn serve<RT: AsyncRuntime>(
    points: ReadPoints<RT>,
    mut progress: Watched<RT, Progress>,
    mut waiting: mpsc::Receiver<BarrierWaiter>,
) {
    let mut round = Vec::new();
    while waiting.recv_many(&mut round, WAITERS_MAX).await > 0 {
        let outcome = pass_one(&points, &mut progress).await;
        for waiter in round.drain(..) {
            // Whoever gave up does not want to know.
            let _ = waiter.send(outcome.clone());
        }
    }
}

/// Gets a read point, trying again while there is time, and waits until it is applied here.
async fn pass_one<RT: AsyncRuntime>(
    points: &ReadPoints<RT>,
    progress: &mut Watched<RT, Progress>,
) -> Result<(), Fault> {
    let deadline = RT::Instant::now() + points.timing.barrier_deadline;
    let point = loop {
        match points.once().await {
            Ok(point) => break point,
            Err(fault @ Fault::NoLeader { .. }) if RT::Instant::now() >= deadline => {
                return Err(fault);
            }
            Err(Fault::NoLeader { .. }) => RT::sleep(points.timing.heartbeat / 2).await,
            Err(fault) => return Err(fault),
        }
    };
    let caught_up =
        |progress: &Progress| progress.applied.is_some_and(|at| at.index >= point.index);
    match RT::timeout_at(deadline, progress.wait_for(caught_up)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Fault::ShuttingDown),
        Err(_) => Err(points.no_leader()),
    }
}
