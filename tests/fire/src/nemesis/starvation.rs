//! A node that gets next to no processor time.
//!
//! By pulses: stopped for most of each tenth of a second. A quota of the kernel does the same thing, and
//! is not to be had everywhere.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::rig::Rig;

/// Any node, for a second or two.
pub(super) async fn starve(rig: &mut Rig) -> Outcome<()> {
    let at = rig.random.usize(..rig.cluster.nodes.len());
    let until = Instant::now() + rig.between(800, 2_500);
    let stopped = rig.between(60, 95);
    let mut pulses = 0;
    while Instant::now() < until {
        if rig.cluster.nodes[at].daemon.stop() {
            pulses += 1;
        }
        rig.pass(stopped).await?;
        rig.cluster.nodes[at].daemon.go_on();
        tokio::time::sleep(Duration::from_millis(100).saturating_sub(stopped)).await;
    }
    rig.tally.add("starvations", u64::from(pulses > 3));
    Ok(())
}
