//! Processes that die, stop, sleep and hand over, and clocks that are pulled along.

use std::time::Duration;

use super::super::machine;
use super::super::network::Place;
use super::super::process;
use super::super::world::{Due, World};

impl World {
    pub(super) fn back_later(&mut self, id: u64) {
        let down = match self.chance.u8(0..4) {
            0 => self.ms(2_000..8_000),
            _ => self.ms(10..1_500),
        };
        self.later(down, Due::StartNode(id));
    }

    pub(super) fn strike_kill(&mut self, id: u64, power: bool) -> Option<String> {
        self.machines[&id].pid?;
        self.perform(Due::KillNode(id, power));
        Some(format!("node {id}"))
    }

    pub(super) fn orderly_stop(&mut self, id: u64) -> Option<String> {
        let machine = &self.machines[&id];
        let (pid, node) = (machine.pid?, machine.node.clone()?);
        process::spawn_in(pid, machine::leave_in_order(node, id, self.reporter.clone()));
        Some(format!("node {id}"))
    }

    pub(super) fn pause(&mut self, place: Place, ms: std::ops::Range<u64>) -> Option<String> {
        let pid = self.pid_of(place)?;
        let long = self.ms(ms);
        process::stop(pid);
        self.later(long, Due::GoOn(pid));
        Some(format!("{place:?} for {long:?}"))
    }

    /// Frozen machines are nodes only: a frozen client is beyond what any client can know.
    pub(super) fn sleep_machine(&mut self, frozen: bool) -> Option<String> {
        let node = Place::Node(self.some_node());
        let client = Place::Client(self.chance.u64(1..=self.plan.clients));
        let place = if frozen || self.chance.bool() { node } else { client };
        let pid = self.pid_of(place)?;
        let long = self.ms(100..10_000);
        process::stop(pid);
        let clocks = match place {
            Place::Client(id) => &self.clients[&id].clocks,
            Place::Node(id) => &self.machines[&id].clocks,
            Place::Store => return None,
        };
        match frozen {
            true => clocks.freeze(true),
            false => clocks.suspend(true),
        }
        self.later(long, Due::WakeUp(place));
        Some(format!("{place:?} for {long:?}"))
    }

    pub(crate) fn wake_up(&mut self, place: Place) {
        let clocks = match place {
            Place::Client(id) => &self.clients[&id].clocks,
            Place::Node(id) => &self.machines[&id].clocks,
            Place::Store => return,
        };
        clocks.freeze(false);
        clocks.suspend(false);
        self.pid_of(place).into_iter().for_each(process::go_on);
    }

    pub(super) fn blackout(&mut self) -> Option<String> {
        for id in 1..=self.plan.nodes {
            self.strike_kill(id, true);
        }
        Some("all nodes".to_owned())
    }

    pub(super) fn transfer(&mut self, id: u64) -> Option<String> {
        let machine = &self.machines[&id];
        let (pid, node) = (machine.pid?, machine.node.clone()?);
        process::spawn_in(pid, async move {
            node.hand_over_leadership().await;
        });
        Some(format!("away from node {id}"))
    }

    pub(super) fn strike_client_kill(&mut self) -> Option<String> {
        let client = self.chance.u64(1..=self.plan.clients);
        self.clients[&client].pid?;
        self.kill_client(client);
        let after = self.ms(100..3_000);
        self.later(after, Due::StartClient(client));
        Some(format!("client {client}"))
    }

    pub(super) fn strike_slew(&mut self) -> Option<String> {
        let place = match self.chance.bool() {
            true => Place::Node(self.some_node()),
            false => Place::Client(self.chance.u64(1..=self.plan.clients)),
        };
        let rate = self.chance.i64(-80_000..=80_000);
        self.slew(place, rate);
        let long = self.ms(1_000..20_000);
        self.later(long, Due::EndSlew(place));
        Some(format!("{place:?} by {rate} ppm for {long:?}"))
    }

    pub(super) fn slew(&mut self, place: Place, rate: i64) {
        match place {
            Place::Node(id) => self.machines[&id].clocks.slew(rate),
            Place::Client(id) => self.clients[&id].clocks.slew(rate),
            Place::Store => {}
        }
    }

    /// Half of the nodes that are asked for a snapshot die a moment later.
    pub(super) fn snapshot(&mut self, id: u64) -> Option<String> {
        let machine = &self.machines[&id];
        let (pid, node) = (machine.pid?, machine.node.clone()?);
        process::spawn_in(pid, async move {
            node.take_snapshot().await;
        });
        let (dies, power) = (self.chance.bool(), self.chance.bool());
        let after = Duration::from_micros(self.chance.u64(0..60_000));
        if dies {
            self.later(after, Due::KillNode(id, power));
        }
        Some(format!("of node {id}{}", if dies { ", which dies" } else { "" }))
    }
}
