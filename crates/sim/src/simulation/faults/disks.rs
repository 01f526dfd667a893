//! Disks that fail, lose power, lose bits and lose everything.

use std::time::Duration;

use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{BootId, DiskId, Identity};

use super::super::old_copy;
use super::super::plan::{FaultClass, Plant};
use super::super::seen::Seen;
use super::super::world::{CLUSTER, Due, Machine, PowerCut, World};

/// A write of so many bytes is two sectors or more, and can tear.
const TEARABLE_BYTES: u64 = 600;

/// How often an old copy of a disk is killed and started again, and how soon.
const STARTS_AGAIN: u32 = 3;
const KILLED_AFTER: Duration = Duration::from_millis(600);

impl World {
    pub(super) fn power_cut_in_write(&mut self, id: u64) -> Option<String> {
        self.machines[&id].pid?;
        let operation = self.chance.u64(1..40);
        let large = self.chance.bool();
        let machine = self.machines.get_mut(&id)?;
        match large {
            true => machine.disk.lose_power_in_write_of(TEARABLE_BYTES),
            false => machine.disk.lose_power_at(operation),
        }
        machine.power_fails = Some(if large { PowerCut::Tearing } else { PowerCut::AnyHow });
        self.reporter.say(Seen::DiskHurt { node: id });
        let after = self.ms(if large { 1_000..4_000 } else { 100..2_000 });
        self.later(after, Due::KillNode(id, true));
        Some(match large {
            true => format!("node {id} in its next large write"),
            false => format!("node {id} at its operation {operation} from now"),
        })
    }

    pub(super) fn hurt_disk(&mut self, id: u64, class: FaultClass) -> Option<String> {
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
    pub(super) fn lose_memory(&mut self, class: FaultClass) -> Option<String> {
        let victim = self.plan.seed % self.plan.nodes + 1;
        let lies = self.plan.plant == Some(Plant::WipedNodeKeepsItsIdentity);
        let machine = self.machines.get_mut(&victim)?;
        machine.pid?;
        // A member that forgets before the cluster was founded keeps it from being founded.
        machine.node.as_ref().filter(|node| !node.status().members.is_empty())?;
        if machine.out || (machine.put_aside.is_some() && class != FaultClass::OldDisk) {
            return None;
        }
        if class == FaultClass::OldDisk && machine.put_aside.is_none() {
            machine.put_aside = Some((machine.disk.image(), machine.disk_id));
            // Peers can tell the copy by a later start, or by a log that has grown.
            let live = self.plan.copies_live();
            if !live {
                self.perform(Due::KillNode(victim, false));
            }
            let how = if live { "that runs" } else { "before a start" };
            return Some(format!("a copy of node {victim}'s disk is made, {how}"));
        }
        if class == FaultClass::OldDisk && !self.copy_is_known(victim) {
            return None;
        }
        self.reporter.say(Seen::DiskHurt { node: victim });
        let node = self.machines[&victim].node.as_ref();
        let reached = node.map_or(0, |node| node.peer_handler().facts().reached);
        self.kill_node(victim, false);
        let seed = self.chance.u64(..);
        let machine = self.machines.get_mut(&victim)?;
        match class {
            FaultClass::BitFlip => {
                let (name, bit) = some_bit(&machine.disk, seed)?;
                machine.disk.flip_bit(&name, bit).ok()?;
                (machine.out, machine.flipped) = (true, Some(reached));
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
                machine.ran_on_a_copy = true;
            }
        }
        machine.out = true;
        if lies {
            forge_identity(machine);
        }
        self.later(Duration::from_millis(100), Due::StartNode(victim));
        if class == FaultClass::OldDisk {
            if self.plan.copies_live() {
                self.figures.count("live copies put back");
            }
            // So it counts further than its peers know.
            for again in 1..=STARTS_AGAIN {
                self.later(KILLED_AFTER * again, Due::KillNode(victim, false));
            }
        }
        if !lies {
            let long = self.ms(2_000..9_000);
            self.later(long, Due::TrueDiskAgain(victim));
        }
        Some(format!("node {victim}"))
    }

    /// Whether every majority with the old copy in it has a member that can tell: what nobody in a
    /// majority knows, nobody can tell it. Only what is remembered durably counts: a peer may die before
    /// it meets the copy.
    fn copy_is_known(&self, victim: u64) -> bool {
        let Some(aware) = self.put_aside_is_refused_by(victim) else { return false };
        let unaware = self.others(victim).count() - aware;
        // Whoever believed a live copy does not believe the disk itself when that is put back.
        (unaware as u64) < if self.plan.copies_live() { 1 } else { self.plan.nodes / 2 }
    }

    /// How many peers would refuse the disk that was put aside, if there is one.
    fn put_aside_is_refused_by(&self, victim: u64) -> Option<usize> {
        let (disk, id) = self.machines[&victim].put_aside.as_ref()?;
        Some(self.refuse(victim, disk, *id))
    }

    /// How many peers would refuse node `victim` on this disk.
    fn refuse(&self, victim: u64, disk: &FakeDisk, id: DiskId) -> usize {
        let refuses = |other: &u64| {
            old_copy::is_refused(disk, (CLUSTER, victim, id), &self.machines[other].disk)
        };
        self.others(victim).filter(refuses).count()
    }

    /// A peer that was asleep while a copy ran reads what the copy sent when it wakes, be it after the disk
    /// itself is back. Then it believes the copy, and the node is one to be replaced.
    pub(crate) fn leave_out_whose_copy_was_believed_late(&mut self) {
        let believed = |(id, machine): (&u64, &Machine)| {
            let back = machine.ran_on_a_copy && !machine.out;
            back && self.refuse(*id, &machine.disk, machine.disk_id) > 0
        };
        let refused: Vec<u64> =
            self.machines.iter().filter(|one| believed(*one)).map(|(id, _)| *id).collect();
        for id in refused {
            self.figures.count("nodes to be replaced");
            self.kill_node(id, false);
            if let Some(machine) = self.machines.get_mut(&id) {
                machine.out = true;
            }
        }
    }

    /// Unless a peer that could not tell has believed the copy: it does not believe the disk itself then, so
    /// the node stays out, as one that is to be replaced.
    pub(super) fn true_disk_again(&mut self, id: u64) {
        if self.put_aside_is_refused_by(id).is_some_and(|peers| peers > 0) {
            self.figures.count("nodes to be replaced");
            return;
        }
        self.kill_node(id, false);
        let Some(machine) = self.machines.get_mut(&id) else { return };
        if let Some((disk, disk_id)) = machine.put_aside.take() {
            (machine.disk, machine.disk_id, machine.out) = (disk, disk_id, false);
            // What was to end its faults met the other disk meanwhile.
            machine.disk.set_capacity(None);
            machine.disk.forget_faults();
        }
        self.later(Duration::from_millis(200), Due::StartNode(id));
    }

    pub(super) fn store_power_cut(&mut self) -> Option<String> {
        self.store.pid?;
        let operation = self.chance.u64(1..20);
        self.store.disk.lose_power_at(operation);
        let after = self.ms(10..1_000);
        self.later(after, Due::KillStore);
        Some(format!("at its operation {operation} from now"))
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

/// What no operator should do: a fresh disk with the identity of the old one.
fn forge_identity(machine: &mut Machine) {
    let Some((old, id)) = &machine.put_aside else { return };
    let Some(identity) = old.contents("identity") else { return };
    // The first start makes everything else that belongs to it. The disk is empty and whole.
    let _ =
        Identity::claim(&*machine.disk.mount(), CLUSTER, u64::from(id.0[0]), *id, BootId([0; 16]));
    let _ = machine.disk.overwrite("identity", &identity);
    if let Ok(groups) = old_copy::groups(old, *id) {
        old_copy::grow_to(&machine.disk, *id, groups);
    }
}
