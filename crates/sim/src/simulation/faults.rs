//! What goes wrong: each class of faults strikes, and plans how it ends.

use std::time::Duration;

use leasehold_disk::DiskId;
use leasehold_disk::fake::FakeDisk;
use leasehold_raft::Role;

use super::machine;
use super::network::{Place, Weather};
use super::plan::{FaultClass, Plant};
use super::process::{self, Pid};
use super::seen::Seen;
use super::world::{Due, World};

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
            Due::Cut(paths) => paths.iter().for_each(|(from, to)| self.network.cut(*from, *to)),
            Due::EndSlew(place) => self.slew(place, 0),
            Due::RoomAgain(id) => self.machines[&id].disk.set_capacity(None),
            Due::TrueDiskAgain(id) => self.true_disk_again(id),
        }
    }

    fn strike(&mut self) {
        let classes: Vec<FaultClass> = self.plan.classes.iter().copied().collect();
        let Some(class) = self.chance.choice(&classes).copied() else { return };
        let Some(what) = self.strike_with(class) else { return };
        self.figures.fault(&class.to_string());
        self.reporter.say(Seen::Fault(format!("{class}: {what}")));
    }

    /// What was done, in words; `None` when there was nothing to do it to.
    fn strike_with(&mut self, class: FaultClass) -> Option<String> {
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
            FaultClass::Isolate => self.isolate(node),
            FaultClass::OneWay => self.one_way(node),
            FaultClass::Bridge => self.bridge(node),
            FaultClass::Flap => self.flap(node),
            FaultClass::CutClients => self.cut_clients(node),
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
    fn some_node(&mut self) -> u64 {
        let nodes = self.machines.iter();
        let mut roles = nodes.filter_map(|(id, m)| Some((*id, m.node.as_ref()?.status().role)));
        let leader = roles.find(|(_, role)| *role == Role::Leader).map(|(id, _)| id);
        let any = self.chance.u64(1..=self.plan.nodes);
        if self.chance.bool() { leader.unwrap_or(any) } else { any }
    }

    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.chance.u64(range))
    }

    fn back_later(&mut self, id: u64) {
        let down = match self.chance.u8(0..4) {
            0 => self.ms(2_000..8_000),
            _ => self.ms(10..1_500),
        };
        self.later(down, Due::StartNode(id));
    }

    fn strike_kill(&mut self, id: u64, power: bool) -> Option<String> {
        self.machines[&id].pid?;
        self.perform(Due::KillNode(id, power));
        Some(format!("node {id}"))
    }

    fn power_cut_in_write(&mut self, id: u64) -> Option<String> {
        self.machines[&id].pid?;
        let operation = self.chance.u64(1..40);
        self.machines[&id].disk.lose_power_at(operation);
        self.reporter.say(Seen::DiskHurt { node: id });
        let after = self.ms(100..2_000);
        self.later(after, Due::KillNode(id, true));
        Some(format!("node {id} at its operation {operation} from now"))
    }

    fn orderly_stop(&mut self, id: u64) -> Option<String> {
        let machine = &self.machines[&id];
        let (pid, node) = (machine.pid?, machine.node.clone()?);
        process::spawn_in(pid, machine::leave_in_order(node, id, self.reporter.clone()));
        Some(format!("node {id}"))
    }

    fn pid_of(&self, place: Place) -> Option<Pid> {
        match place {
            Place::Node(id) => self.machines[&id].pid,
            Place::Client(id) => self.clients[&id].pid,
            Place::Store => self.store.pid,
        }
    }

    fn pause(&mut self, place: Place, ms: std::ops::Range<u64>) -> Option<String> {
        let pid = self.pid_of(place)?;
        let long = self.ms(ms);
        process::stop(pid);
        self.later(long, Due::GoOn(pid));
        Some(format!("{place:?} for {long:?}"))
    }

    /// Frozen machines are nodes only: a frozen client is beyond what any client can know.
    fn sleep_machine(&mut self, frozen: bool) -> Option<String> {
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

    fn blackout(&mut self) -> Option<String> {
        for id in 1..=self.plan.nodes {
            self.strike_kill(id, true);
        }
        Some("all nodes".to_owned())
    }

    fn transfer(&mut self, id: u64) -> Option<String> {
        let machine = &self.machines[&id];
        let (pid, node) = (machine.pid?, machine.node.clone()?);
        process::spawn_in(pid, async move {
            node.hand_over_leadership().await;
        });
        Some(format!("away from node {id}"))
    }

    fn others(&self, node: u64) -> impl Iterator<Item = u64> {
        (1..=self.plan.nodes).filter(move |other| *other != node)
    }

    fn cut_for(&mut self, paths: Vec<(Place, Place)>, ms: std::ops::Range<u64>) -> Duration {
        let long = self.ms(ms);
        self.perform(Due::Cut(paths.clone()));
        self.later(long, Due::Mend(paths));
        long
    }

    fn isolate(&mut self, node: u64) -> Option<String> {
        let here = Place::Node(node);
        let both = |other| [(here, Place::Node(other)), (Place::Node(other), here)];
        let paths = self.others(node).flat_map(both).collect();
        let long = self.cut_for(paths, 100..10_000);
        Some(format!("node {node} from its peers for {long:?}"))
    }

    fn one_way(&mut self, node: u64) -> Option<String> {
        let deaf = self.chance.bool();
        let here = Place::Node(node);
        let path =
            |other| if deaf { (Place::Node(other), here) } else { (here, Place::Node(other)) };
        let paths = self.others(node).map(path).collect();
        let long = self.cut_for(paths, 100..8_000);
        Some(format!("node {node} is {} for {long:?}", if deaf { "deaf" } else { "mute" }))
    }

    fn bridge(&mut self, middle: u64) -> Option<String> {
        let others: Vec<u64> = self.others(middle).collect();
        let (left, right) = others.split_at(others.len() / 2);
        let both =
            |a: u64, b: u64| [(Place::Node(a), Place::Node(b)), (Place::Node(b), Place::Node(a))];
        let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b)));
        let paths = pairs.flat_map(|(a, b)| both(a, b)).collect();
        let long = self.cut_for(paths, 500..12_000);
        Some(format!("only node {middle} reaches all, for {long:?}"))
    }

    fn flap(&mut self, node: u64) -> Option<String> {
        let other = node % self.plan.nodes + 1;
        let paths =
            vec![(Place::Node(node), Place::Node(other)), (Place::Node(other), Place::Node(node))];
        for turn in 0..self.chance.u64(2..8) {
            self.later(Duration::from_millis(turn * 300), Due::Cut(paths.clone()));
            self.later(Duration::from_millis(turn * 300 + 150), Due::Mend(paths.clone()));
        }
        Some(format!("nodes {node} and {other}"))
    }

    fn cut_clients(&mut self, node: u64) -> Option<String> {
        let client = Place::Client(self.chance.u64(1..=self.plan.clients));
        let nodes = match self.chance.bool() {
            true => vec![node],
            false => (1..=self.plan.nodes).collect(),
        };
        let both = |node: &u64| [(client, Place::Node(*node)), (Place::Node(*node), client)];
        let mut paths: Vec<_> = nodes.iter().flat_map(both).collect();
        if self.chance.bool() {
            paths.retain(|(from, _)| *from != client);
        }
        let long = self.cut_for(paths, 100..6_000);
        Some(format!("{client:?} and nodes {nodes:?} for {long:?}"))
    }

    fn strike_slew(&mut self) -> Option<String> {
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

    fn slew(&mut self, place: Place, rate: i64) {
        match place {
            Place::Node(id) => self.machines[&id].clocks.slew(rate),
            Place::Client(id) => self.clients[&id].clocks.slew(rate),
            Place::Store => {}
        }
    }

    fn hurt_disk(&mut self, id: u64, class: FaultClass) -> Option<String> {
        self.machines[&id].pid?;
        let operation = self.chance.u64(1..30);
        let disk = self.machines[&id].disk.clone();
        match class {
            FaultClass::FailedSync => disk.fail_sync_at(operation),
            FaultClass::FailedWrite => disk.fail_write_at(operation),
            _ => {
                let names = disk.names();
                let lengths = names.iter().filter_map(|name| Some(disk.contents(name)?.len()));
                disk.set_capacity(Some(lengths.sum::<usize>() as u64));
                let long = self.ms(500..8_000);
                self.later(long, Due::RoomAgain(id));
            }
        }
        self.reporter.say(Seen::DiskHurt { node: id });
        Some(format!("node {id}, operation {operation} from now"))
    }

    /// Only ever one node of a run forgets: what a majority forgot nobody can know.
    fn lose_memory(&mut self, class: FaultClass) -> Option<String> {
        let victim = self.plan.seed % self.plan.nodes + 1;
        let lies = self.plan.plant == Some(Plant::WipedNodeKeepsItsIdentity);
        let machine = self.machines.get_mut(&victim)?;
        machine.pid?;
        if machine.out || (machine.put_aside.is_some() && class != FaultClass::OldDisk) {
            return None;
        }
        if class == FaultClass::OldDisk && machine.put_aside.is_none() {
            machine.put_aside = Some((machine.disk.image(), machine.disk_id));
            // Its later start is what peers can tell the copy by.
            self.perform(Due::KillNode(victim, false));
            return Some(format!("a copy of node {victim}'s disk is made"));
        }
        self.reporter.say(Seen::DiskHurt { node: victim });
        self.kill_node(victim, false);
        let seed = self.chance.u64(..);
        let machine = self.machines.get_mut(&victim)?;
        match class {
            FaultClass::BitFlip => {
                let (name, bit) = some_bit(&machine.disk, seed)?;
                machine.disk.flip_bit(&name, bit).ok()?;
                machine.out = true;
                self.later(Duration::from_millis(100), Due::StartNode(victim));
                return Some(format!("bit {bit} of {name} on node {victim}"));
            }
            FaultClass::WipedDisk => {
                let kept = std::mem::replace(&mut machine.disk, FakeDisk::new(seed));
                machine.put_aside = Some((kept, machine.disk_id));
                if !lies {
                    machine.disk_id = DiskId([0xEE; 16]);
                }
            }
            _ => {
                let (old, id) = machine.put_aside.take()?;
                let kept = std::mem::replace(&mut machine.disk, old);
                machine.put_aside = Some((kept, machine.disk_id));
                machine.disk_id = id;
                machine.disk.crash();
            }
        }
        machine.out = true;
        if lies {
            forge_identity(machine);
        }
        self.later(Duration::from_millis(100), Due::StartNode(victim));
        if !lies {
            let long = self.ms(2_000..9_000);
            self.later(long, Due::TrueDiskAgain(victim));
        }
        Some(format!("node {victim}"))
    }

    fn true_disk_again(&mut self, id: u64) {
        self.kill_node(id, false);
        let Some(machine) = self.machines.get_mut(&id) else { return };
        if let Some((disk, disk_id)) = machine.put_aside.take() {
            (machine.disk, machine.disk_id, machine.out) = (disk, disk_id, false);
        }
        self.later(Duration::from_millis(200), Due::StartNode(id));
    }

    fn store_power_cut(&mut self) -> Option<String> {
        self.store.pid?;
        let operation = self.chance.u64(1..20);
        self.store.disk.lose_power_at(operation);
        let after = self.ms(10..1_000);
        self.later(after, Due::KillStore);
        Some(format!("at its operation {operation} from now"))
    }

    fn strike_client_kill(&mut self) -> Option<String> {
        let client = self.chance.u64(1..=self.plan.clients);
        self.clients[&client].pid?;
        self.kill_client(client);
        let after = self.ms(100..3_000);
        self.later(after, Due::StartClient(client));
        Some(format!("client {client}"))
    }

    /// Everything that can be mended is.
    pub(crate) fn mend_everything(&mut self) {
        self.healing = true;
        self.network.mend_all();
        self.network.set_weather(Weather::calm());
        for id in 1..=self.plan.nodes {
            self.machines[&id].disk.set_capacity(None);
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
        self.start_store();
    }
}

/// A bit of a file that holds something: near its start, or anywhere.
fn some_bit(disk: &FakeDisk, seed: u64) -> Option<(String, u64)> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let names = disk.names();
    let name = chance.choice(&names)?.clone();
    let bytes = disk.contents(&name)?;
    let used = bytes.iter().rposition(|byte| *byte != 0)? as u64 + 1;
    Some((name, chance.u64(0..used * 8)))
}

/// What no operator should do: a fresh disk that claims to be the old one.
fn forge_identity(machine: &mut super::world::Machine) {
    for _ in 0..=machine.boots {
        // The disk is empty and whole, so each claim succeeds and counts one start.
        let _ = leasehold_disk::Identity::claim(
            &*machine.disk.mount(),
            "simulated",
            u64::from(machine.disk_id.0[0]),
            machine.disk_id,
        );
    }
}
