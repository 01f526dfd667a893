//! After the faults: what is mended must make progress, agree, and leave nothing behind.
//!
//! A system that refuses everything is perfectly safe. So, with all faults gone: L1, a free resource is
//! granted soon; then one of three trials, which the seed picks: L2, a dead holder's resource comes
//! free; L4, it does so although leadership changes all the time; L3, a leader that only some can reach
//! stays. Then L5, with all claims ended, nothing is kept; and I5, all members hold the same.

mod dead_holder;
mod hub;
mod leftovers;

use std::time::Duration;

use leasehold_core::{Answer, Command};
use leasehold_raft::{Node, Role};
use leasehold_types::{Acquire, Holder, LeaseTtl, RequestId, ResourceName, Standing, WaitLimit};

use super::machine;
use super::oracles::Violation;
use super::plan::Trial;
use super::process::{self, SimProcesses, true_time};
use super::seen::StateSeen;
use super::world::World;

/// For what is asked of a cluster that works.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

fn broken(oracle: &str, what: String) -> Violation {
    Violation { oracle: oracle.to_owned(), at: true_time(), what }
}

/// What the world itself claims: once for each number.
fn claim(number: u8, resource: &str, ttl: Duration, wait: Duration) -> Acquire {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Acquire {
        resource: ResourceName::new(resource).expect("a name"),
        holder: Holder::new("the world").expect("a holder"),
        request: RequestId::from_bytes([number; 16]),
        ttl: LeaseTtl::from_ms(ms(ttl)).expect("a ttl"),
        wait: WaitLimit::from_ms(ms(wait)).expect("a wait"),
    }
}

impl World {
    /// Mends everything and asks for what must then come true.
    pub(crate) async fn heal(&mut self) -> Result<(), Violation> {
        self.mend_everything();
        self.a_free_resource_is_granted(1).await?;
        match self.plan.trial {
            Trial::DeadHolder => self.a_dead_holder_goes(false).await?,
            Trial::DeadHolderAndElections => self.a_dead_holder_goes(true).await?,
            Trial::Hub => self.a_hub_is_enough().await?,
        }
        // Applications go on for a while and then stop wishing.
        self.live_until(self.plan.faults_last + Duration::from_secs(6)).await?;
        let everything_over = Duration::from_secs(50) + Duration::from_millis(self.plan.ttl_ms.1);
        self.nothing_is_left(everything_over).await?;
        self.replicas_are_equal().await
    }

    /// The nodes of members.
    fn nodes(&self) -> Vec<Node<SimProcesses>> {
        let members = self.machines.values().filter(|machine| !machine.out);
        members.filter_map(|machine| machine.node.clone()).collect()
    }

    fn leader(&self) -> Option<Node<SimProcesses>> {
        self.nodes().into_iter().find(|node| {
            let status = node.status();
            status.role == Role::Leader && status.serving && status.has_quorum
        })
    }

    /// One election, with room for nodes that start and disks that are read.
    fn leader_within(&self) -> Duration {
        Duration::from_secs(7) + self.plan.timing.election_max * 4
    }

    /// L1. Each number is another claim.
    async fn a_free_resource_is_granted(&mut self, number: u8) -> Result<(), Violation> {
        let ask = claim(number, "world/free", Duration::from_secs(5), Duration::from_secs(5));
        let end = true_time() + self.leader_within();
        while true_time() <= end {
            let claimed = self.ask(Command::Acquire(ask.clone())).await?;
            if let Some(Answer::Claim(claim)) = claimed
                && let Standing::Held { .. } = claim.standing
            {
                return self.answered(Command::Cancel { request: ask.request }).await;
            }
            self.live_until(true_time() + Duration::from_millis(50)).await?;
        }
        let roles: Vec<_> = self.nodes().iter().map(Node::status).collect();
        Err(broken("L1 a free resource is granted", format!("{roles:?}")))
    }

    /// Asks until somebody answers.
    async fn answered(&mut self, command: Command) -> Result<(), Violation> {
        let end = true_time() + self.leader_within();
        while self.ask(command.clone()).await?.is_none() {
            if true_time() > end {
                return Err(broken("L1 a free resource is granted", format!("to {command:?}")));
            }
            self.live_until(true_time() + Duration::from_millis(10)).await?;
        }
        Ok(())
    }

    /// Asks the leader; `None` when there is none, or when it does not know.
    async fn ask(&mut self, command: Command) -> Result<Option<Answer>, Violation> {
        let Some(Ok(proposal)) = self.leader().map(|leader| leader.propose(command)) else {
            return Ok(None);
        };
        let answer = self.while_living(proposal, true_time() + ANSWER_WITHIN).await?;
        Ok(answer.and_then(Result::ok).map(|outcome| outcome.answer))
    }

    /// Waits for an answer while everything else is judged.
    async fn while_living<T: Send + 'static>(
        &mut self,
        answer: impl Future<Output = T> + Send + 'static,
        end: Duration,
    ) -> Result<Option<T>, Violation> {
        let (sender, mut receiver) = tokio::sync::oneshot::channel();
        process::spawn_in(process::WORLD, async move {
            // The world stops listening at the end.
            let _ = sender.send(answer.await);
        });
        while true_time() < end {
            if let Ok(answer) = receiver.try_recv() {
                return Ok(Some(answer));
            }
            self.live_until(true_time() + Duration::from_millis(10)).await?;
        }
        Ok(None)
    }

    async fn look(&mut self, node: Node<SimProcesses>) -> Result<Option<StateSeen>, Violation> {
        let asked = async move { node.query(machine::look).await };
        let end = true_time() + ANSWER_WITHIN;
        Ok(self.while_living(asked, end).await?.and_then(Result::ok))
    }
}
