//! A leader that is not heard to be alive by a majority must not keep the majority from electing.
//!
//! Cut a leader's incoming traffic only, and its appends still reach the followers, renew their trust
//! in it, and nobody stands for election although nothing can be committed. The library falls silent
//! with its heartbeats then (`quorum_loss_probe_interval`), but not with replication. So this gate
//! refuses both, in turns: quiet for one phase, in which the followers may elect, then open for one,
//! so that a leader whose majority returns without an election can go on. It concerns liveness only;
//! leaving it out never makes anything unsafe.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openraft::Instant;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftMetrics;
use openraft::type_config::alias::{InstantOf, WatchReceiverOf};
use openraft_rt::AsyncRuntime;

use crate::Timing;
use crate::type_config::Types;

/// See the module.
pub(crate) struct QuorumGate<RT: AsyncRuntime> {
    metrics: OnceLock<WatchReceiverOf<Types<RT>, RaftMetrics<Types<RT>>>>,
    /// A term, and when this node was first seen to have it: where the counting starts for a leader
    /// that no majority has answered yet.
    term_began: Mutex<Option<(u64, InstantOf<Types<RT>>)>>,
    trust: Duration,
    phase: Duration,
}

impl<RT: AsyncRuntime> fmt::Debug for QuorumGate<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuorumGate")
    }
}

impl<RT: AsyncRuntime> QuorumGate<RT> {
    pub(crate) fn new(timing: &Timing) -> Self {
        let (trust, phase) = (timing.election_max, timing.quorum_loss_phase);
        Self { metrics: OnceLock::new(), term_began: Mutex::new(None), trust, phase }
    }

    /// Tells the gate where to look; until then it is open.
    pub(crate) fn watch(&self, metrics: WatchReceiverOf<Types<RT>, RaftMetrics<Types<RT>>>) {
        // There is one node for each gate, which calls this once.
        let _ = self.metrics.set(metrics);
    }

    /// Whether appends may be sent now.
    pub(crate) fn is_open(&self) -> bool {
        let Some(metrics) = self.metrics.get() else {
            return true;
        };
        let (term, acked, voters) = {
            let metrics = metrics.borrow_watched();
            let acked = metrics.last_quorum_acked.as_ref().map(|at| **at);
            (metrics.current_term, acked, metrics.membership_config.voter_ids().count())
        };
        voters <= 1 || may_send(self.since(term, acked).elapsed(), self.trust, self.phase)
    }

    fn since(&self, term: u64, acked: Option<InstantOf<Types<RT>>>) -> InstantOf<Types<RT>> {
        let mut began = self.term_began.lock().unwrap_or_else(PoisonError::into_inner);
        let known = began.filter(|(of, _)| *of == term);
        let (_, began) =
            *began.insert(known.unwrap_or_else(|| (term, InstantOf::<Types<RT>>::now())));
        acked.unwrap_or(began)
    }
}

/// Whether a leader that a majority answered `silence` ago may send.
fn may_send(silence: Duration, trust: Duration, phase: Duration) -> bool {
    let Some(lost_for) = silence.checked_sub(trust) else {
        return true;
    };
    let turn = lost_for.as_millis() / phase.as_millis().max(1);
    turn % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_speaks_while_heard_then_is_quiet_and_speaks_in_turns() {
        let ms = Duration::from_millis;
        let speaks = |silence| may_send(ms(silence), ms(300), ms(600));
        assert!(speaks(0) && speaks(299));
        assert!(!speaks(300) && !speaks(899));
        assert!(speaks(900) && speaks(1_499));
        assert!(!speaks(1_500));
    }
}
