//! Which damage is tried, and in which order: the same seed gives the same list.

use std::collections::BTreeMap;

use super::harm::Harm;
use super::history::History;
use super::image::{FileKind, Image};
use super::plant::Plant;
use super::trial::Trial;
use crate::simulation::random;

/// How many of what cannot be tried in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampling {
    /// Small files are tried bit by bit: one bit of this many.
    pub(crate) small_every: usize,
    /// Flips in each larger file.
    pub(crate) flips: usize,
    /// Lengths to which each larger file is cut, besides those in its last records.
    pub(crate) cuts: usize,
    /// One of this many lengths within the last records of the log.
    pub(crate) tail_every: usize,
    /// One of this many photographs.
    pub(crate) photographs_every: usize,
}

/// Which of the two histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    Three,
    One,
}

/// One disk, and one thing that is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) number: usize,
    pub(crate) which: Which,
    pub(crate) node: u64,
    pub(crate) harm: Harm,
}

/// Files up to this size are tried bit by bit.
const SMALL_BYTES: usize = 512;

/// Everything that is tried on one history.
pub(crate) fn cases(
    history: &History,
    which: Which,
    seed: u64,
    sampling: Sampling,
) -> Vec<(u64, Harm)> {
    let mut cases = Vec::new();
    let mut nodes = vec![history.leader];
    if history.follower != history.leader {
        nodes.push(history.follower);
    }
    for node in nodes {
        let mut chance = random::stream(seed, &format!("damage {which:?} {node}"));
        let mut harms = Vec::new();
        let image = &history.today[&node];
        for name in image.names() {
            let bytes = image.get(name).unwrap_or_default();
            flips(name, bytes, sampling, &mut chance, &mut harms);
            cuts(image, name, bytes, sampling, &mut chance, &mut harms);
            zeros(name, bytes, &mut harms);
            harms.push(Harm::Missing { file: name.to_owned() });
            harms.push(Harm::Stale { file: name.to_owned() });
            let others = history.today.keys().filter(|other| **other != node);
            harms.extend(others.map(|from| Harm::Foreign { file: name.to_owned(), from: *from }));
        }
        swaps(image, &mut harms);
        // A node alone has nobody who could know better.
        if history.today.len() > 1 {
            harms.extend([Harm::OldDisk, Harm::LiveCopy, Harm::WipedDisk]);
        }
        cases.extend(harms.into_iter().map(|harm| (node, harm)));
    }
    for (photograph, taken) in history.film.iter().enumerate().step_by(sampling.photographs_every) {
        let kinds = if history.today.len() > 1 { &[false, true][..] } else { &[true][..] };
        cases
            .extend(kinds.iter().map(|all| (taken.node, Harm::PowerCut { photograph, all: *all })));
    }
    cases
}

fn flips(
    name: &str,
    bytes: &[u8],
    sampling: Sampling,
    chance: &mut fastrand::Rng,
    harms: &mut Vec<Harm>,
) {
    let file = || name.to_owned();
    if bytes.len() <= SMALL_BYTES {
        let from = chance.usize(0..sampling.small_every);
        let bits = (from..bytes.len() * 8).step_by(sampling.small_every);
        return harms.extend(bits.map(|bit| Harm::Flip { file: file(), bit }));
    }
    // Most of a segment is padding: three of four flips hit what is not.
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    for n in 0..sampling.flips {
        let byte = if n % 4 == 0 {
            chance.usize(0..bytes.len())
        } else {
            used[chance.usize(0..used.len())]
        };
        harms.push(Harm::Flip { file: file(), bit: byte * 8 + chance.usize(0..8) });
    }
}

/// The last records lie in the last two pages of the newest segment that are in use.
fn cuts(
    image: &Image,
    name: &str,
    bytes: &[u8],
    sampling: Sampling,
    chance: &mut fastrand::Rng,
    harms: &mut Vec<Harm>,
) {
    let mut cut = |len| harms.push(Harm::Truncate { file: name.to_owned(), len });
    if bytes.len() <= SMALL_BYTES {
        return (0..bytes.len()).for_each(cut);
    }
    if image.kind(name) == Some(FileKind::NewestSegment) {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let pages =
            [end.saturating_sub(1) / 4096, (end.saturating_sub(1) / 4096).saturating_sub(1)];
        for page in pages {
            let page = page * 4096;
            let within = &bytes[page..bytes.len().min(page + 4096)];
            let used = within.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 2);
            let from = chance.usize(0..sampling.tail_every);
            (page + from..page + used).step_by(sampling.tail_every).for_each(&mut cut);
        }
    }
    (0..sampling.cuts).for_each(|_| cut(chance.usize(0..bytes.len())));
}

fn zeros(name: &str, bytes: &[u8], harms: &mut Vec<Harm>) {
    for len in [512, 4096] {
        for offset in (0..bytes.len()).step_by(len) {
            if bytes[offset..bytes.len().min(offset + len)].iter().any(|byte| *byte != 0) {
                harms.push(Harm::Zero { file: name.to_owned(), offset, len });
            }
        }
    }
}

fn swaps(image: &Image, harms: &mut Vec<Harm>) {
    let mut swap = |one: &str, other: &str| {
        harms.push(Harm::Swap { one: one.to_owned(), other: other.to_owned() });
    };
    image.segments().windows(2).for_each(|pair| swap(pair[0], pair[1]));
    for (one, other) in
        [("identity", "peers"), ("peers", "stream-manifest"), ("snapshot", "identity")]
    {
        swap(one, other);
    }
}

/// The planted cases: each on the follower, and on the leader.
pub(crate) fn planted(history: &History, plant: Plant) -> Vec<(u64, Harm)> {
    [history.follower, history.leader].map(|node| (node, Harm::Planted(plant))).into()
}

impl Case {
    /// What is to be tried; `None` if the damage would change nothing.
    pub(crate) fn trial(&self, history: &History, seed: u64, whole: bool) -> Option<Trial> {
        let seed = seed ^ ((self.number as u64) << 20);
        if let Harm::PowerCut { photograph, all } = self.harm {
            let taken = &history.film[photograph];
            let images = if all { &taken.all } else { &taken.one };
            return Some(Trial {
                seed,
                images: images.clone(),
                damaged: self.node,
                late: None,
                notes: taken.notes.clone(),
                whole,
            });
        }
        let mut images: BTreeMap<u64, Image> = history.today.clone();
        let image = images.get_mut(&self.node)?;
        if !self.harm.strike(image, self.node, history) {
            return None;
        }
        if let Harm::Planted(plant) = self.harm {
            let others = images.iter_mut().filter(|(id, _)| **id != self.node);
            others.for_each(|(_, image)| plant.strike_others(image));
        }
        let knowing = [history.leader, history.follower];
        Some(Trial {
            seed,
            images,
            damaged: self.node,
            late: knowing.into_iter().find(|id| *id != self.node),
            notes: history.notes.clone(),
            whole,
        })
    }
}
