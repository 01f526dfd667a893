//! SIGKILL: one node, the leader, all at once, a store, a client.

use std::time::Duration;

use crate::Outcome;
use crate::rig::Rig;

fn killed(rig: &mut Rig, whom: &str, really: bool) {
    rig.tally.add("sigkills", u64::from(really));
    rig.tally.add(whom, u64::from(really));
}

/// Any node.
pub(super) async fn any(rig: &mut Rig) -> Outcome<()> {
    let at = rig.random.usize(..rig.cluster.nodes.len());
    let down = rig.between(0, 800);
    node(rig, at, "kills of a node", down).await
}

/// Whoever leads.
pub(super) async fn leader(rig: &mut Rig) -> Outcome<()> {
    let Some(at) = rig.wait_for_leader().await? else { return Ok(()) };
    let down = rig.between(0, 1_500);
    node(rig, at, "kills of the leader", down).await
}

async fn node(rig: &mut Rig, at: usize, whom: &str, down: Duration) -> Outcome<()> {
    let really = rig.cluster.nodes[at].kill()?;
    killed(rig, whom, really);
    rig.pass(down).await?;
    rig.cluster.nodes[at].start(&rig.network)
}

/// All nodes at once, as a power cut of the room does it; what was written stays written.
pub(super) async fn all(rig: &mut Rig) -> Outcome<()> {
    for at in 0..rig.cluster.nodes.len() {
        let really = rig.cluster.nodes[at].kill()?;
        killed(rig, "kills of all nodes at once", really);
    }
    let down = rig.between(0, 300);
    rig.pass(down).await?;
    rig.cluster.start_all(&rig.network)
}

/// A store, under whatever it is writing.
pub(super) async fn store(rig: &mut Rig) -> Outcome<()> {
    let at = rig.random.usize(..rig.cluster.stores.len());
    let really = rig.cluster.stores[at].kill()?;
    killed(rig, "kills of a store", really);
    let down = rig.between(0, 400);
    rig.pass(down).await?;
    rig.cluster.stores[at].start(&rig.network)
}

/// Up to three clients with whatever they hold. Others take their seats.
pub(super) async fn clients(rig: &mut Rig) -> Outcome<()> {
    for _ in 0..rig.random.u8(1..=3) {
        let at = rig.random.usize(..rig.crew.seats.len());
        let really = rig.crew.seats[at].daemon.kill()?;
        killed(rig, "kills of a client", really);
        rig.crew.start(at, &rig.network)?;
    }
    Ok(())
}
