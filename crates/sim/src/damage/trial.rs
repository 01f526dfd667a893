//! One trial: nodes on copies of the disks, one of them damaged, and what they make of it.
//!
//! *Detected*: the damaged node refuses to start, or stops, and says which file and what to do; or its
//! peers do not believe it. *Harmless*: it takes part, everything acknowledged is there when asked for
//! through that very node, tokens grow, and all replicas are equal byte for byte. In either case the
//! cluster serves. Anything else is a violation.
//!
//! The damaged node and the one that is behind start first, and whoever knows everything comes late: so
//! whatever the damaged node forgot in silence becomes the majority's opinion.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_core::Command;
use leasehold_disk::DiskId;
use leasehold_types::{Acquire, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};

use super::cluster::{Cluster, PATIENCE};
use super::image::Image;
use super::notes::{Notes, Stands};
use crate::simulation::panics;
use crate::simulation::process::{self, true_time};

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Found, with what was said.
    Detected(String),
    /// It makes no difference.
    Harmless,
    /// Neither.
    Wrong(String),
}

/// What is tried.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) seed: u64,
    pub(crate) images: BTreeMap<u64, Image>,
    pub(crate) damaged: u64,
    /// The one that comes late.
    pub(crate) late: Option<u64>,
    pub(crate) notes: Notes,
    /// Whether the others are tried, too, where the damaged node refuses to start. They are the same
    /// each time.
    pub(crate) whole: bool,
}

impl Trial {
    pub(crate) async fn run(self) -> Verdict {
        let ended = self.decide().await;
        match (panics::noticed(), ended) {
            (Some(panic), _) => Verdict::Wrong(format!("a panic: {}", panic.what)),
            (None, Ok(verdict)) => verdict,
            (None, Err(why)) => Verdict::Wrong(why),
        }
    }

    async fn decide(self) -> Result<Verdict, String> {
        let disks =
            self.images.iter().map(|(id, image)| (*id, image.disk(self.seed ^ id))).collect();
        let mut cluster = Cluster::new(self.seed, disks);
        // An empty disk never gets the id of the one that was lost.
        for id in cluster.ids() {
            cluster.set_fresh_disk(id, DiskId([0xE0 | id as u8; 16]));
        }
        if let Err(why) = cluster.start(self.damaged).await {
            tells_what_to_do(&why)?;
            if self.whole && cluster.ids().len() > 1 {
                self.start_the_others(&mut cluster).await?;
                let leader = cluster.leader(None).await?;
                self.everything_is_there(&cluster, leader).await?;
            }
            return Ok(Verdict::Detected(why));
        }
        self.start_the_others(&mut cluster).await?;
        let leader = cluster.leader(None).await?;
        if let Some(why) = self.left_out(&cluster, leader).await? {
            let leader = cluster.leader(None).await?;
            cluster.kill(self.damaged, false);
            self.everything_is_there(&cluster, leader).await?;
            return Ok(Verdict::Detected(why));
        }
        self.everything_is_there(&cluster, self.damaged).await?;
        Ok(Verdict::Harmless)
    }

    async fn start_the_others(&self, cluster: &mut Cluster) -> Result<(), String> {
        let others = cluster.ids().into_iter().filter(|id| *id != self.damaged);
        let (late, early): (Vec<_>, Vec<_>) = others.partition(|id| Some(*id) == self.late);
        let damaged_runs = !cluster.running().is_empty();
        for id in early {
            cluster.start(id).await.map_err(|why| format!("node {id} is well, and: {why}"))?;
        }
        for id in late {
            if damaged_runs {
                process::sleep(Duration::from_millis(1_500)).await;
            }
            cluster.start(id).await.map_err(|why| format!("node {id} is well, and: {why}"))?;
        }
        Ok(())
    }

    /// Why the damaged node takes no part, or `None` once it has caught up with the leader.
    async fn left_out(&self, cluster: &Cluster, leader: u64) -> Result<Option<String>, String> {
        let end = true_time() + PATIENCE;
        let mut followed = false;
        while true_time() < end {
            let node = cluster.node(self.damaged).ok_or("it vanished")?;
            if let Some(failure) = node.status().failed {
                let why = failure.to_string();
                tells_what_to_do(&why)?;
                return Ok(Some(why));
            }
            if let Some(why) = cluster.refused_by_a_peer(self.damaged).await {
                return Ok(Some(why));
            }
            followed = match (cluster.glance(leader).await, cluster.glance(self.damaged).await) {
                (Some(leads), Some(seen)) => seen.revision >= leads.revision,
                _ => false,
            };
            if followed {
                break;
            }
            process::sleep(Duration::from_millis(20)).await;
        }
        match followed {
            true => Ok(None),
            false => Err("it runs, takes no part, and nobody says why".to_owned()),
        }
    }

    /// Asked for through `through`.
    async fn everything_is_there(&self, cluster: &Cluster, through: u64) -> Result<(), String> {
        let settled = self.notes.settled();
        let asks: Vec<_> =
            settled.iter().map(|noted| Command::Acquire(noted.ask.clone())).collect();
        let outcomes = cluster.ask_all(through, &asks).await?;
        for (noted, outcome) in settled.iter().zip(&outcomes) {
            let stands = Stands::from_answer(&outcome.answer);
            if stands != Ok(noted.stands) {
                let (ask, told) = (&noted.ask, noted.stands);
                return Err(format!(
                    "LOST: {} {:?} was told {told:?}, and now {stands:?}",
                    ask.resource, ask.request
                ));
            }
        }
        let fresh = Command::Acquire(after_all_that());
        let outcome = cluster.ask(through, &fresh).await?;
        match Stands::from_answer(&outcome.answer) {
            Ok(Stands::Held(token)) if token.get() > self.notes.token => {}
            other => {
                let told = self.notes.token;
                return Err(format!("token {told} was told, and then {other:?}"));
            }
        }
        if outcome.revision.0 <= self.notes.revision {
            return Err(format!(
                "revision {} was told, and then {}",
                self.notes.revision, outcome.revision
            ));
        }
        let seen = cluster.converge(&cluster.running()).await?;
        for pair in seen.windows(2) {
            if pair[0] != pair[1] {
                return Err(format!("the replicas differ: {seen:?}"));
            }
        }
        match seen.iter().find(|glance| !glance.broken.is_empty()) {
            Some(broken) => Err(format!("an invariant is broken: {broken:?}")),
            None => Ok(()),
        }
    }
}

fn after_all_that() -> Acquire {
    Acquire {
        resource: ResourceName::new("after all that").expect("a good name"),
        holder: Holder::new("the trial").expect("a good name"),
        request: RequestId::from_bytes([0xAF; 16]),
        ttl: LeaseTtl::from_ms(60_000).expect("a minute is a ttl"),
        wait: WaitLimit::NONE,
    }
}

/// An operator must know which file, and what to do.
fn tells_what_to_do(why: &str) -> Result<(), String> {
    let files = ["identity", "peers", "stream-manifest", "segment", "snapshot", "data directory"];
    let advice = ["replace this node", "check `", "start this node with"];
    let names_a_file = files.iter().any(|file| why.contains(file));
    let advises = advice.iter().any(|words| why.contains(words));
    match names_a_file && advises {
        true => Ok(()),
        false => Err(format!("it is refused without file or advice: {why}")),
    }
}
