//! L3: where only one node reaches all others, somebody leads and goes on leading.
//!
//! The partition that took etcd down at Cloudflare in 2020: whoever cannot hear the leader must not
//! keep deposing it.

use std::time::Duration;

use super::super::network::Place;
use super::super::oracles::Violation;
use super::super::process::true_time;
use super::super::world::World;
use super::broken;

impl World {
    pub(super) async fn a_hub_is_enough(&mut self) -> Result<(), Violation> {
        let members = self.machines.iter().filter(|(_, machine)| !machine.out);
        let members: Vec<u64> = members.map(|(id, _)| *id).collect();
        let hub = members[self.plan.seed as usize % members.len()];
        let spokes: Vec<u64> = members.into_iter().filter(|node| *node != hub).collect();
        for from in &spokes {
            for to in spokes.iter().filter(|to| *to != from) {
                self.network.cut(Place::Node(*from), Place::Node(*to));
            }
        }
        let settled = self.plan.timing.election_max * 8;
        self.live_until(true_time() + settled).await?;
        let before = self.leaderships();
        self.live_until(true_time() + Duration::from_secs(6)).await?;
        let changes = self.leaderships() - before;
        if changes > 1 {
            let what = format!("{changes} changes of leader in six seconds around node {hub}");
            return Err(broken("L3 a hub is enough for a stable leader", what));
        }
        self.a_free_resource_is_granted(4).await?;
        self.figures.count("hubs");
        self.network.mend_all();
        self.a_free_resource_is_granted(5).await
    }
}
