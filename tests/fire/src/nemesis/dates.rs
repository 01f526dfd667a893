//! The date of some hosts is set, to yesterday or to another decade. Nothing may come of it.

use crate::Outcome;
use crate::rig::Rig;

const DAY: i64 = 86_400;
const YEARS: i64 = 35 * 365 * DAY;

/// Of one machine, or of many, nodes and stores and clients alike. It stays so.
pub(super) fn set(rig: &mut Rig) -> Outcome<()> {
    let mut hosts = [rig.node_hosts(), rig.store_hosts(), rig.client_hosts()].concat();
    rig.random.shuffle(&mut hosts);
    hosts.truncate(rig.random.usize(1..=hosts.len()));
    for host in &hosts {
        let most = if rig.random.bool() { DAY } else { YEARS };
        rig.dates.set(host, rig.random.i64(-most..=most))?;
    }
    rig.tally.add("dates set", hosts.len() as u64);
    Ok(())
}
