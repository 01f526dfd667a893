//! The scripted history: claims of every kind, changes of leader, starts, snapshots, purges, so that
//! every kind of durable file and record comes to be; everything that was answered is noted.
//!
//! It ends at its worst moment: the last answers are known to the leader and one follower only, and all
//! three are killed. Whatever one of these two forgets in silence is then lost with the other away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leasehold_core::{Answer, Command, Outcome, Renew};
use leasehold_disk::fake::FakeDisk;
use leasehold_raft::AsyncRuntime;
use leasehold_types::{
    Acquire, FencingToken, Holder, LeaseTtl, RequestId, ResourceName, Standing, WaitLimit,
};
use openraft_rt_sim::SimRuntime;

use super::cluster::{Cluster, disk_id, patiently};
use super::image::{FileKind, Image, Shared};
use super::notes::Notes;
use crate::simulation::process;

/// The disks of a cluster, and what its clients know.
#[derive(Debug)]
pub(crate) struct History {
    /// At the end.
    pub(crate) today: BTreeMap<u64, Image>,
    /// Each from before that node's last start.
    pub(crate) yesterday: BTreeMap<u64, Image>,
    pub(crate) notes: Notes,
    pub(crate) film: Vec<Photograph>,
    pub(crate) leader: u64,
    /// Knows everything that the leader knows; the leader itself where it is alone.
    pub(crate) follower: u64,
    pub(crate) leader_changes: u64,
}

/// The moment before one node changed its disk.
#[derive(Debug)]
pub(crate) struct Photograph {
    pub(crate) node: u64,
    /// What was about to be done.
    pub(crate) operation: String,
    /// The power of that node goes, the others are killed.
    pub(crate) one: BTreeMap<u64, Image>,
    /// The power of all goes.
    pub(crate) all: BTreeMap<u64, Image>,
    pub(crate) notes: Notes,
}

impl History {
    /// Lives through it. `photographed` is the node whose every step is kept.
    pub(crate) fn live(seed: u64, nodes: u64, photographed: u64) -> Result<Self, String> {
        process::reset(seed);
        SimRuntime::with_seed(seed).block_on(async move {
            let mut author = Author::new(seed, nodes);
            author.photograph(photographed);
            match nodes {
                1 => author.alone().await,
                _ => author.together().await,
            }
        })
    }

    /// What never came to be, so that the damage done to it would mean nothing.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        for node in [self.leader, self.follower] {
            let image = &self.today[&node];
            let kinds: Vec<_> = image.names().map(|name| (name, image.kind(name))).collect();
            for (name, _) in kinds.iter().filter(|(_, kind)| kind.is_none()) {
                lacks.push(format!("nobody thought of the durable file {name}"));
            }
            for kind in FileKind::AT_REST {
                if !kinds.iter().any(|(_, found)| *found == Some(kind)) {
                    lacks.push(format!("node {node} has no {}", kind.word()));
                }
            }
            let records = image.record_kinds(disk_id(node));
            // Only a leader that was deposed has something to take back.
            let wanted: &[u8] = if self.today.len() > 1 { &[1, 2, 4, 5] } else { &[1, 2, 4] };
            match records {
                Err(why) => lacks.push(format!("node {node}: {why}")),
                Ok(found) => lacks.extend(
                    wanted
                        .iter()
                        .filter(|kind| !found.contains(kind))
                        .map(|kind| format!("node {node} has no record of kind {kind}")),
                ),
            }
        }
        let taken_back = |image: (&u64, &Image)| {
            image.1.record_kinds(disk_id(*image.0)).is_ok_and(|kinds| kinds.contains(&3))
        };
        if self.today.len() > 1 && !self.today.iter().any(taken_back) {
            lacks.push("nobody took entries back".to_owned());
        }
        if self.leader_changes < 2 && self.today.len() > 1 {
            lacks.push("the leader hardly changed".to_owned());
        }
        let [held, waiting, ended] = self.notes.counts();
        if held.min(waiting).min(ended) == 0 {
            lacks.push(format!("{held} held, {waiting} waiting, {ended} ended claims"));
        }
        let unfinished = |photograph: &Photograph| {
            let image = &photograph.one[&photograph.node];
            image.names().any(|name| image.kind(name) == Some(FileKind::Temporary))
        };
        if !self.film.iter().any(unfinished) {
            lacks.push("no photograph shows a file that is not whole".to_owned());
        }
        lacks
    }
}

/// Whoever makes it happen.
struct Author {
    cluster: Cluster,
    notes: Arc<Mutex<Notes>>,
    darkroom: Arc<Mutex<Darkroom>>,
    yesterday: BTreeMap<u64, Image>,
    requests: u64,
    rounds: u64,
    leaders: Vec<u64>,
}

#[derive(Default)]
struct Darkroom {
    film: Vec<Photograph>,
    shared: Shared,
    seed: u64,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

const LONG_MS: u64 = 3_600_000;
/// Longer than from one renewal of the history to the next, and than from its end to the questions of
/// a trial.
const KEPT_MS: u64 = 60_000;

impl Author {
    fn new(seed: u64, nodes: u64) -> Self {
        let disks = (1..=nodes).map(|id| (id, FakeDisk::new(seed ^ id))).collect();
        Self {
            cluster: Cluster::new(seed, disks),
            notes: Arc::default(),
            darkroom: Arc::new(Mutex::new(Darkroom { seed, ..Darkroom::default() })),
            yesterday: BTreeMap::new(),
            requests: 0,
            rounds: 0,
            leaders: Vec::new(),
        }
    }

    fn photograph(&mut self, node: u64) {
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

    async fn alone(mut self) -> Result<History, String> {
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

    async fn together(mut self) -> Result<History, String> {
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
        self.depose().await?;
        let leader = self.leader().await?;
        let behind = self.other_than(leader);
        self.cluster.isolate(behind, true);
        self.last_words(leader).await?;
        self.end(leader, Some(behind)).await
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
        let mut darkroom = lock(&self.darkroom);
        let image = |(id, disk): (&u64, &FakeDisk)| (*id, Image::of(disk, &mut darkroom.shared));
        let today = self.cluster.disks.iter().map(image).collect();
        Ok(History {
            today,
            yesterday: self.yesterday,
            notes: lock(&self.notes).clone(),
            film: std::mem::take(&mut darkroom.film),
            leader,
            follower,
            leader_changes: self.leaders.len() as u64 - 1,
        })
    }
}

/// What clients do.
impl Author {
    /// A bit of everything, through one node.
    async fn round(&mut self, through: u64) -> Result<(), String> {
        self.rounds += 1;
        let round = self.rounds;
        let name = |what: &str| format!("{round}/{what}");
        self.hold_and_release(through, &name("held"), &name("released")).await?;
        self.queue(through, &name("queue")).await?;
        self.overtake(through, &name("overtaken")).await?;
        self.keep(through).await?;
        let expired = self.claim(&name("expired"), 1_000, 0);
        self.ask(through, &expired.resource.clone(), Command::Acquire(expired.clone())).await?;
        process::sleep(Duration::from_millis(1_700)).await;
        self.settle(through, &expired.resource).await
    }

    /// What only a leader and one follower will know.
    async fn last_words(&mut self, through: u64) -> Result<(), String> {
        self.hold_and_release(through, "last/held", "last/released").await?;
        self.overtake(through, "last/overtaken").await?;
        self.keep(through).await
    }

    async fn hold_and_release(
        &mut self,
        through: u64,
        held: &str,
        released: &str,
    ) -> Result<(), String> {
        let held = self.claim(held, LONG_MS, 0);
        let resource = held.resource.clone();
        self.ask(through, &resource, Command::Acquire(held)).await?;
        let taken = self.claim(resource.as_str(), LONG_MS, 0);
        let outcome = self.ask(through, &resource, Command::Acquire(taken)).await?;
        expect(matches!(outcome.answer, Answer::Refused(_)), &outcome)?;
        self.settle(through, &resource).await?;
        let released = self.claim(released, LONG_MS, 0);
        let resource = released.resource.clone();
        let outcome = self.ask(through, &resource, Command::Acquire(released)).await?;
        let token = token(&outcome)?;
        let release = Command::Release { resource: resource.clone(), token };
        self.ask(through, &resource, release).await?;
        self.settle(through, &resource).await
    }

    /// One holds and releases; of those who wait, one is next, one cancels, one has no patience, one
    /// stays.
    async fn queue(&mut self, through: u64, name: &str) -> Result<(), String> {
        let first = self.claim(name, LONG_MS, 0);
        let resource = first.resource.clone();
        let outcome = self.ask(through, &resource, Command::Acquire(first)).await?;
        let token = token(&outcome)?;
        let mut waiters = Vec::new();
        for wait_ms in [LONG_MS, LONG_MS, 400, LONG_MS] {
            let waiter = self.claim(name, LONG_MS, wait_ms);
            waiters.push(waiter.request);
            self.ask(through, &resource, Command::Acquire(waiter)).await?;
        }
        self.ask(through, &resource, Command::Cancel { request: waiters[1] }).await?;
        let release = Command::Release { resource: resource.clone(), token };
        self.ask(through, &resource, release).await?;
        process::sleep(Duration::from_millis(800)).await;
        self.settle(through, &resource).await
    }

    /// A cancel arrives before what it cancels.
    async fn overtake(&mut self, through: u64, name: &str) -> Result<(), String> {
        let late = self.claim(name, LONG_MS, 0);
        let resource = late.resource.clone();
        self.ask(through, &resource, Command::Cancel { request: late.request }).await?;
        self.ask(through, &resource, Command::Acquire(late)).await?;
        self.settle(through, &resource).await
    }

    /// A lease that lives on its renewals. Not settled before the end: when it expires depends on when
    /// one looks.
    async fn keep(&mut self, through: u64) -> Result<(), String> {
        let kept = Acquire {
            request: RequestId::from_bytes([0xCE; 16]),
            ..self.claim("kept", KEPT_MS, 0)
        };
        let resource = kept.resource.clone();
        let outcome = self.ask(through, &resource, Command::Acquire(kept.clone())).await?;
        let (tokens, requests) = (vec![token(&outcome)?], vec![kept.request]);
        let renew = Command::Renew(Renew { tokens, requests });
        let outcome = self.ask(through, &resource, renew).await?;
        expect(
            matches!(&outcome.answer, Answer::Renewed(items) if items.iter().all(Result::is_ok)),
            &outcome,
        )
    }

    fn claim(&mut self, resource: &str, ttl_ms: u64, wait_ms: u64) -> Acquire {
        self.requests += 1;
        Acquire {
            resource: ResourceName::new(resource).expect("the script uses good names"),
            holder: Holder::new("the script").expect("a good name"),
            request: RequestId::from_bytes(u128::from(self.requests).to_be_bytes()),
            ttl: LeaseTtl::from_ms(ttl_ms).expect("the script uses allowed ttls"),
            wait: WaitLimit::from_ms(wait_ms).expect("the script uses allowed waits"),
        }
    }

    async fn ask(
        &mut self,
        through: u64,
        resource: &ResourceName,
        command: Command,
    ) -> Result<Outcome, String> {
        lock(&self.notes).open(resource);
        let outcome = self.cluster.ask(through, &command).await?;
        lock(&self.notes).hear(&command, &outcome);
        Ok(outcome)
    }

    /// Asks for every claim of a resource again: how they stand now is certain.
    async fn settle(&mut self, through: u64, resource: &ResourceName) -> Result<(), String> {
        self.settle_these(through, &[resource.clone()]).await
    }

    async fn settle_all(&mut self, through: u64) -> Result<(), String> {
        let resources: Vec<_> = lock(&self.notes).resources().into_iter().collect();
        self.settle_these(through, &resources).await
    }

    async fn settle_these(
        &mut self,
        through: u64,
        resources: &[ResourceName],
    ) -> Result<(), String> {
        let claims = resources.iter().flat_map(|resource| lock(&self.notes).claims_of(resource));
        let commands: Vec<_> = claims.map(Command::Acquire).collect();
        let outcomes = self.cluster.ask_all(through, &commands).await?;
        let mut notes = lock(&self.notes);
        for (command, outcome) in commands.iter().zip(&outcomes) {
            notes.hear(command, outcome);
        }
        resources.iter().for_each(|resource| notes.settle(resource));
        Ok(())
    }
}

fn expect(holds: bool, outcome: &Outcome) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(format!("the script did not expect {outcome:?}")),
    }
}

fn token(outcome: &Outcome) -> Result<FencingToken, String> {
    match &outcome.answer {
        Answer::Claim(claim) => match claim.standing {
            Standing::Held { token } => Ok(token),
            Standing::Waiting { .. } => Err(format!("not granted: {claim:?}")),
        },
        other => Err(format!("not granted: {other:?}")),
    }
}
