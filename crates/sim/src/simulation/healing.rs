//! After the faults: what is mended must make progress, agree, and leave nothing behind.
//!
//! A system that refuses everything is perfectly safe. So, with all faults gone: L1, somebody leads and
//! answers soon; L2 and L4, every resource becomes free, whoever died holding it; L5, with all claims
//! ended, nothing is kept; I5, all replicas are equal.

use std::time::Duration;

use leasehold_core::Command;
use leasehold_raft::{Node, Role};

use super::oracles::Violation;
use super::process::{self, SimProcesses, true_time};
use super::random::digest;
use super::seen::StateSeen;
use super::world::World;

/// One election, with room for nodes that start and disks that are read.
const LEADER_WITHIN: Duration = Duration::from_secs(8);
/// For what is asked of a cluster that works.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

fn broken(oracle: &str, what: String) -> Violation {
    Violation { oracle: oracle.to_owned(), at: true_time(), what }
}

impl World {
    /// Mends everything and asks for what must then come true.
    pub(crate) async fn heal(&mut self) -> Result<(), Violation> {
        self.mend_everything();
        self.somebody_leads().await?;
        // Applications go on for a while and then stop wishing.
        self.live_until(self.plan.faults_last + Duration::from_secs(6)).await?;
        let everything_over = Duration::from_secs(40) + Duration::from_millis(self.plan.ttl_ms.1);
        self.nothing_is_left(everything_over).await?;
        self.replicas_are_equal().await
    }

    fn nodes(&self) -> Vec<Node<SimProcesses>> {
        let members = self.machines.values().filter(|machine| !machine.out);
        members.filter_map(|machine| machine.node.clone()).collect()
    }

    async fn somebody_leads(&mut self) -> Result<(), Violation> {
        let end = true_time() + LEADER_WITHIN;
        loop {
            let serving = |node: &Node<SimProcesses>| {
                let status = node.status();
                status.role == Role::Leader && status.serving && status.has_quorum
            };
            if let Some(leader) = self.nodes().into_iter().find(serving) {
                let pulse = leader.propose(Command::Pulse);
                let within = true_time() + ANSWER_WITHIN;
                if let Ok(pulse) = pulse
                    && self.while_living(pulse, within).await?.is_some_and(|answer| answer.is_ok())
                {
                    return Ok(());
                }
            }
            if true_time() > end {
                let roles: Vec<_> = self.nodes().iter().map(Node::status).collect();
                return Err(broken("L1 a mended cluster serves", format!("{roles:?}")));
            }
            self.live_until(true_time() + Duration::from_millis(50)).await?;
        }
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
        let asked = async move {
            node.query(|state| StateSeen {
                revision: state.revision(),
                digest: digest(&state.snapshot()),
                broken: state.broken_invariants(),
                claims: state.claims_len(),
                ended: state.ended_len(),
                next_token: state.next_token(),
            })
            .await
        };
        let end = true_time() + ANSWER_WITHIN;
        Ok(self.while_living(asked, end).await?.and_then(Result::ok))
    }

    /// Every claim ends, whoever made it, and every id is forgotten in its time.
    async fn nothing_is_left(&mut self, within: Duration) -> Result<(), Violation> {
        let forgotten = Duration::from_millis(self.plan.settings.ended_memory_ms);
        let (claims_end, end) =
            (true_time() + within, true_time() + within + forgotten + ANSWER_WITHIN);
        let mut last = None;
        while true_time() < end {
            for node in self.nodes() {
                last = self.look(node).await?.or(last);
            }
            match &last {
                Some(state) if state.claims == 0 && state.ended == 0 => return Ok(()),
                Some(state) if state.claims > 0 && true_time() > claims_end => break,
                _ => self.live_until(true_time() + Duration::from_millis(500)).await?,
            }
        }
        Err(broken("L5 nothing is left behind", format!("{last:?}")))
    }

    async fn replicas_are_equal(&mut self) -> Result<(), Violation> {
        let end = true_time() + ANSWER_WITHIN * 2;
        let members: Vec<u64> =
            self.machines.iter().filter(|(_, machine)| !machine.out).map(|(id, _)| *id).collect();
        loop {
            let mut states = Vec::new();
            for id in &members {
                let node = self.machines[id].node.clone();
                states.push(match node {
                    Some(node) => self.look(node).await?,
                    None => None,
                });
            }
            if states.iter().all(|state| state.is_some() && *state == states[0]) {
                return Ok(());
            }
            if true_time() > end {
                return Err(broken("L3 replicas converge", format!("{members:?}: {states:?}")));
            }
            self.live_until(true_time() + Duration::from_millis(100)).await?;
        }
    }
}
