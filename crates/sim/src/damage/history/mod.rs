//! The scripted history: claims of every kind, changes of leader, starts, snapshots, purges, so that
//! every kind of durable file and record comes to be; everything that was answered is noted.
//!
//! It ends at its worst moment: the last answers are known to the leader and one follower only, and all
//! three are killed. Whatever one of these two forgets in silence is then lost with the other away.

mod author;
mod clients;

use std::collections::BTreeMap;

use leasehold_raft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::cluster::disk_id;
use super::image::{FileKind, Image};
use super::notes::Notes;
use crate::simulation::process;
use author::Author;

/// A resource that only a leader and one follower know to be held.
pub(crate) const LAST_GRANTED: &str = "last/held";

/// The disks of a cluster, and what its clients know.
#[derive(Debug)]
pub(crate) struct History {
    /// At the end.
    pub(crate) today: BTreeMap<u64, Image>,
    /// Each from before that node's last start.
    pub(crate) yesterday: BTreeMap<u64, Image>,
    /// Made while the nodes ran, before answers that all of them know, and noted durably of each other.
    pub(crate) live_copies: BTreeMap<u64, Image>,
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
