//! Faults of single links, by the proxies: some directions between some hosts, for a while.

use super::kills;
use crate::Outcome;
use crate::rig::Rig;
use crate::rig::network::Host;
use crate::rig::proxy::Fault;

/// A few directions get a fault each. Now and then a node dies meanwhile.
pub(super) async fn disturb(rig: &mut Rig) -> Outcome<()> {
    for _ in 0..rig.random.usize(1..=4) {
        let (from, to, peers) = direction(rig);
        let fault = draw(rig, peers);
        rig.proxies.set(&from, &to, fault);
        if rig.random.bool() {
            // The way back as well.
            rig.proxies.set(&to, &from, fault);
        }
    }
    let time = rig.between(300, 2_000);
    rig.pass(time).await?;
    if rig.random.u8(..4) == 0 {
        kills::any(rig).await?;
    }
    rig.proxies.calm();
    Ok(())
}

/// From whom, to whom, and whether both are nodes.
fn direction(rig: &mut Rig) -> (Host, Host, bool) {
    let nodes = rig.node_hosts();
    let mut pair = nodes.clone();
    rig.random.shuffle(&mut pair);
    let peers = rig.random.u8(..3) > 0;
    if !peers {
        let servers = if rig.random.bool() { nodes } else { rig.store_hosts() };
        let clients = rig.client_hosts();
        pair = vec![
            clients[rig.random.usize(..clients.len())].clone(),
            servers[rig.random.usize(..servers.len())].clone(),
        ];
        rig.random.shuffle(&mut pair);
    }
    let to = pair.swap_remove(1);
    (pair.swap_remove(0), to, peers)
}

/// Bytes are changed only between nodes, whose messages carry a checksum. What clients and stores say to
/// each other has TCP's and no other: there a changed byte is another message.
fn draw(rig: &mut Rig, peers: bool) -> Fault {
    match rig.random.u8(..if peers { 7 } else { 5 }) {
        0 | 1 => Fault::Delay(rig.between(1, 60), rig.between(1, 120)),
        2 => Fault::Hold,
        3 => Fault::Swallow,
        4 => Fault::Reset,
        _ => Fault::Corrupt,
    }
}
