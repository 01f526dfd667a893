//! What goes wrong: each class of faults strikes, and plans how it ends.

mod disks;
mod paths;
mod processes;

use std::time::Duration;

use leasehold_raft::Role;

use super::network::{Place, Weather};
use super::plan::FaultClass;
use super::process::{self, Pid};
use super::seen::Seen;
use super::world::{Due, Machine, World};

impl World {
    /// Does what is due.
    pub(crate) fn perform(&mut self, due: Due) {
        match due {
            Due::Strike if self.healing => {}
            Due::Strike => {
                self.strike();
                let calm = self.plan.calm.as_millis() as u64;
                let pause = Duration::from_millis(self.chance.u64(calm / 4..=calm * 2));
                self.later(pause, Due::Strike);
            }
            Due::StartNode(id) => self.start_node(id),
            Due::KillNode(id, power) => {
                self.kill_node(id, power);
                self.back_later(id);
            }
            Due::StartStore => self.start_store(),
            Due::KillStore => {
                self.kill_store();
                self.later(Duration::from_millis(300), Due::StartStore);
            }
            Due::StartClient(id) => self.start_client(id),
            Due::GoOn(pid) => process::go_on(pid),
            Due::WakeUp(place) => self.wake_up(place),
            Due::Mend(paths) => paths.iter().for_each(|(from, to)| self.network.mend(*from, *to)),
            Due::HearReplies(place) => self.network.lose_replies(place, false),
            Due::Cut(paths) => paths.iter().for_each(|(from, to)| self.network.cut(*from, *to)),
            Due::EndSlew(place) => self.slew(place, 0),
            Due::RoomAgain(id) => self.machines[&id].disk.set_capacity(None),
            Due::TrueDiskAgain(id) => self.true_disk_again(id),
        }
    }

    pub(super) fn strike(&mut self) {
        let classes = self.plan.classes.iter().copied().filter(|class| !class.is_weather());
        let classes: Vec<FaultClass> = classes.collect();
        let Some(class) = self.chance.choice(&classes).copied() else { return };
        let Some(what) = self.strike_with(class) else { return };
        self.figures.fault(class, 1);
        self.reporter.say(Seen::Fault(format!("{class}: {what}")));
    }

    /// What was done, in words; `None` when there was nothing to do it to.
    pub(super) fn strike_with(&mut self, class: FaultClass) -> Option<String> {
        let node = self.some_node();
        match class {
            FaultClass::Kill => self.strike_kill(node, false),
            FaultClass::PowerCut => self.strike_kill(node, true),
            FaultClass::PowerCutInWrite => self.power_cut_in_write(node),
            FaultClass::OrderlyStop => self.orderly_stop(node),
            FaultClass::Pause => self.pause(Place::Node(node), 50..4_000),
            FaultClass::Suspend => self.sleep_machine(false),
            FaultClass::Freeze => self.sleep_machine(true),
            FaultClass::Blackout => self.blackout(),
            FaultClass::Transfer => self.transfer(node),
            FaultClass::Snapshot => self.snapshot(node),
            FaultClass::Isolate => self.isolate(node),
            FaultClass::OneWay => self.one_way(node),
            FaultClass::Bridge => self.bridge(node),
            FaultClass::Flap => self.flap(node),
            FaultClass::CutClients => self.cut_clients(node),
            FaultClass::LostReplies => self.lose_replies(node),
            FaultClass::ClockSlew => self.strike_slew(),
            FaultClass::FailedSync | FaultClass::FailedWrite | FaultClass::FullDisk => {
                self.hurt_disk(node, class)
            }
            FaultClass::BitFlip | FaultClass::WipedDisk | FaultClass::OldDisk => {
                self.lose_memory(class)
            }
            FaultClass::StorePowerCut => self.store_power_cut(),
            FaultClass::ClientKill => self.strike_client_kill(),
            FaultClass::ClientPause => {
                let client = self.chance.u64(1..=self.plan.clients);
                self.pause(Place::Client(client), 100..8_000)
            }
            // These are in the weather, the clocks and the disks all the time.
            FaultClass::Loss
            | FaultClass::Delay
            | FaultClass::Repeat
            | FaultClass::ClockRates
            | FaultClass::ClockRatesBeyond
            | FaultClass::SlowDisk => None,
        }
    }

    /// The leader every second time, for it has most to lose.
    pub(super) fn some_node(&mut self) -> u64 {
        let nodes = self.machines.iter();
        let mut roles = nodes.filter_map(|(id, m)| Some((*id, m.node.as_ref()?.status().role)));
        let leader = roles.find(|(_, role)| *role == Role::Leader).map(|(id, _)| id);
        let any = self.chance.u64(1..=self.plan.nodes);
        if self.chance.bool() { leader.unwrap_or(any) } else { any }
    }

    pub(super) fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.chance.u64(range))
    }

    /// Everything that can be mended is, and nothing more goes wrong.
    pub(crate) fn mend_everything(&mut self) {
        self.healing = true;
        self.forget_planned();
        self.end_failed();
        self.network.mend_all();
        self.network.set_weather(Weather::calm());
        for id in 1..=self.plan.nodes {
            self.machines[&id].disk.set_capacity(None);
            self.machines[&id].disk.forget_faults();
            self.wake_up(Place::Node(id));
            self.slew(Place::Node(id), 0);
            if self.machines[&id].put_aside.is_some() && self.machines[&id].out {
                self.true_disk_again(id);
            }
            self.start_node(id);
        }
        for id in 1..=self.plan.clients {
            self.wake_up(Place::Client(id));
            self.slew(Place::Client(id), 0);
        }
        self.store.disk.forget_faults();
        self.start_store();
    }

    /// Whatever was still to come and would take something away again: a wiped node's true disk comes
    /// back now and not once more.
    fn forget_planned(&mut self) {
        let takes =
            |due: &Due| matches!(due, Due::KillNode(..) | Due::TrueDiskAgain(_) | Due::Cut(_));
        self.agenda.retain(|_, due| !takes(due));
    }

    /// Nodes whose disk has failed them do nothing any more: whoever runs them starts them again.
    fn end_failed(&mut self) {
        let failed = |machine: &Machine| machine.node.as_ref()?.status().failed.map(drop);
        let nodes = self.machines.iter();
        let failed: Vec<u64> = nodes.filter_map(|(id, m)| failed(m).map(|()| *id)).collect();
        for id in failed {
            self.kill_node(id, false);
        }
    }

    pub(super) fn others(&self, node: u64) -> impl Iterator<Item = u64> {
        (1..=self.plan.nodes).filter(move |other| *other != node)
    }

    pub(super) fn pid_of(&self, place: Place) -> Option<Pid> {
        match place {
            Place::Node(id) => self.machines[&id].pid,
            Place::Client(id) => self.clients[&id].pid,
            Place::Store => self.store.pid,
        }
    }
}
