//! L5 and I5: with all claims ended nothing is kept, and all members hold the same.

use std::time::Duration;

use super::super::oracles::Violation;
use super::super::process::true_time;
use super::super::world::World;
use super::{ANSWER_WITHIN, broken};

impl World {
    /// Every claim ends, whoever made it, and every id is forgotten in its time.
    pub(super) async fn nothing_is_left(&mut self, within: Duration) -> Result<(), Violation> {
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

    pub(super) async fn replicas_are_equal(&mut self) -> Result<(), Violation> {
        self.leave_out_whose_copy_was_believed_late();
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
                return Err(broken("I5 mended members agree", format!("{members:?}: {states:?}")));
            }
            self.live_until(true_time() + Duration::from_millis(100)).await?;
        }
    }
}
