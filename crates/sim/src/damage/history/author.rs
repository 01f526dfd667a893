//! What happens to the nodes, and in which order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leasehold_core::Command;
use leasehold_disk::fake::FakeDisk;

use super::clients::LONG_MS;
use super::{History, Photograph};
use crate::damage::cluster::{CLUSTER, Cluster, disk_id, patiently};
use crate::damage::image::{Image, Shared};
use crate::damage::notes::Notes;
use crate::simulation::{old_copy, process};

/// Whoever makes it happen.
pub(super) struct Author {
    pub(super) cluster: Cluster,
    pub(super) notes: Arc<Mutex<Notes>>,
    darkroom: Arc<Mutex<Darkroom>>,
    yesterday: BTreeMap<u64, Image>,
    live_copies: BTreeMap<u64, Image>,
    pub(super) requests: u64,
    pub(super) rounds: u64,
    leaders: Vec<u64>,
}

#[derive(Default)]
struct Darkroom {
    film: Vec<Photograph>,
    shared: Shared,
    seed: u64,
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Author {
    pub(super) fn new(seed: u64, nodes: u64) -> Self {
        let disks = (1..=nodes).map(|id| (id, FakeDisk::new(seed ^ id))).collect();
        Self {
            cluster: Cluster::new(seed, disks),
            notes: Arc::default(),
            darkroom: Arc::new(Mutex::new(Darkroom { seed, ..Darkroom::default() })),
            yesterday: BTreeMap::new(),
            live_copies: BTreeMap::new(),
            requests: 0,
            rounds: 0,
            leaders: Vec::new(),
        }
    }

    pub(super) fn photograph(&mut self, node: u64) {
        let (notes, darkroom) = (self.notes.clone(), self.darkroom.clone());
        let disks = self.cluster.disks.clone();
        let shutter = move |operation: &str| {
            let mut darkroom = lock(&darkroom);
            let Darkroom { film, shared, seed } = &mut *darkroom;
            let (mut one, mut all) = (BTreeMap::new(), BTreeMap::new());
            for (id, disk) in &disks {
                let dark = disk.image_with_seed(*seed ^ (film.len() as u64) << 8 ^ id);
                dark.crash();
                let dark = Image::of(&dark, shared);
                one.insert(*id, if *id == node { dark.clone() } else { Image::of(disk, shared) });
                all.insert(*id, dark);
            }
            let (operation, notes) = (operation.to_owned(), lock(&notes).clone());
            film.push(Photograph { node, operation, one, all, notes });
        };
        self.cluster.watch(node, Arc::new(shutter));
    }

    pub(super) async fn alone(mut self) -> Result<History, String> {
        self.cluster.start(1).await?;
        for round in 0..8 {
            self.leader().await?;
            self.round(1).await?;
            if round == 2 || round == 5 {
                self.restart(1, round == 5).await?;
            }
        }
        self.end(1, None).await
    }

    pub(super) async fn together(mut self) -> Result<History, String> {
        for id in self.cluster.ids() {
            self.cluster.start(id).await?;
        }
        let first = self.leader().await?;
        self.round(first).await?;
        if let Some(node) = self.cluster.node(first) {
            node.hand_over_leadership().await;
        }
        let second = self.leader().await?;
        self.round(self.other_than(second)).await?;
        for id in self.cluster.ids() {
            let leader = self.leader().await?;
            self.restart(id, id == leader).await?;
            let leader = self.leader().await?;
            self.round(leader).await?;
        }
        self.live_copies = self.images();
        self.depose().await?;
        let leader = self.leader().await?;
        let behind = self.other_than(leader);
        self.live_copies_are_known().await?;
        self.cluster.isolate(behind, true);
        self.last_words(leader).await?;
        self.end(leader, Some(behind)).await
    }

    /// Every node has noted durably that the others have come further than these copies.
    async fn live_copies_are_known(&mut self) -> Result<(), String> {
        let copies: Vec<_> =
            self.live_copies.iter().map(|(id, image)| (*id, image.disk(0))).collect();
        let disks = self.cluster.disks.clone();
        let known = patiently(|| {
            let known_by_others = |(id, copy): &(u64, FakeDisk)| {
                let named = (CLUSTER, *id, disk_id(*id));
                let mut others = disks.iter().filter(|(other, _)| *other != id);
                others.all(|(_, disk)| old_copy::is_refused(copy, named, disk))
            };
            copies.iter().all(known_by_others).then_some(())
        });
        known.await.ok_or("nobody notes how far the others have come".to_owned())
    }

    /// All disks as they are.
    fn images(&self) -> BTreeMap<u64, Image> {
        let mut darkroom = lock(&self.darkroom);
        let image = |(id, disk): (&u64, &FakeDisk)| (*id, Image::of(disk, &mut darkroom.shared));
        self.cluster.disks.iter().map(image).collect()
    }

    fn other_than(&self, id: u64) -> u64 {
        self.cluster.ids().into_iter().find(|other| *other != id).unwrap_or(id)
    }

    async fn leader(&mut self) -> Result<u64, String> {
        let leader = self.cluster.leader(None).await?;
        if self.leaders.last() != Some(&leader) {
            self.leaders.push(leader);
        }
        Ok(leader)
    }

    /// What lies on its disk meanwhile is what an old copy would be.
    async fn restart(&mut self, id: u64, power: bool) -> Result<(), String> {
        self.cluster.kill(id, power);
        let image = Image::of(&self.cluster.disks[&id], &mut lock(&self.darkroom).shared);
        self.yesterday.insert(id, image);
        self.cluster.start(id).await
    }

    /// A leader that nobody hears writes entries that it must take back.
    async fn depose(&mut self) -> Result<(), String> {
        let deposed = self.leader().await?;
        let ids = self.cluster.ids();
        self.cluster.isolate(deposed, true);
        let node = self.cluster.node(deposed).ok_or("the leader is gone")?;
        for n in 0..3 {
            let ask = self.claim(&format!("lost/{n}"), LONG_MS, 0);
            lock(&self.notes).open(&ask.resource);
            // Nobody will know what became of it.
            drop(node.propose(Command::Acquire(ask)).map_err(|fault| fault.to_string())?);
            process::sleep(Duration::from_millis(40)).await;
        }
        let next = self.cluster.leader(Some(deposed)).await?;
        self.leaders.push(next);
        self.hold_and_release(next, "instead/held", "instead/released").await?;
        self.cluster.isolate(deposed, false);
        let followed = patiently(|| {
            let terms: Vec<_> = self
                .cluster
                .statuses()
                .iter()
                .map(|status| (status.term, status.last_log_index))
                .collect();
            terms.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
        });
        followed.await.ok_or("the deposed leader does not come back")?;
        self.cluster.converge(&ids).await?;
        let image = Image::of(&self.cluster.disks[&deposed], &mut lock(&self.darkroom).shared);
        match image.record_kinds(disk_id(deposed))?.contains(&3) {
            true => Ok(()),
            false => Err(format!("the deposed leader {deposed} took nothing back")),
        }
    }

    /// Everything is asked for once more, and then all are killed.
    async fn end(mut self, leader: u64, behind: Option<u64>) -> Result<History, String> {
        self.settle_all(leader).await?;
        let knowing: Vec<u64> =
            self.cluster.ids().into_iter().filter(|id| Some(*id) != behind).collect();
        self.cluster.converge(&knowing).await?;
        let leader = self.leader().await?;
        self.cluster.kill_all();
        let follower = knowing.into_iter().find(|id| *id != leader).unwrap_or(leader);
        let today = self.images();
        let mut darkroom = lock(&self.darkroom);
        Ok(History {
            today,
            yesterday: self.yesterday,
            live_copies: self.live_copies,
            notes: lock(&self.notes).clone(),
            film: std::mem::take(&mut darkroom.film),
            leader,
            follower,
            leader_changes: self.leaders.len() as u64 - 1,
        })
    }
}
