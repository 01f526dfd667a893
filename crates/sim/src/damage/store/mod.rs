//! The store's files, damaged: the real engine, on real files in a directory of its own.
//!
//! A store has nobody who could know better, so damage must be found when it is opened, or make no
//! difference: every value, version and mark as answered, smaller tokens refused, a repeat answered like
//! the first time. An old copy of the whole directory cannot be found out; that is what the floor is for.

mod script;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use leasehold_api::Problem;
use leasehold_fence::Mark;
use leasehold_store::Engine;
use leasehold_types::{FencingToken, ResourceName, StoreRefusal};

use super::cases::Sampling;
use super::harm::HarmKind;
use super::plant::Plant;
use super::report::Row;
use super::trial::Verdict;
use crate::simulation::random;
use script::{Known, another, files, look, open, put, runtime, stop, write_rounds};

const DATABASE: &str = "store.redb";
const WITNESS: &str = "store.witness";

/// What must have been tried.
pub(crate) const MUST: [(&str, &[HarmKind]); 2] = {
    use HarmKind::*;
    [
        (DATABASE, &[Flip, Truncate, ZeroSmall, ZeroLarge, Missing, Foreign, Stale]),
        (WITNESS, &[Flip, Truncate, ZeroSmall, ZeroLarge, Missing, Foreign, Stale]),
    ]
};

/// By name.
type Files = BTreeMap<&'static str, Vec<u8>>;

/// A store that was written to, restarted, written to again.
#[derive(Debug)]
pub(crate) struct Story {
    killed: Files,
    stopped: Files,
    yesterday: Files,
    /// Of a store that got further.
    other: Files,
    known: Known,
}

/// One thing that is wrong with one file.
#[derive(Clone, Debug)]
pub(crate) struct StoreCase {
    /// Whether the store was stopped in order before.
    stopped: bool,
    file: &'static str,
    harm: StoreHarm,
}

#[derive(Clone, Debug)]
enum StoreHarm {
    Flip(usize),
    Truncate(usize),
    Zero {
        offset: usize,
        len: usize,
    },
    Missing,
    Foreign,
    Stale,
    /// An old copy, and nobody to tell.
    Planted,
}

impl Story {
    pub(crate) fn live(seed: u64) -> Result<Self, String> {
        let failed = |why: Problem| format!("the store's history: {why:?}");
        let runtime = runtime();
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut yesterday = Files::new();
        let mut rounds = write_rounds(seed);
        let later = rounds.split_off(rounds.len() / 2);
        for (nth, rounds) in [rounds, later].into_iter().enumerate() {
            let (engine, keeper) = open(dir.path())?;
            if nth == 1 {
                yesterday = files(dir.path());
            }
            for write in rounds {
                runtime.block_on(engine.write(write)).map_err(failed)?;
            }
            if nth == 0 {
                stop(&runtime, keeper)?;
                continue;
            }
            let known = runtime.block_on(look(&engine)).map_err(failed)?;
            let killed = files(dir.path());
            drop(engine);
            stop(&runtime, keeper)?;
            let (stopped, other) = (files(dir.path()), another(seed)?);
            return Ok(Self { killed, stopped, yesterday, other, known });
        }
        Err("the store's history has no end".to_owned())
    }

    pub(crate) fn cases(
        &self,
        seed: u64,
        sampling: Sampling,
        plant: Option<Plant>,
    ) -> Vec<StoreCase> {
        if let Some(plant) = plant {
            let harm = StoreHarm::Planted;
            let planted = StoreCase { stopped: false, file: DATABASE, harm };
            return if plant == Plant::WitnessForgotten { vec![planted] } else { Vec::new() };
        }
        let mut cases = Vec::new();
        for stopped in [false, true] {
            for (file, bytes) in self.files(stopped) {
                let mut chance = random::stream(seed, &format!("damage {file} {stopped}"));
                let mut add = |harm| cases.push(StoreCase { stopped, file, harm });
                flips(bytes, sampling, &mut chance, &mut add);
                zeros(bytes, &mut add);
                match bytes.len() {
                    len @ ..64 => (0..len).for_each(|len| add(StoreHarm::Truncate(len))),
                    len => (0..3 * sampling.cuts)
                        .for_each(|_| add(StoreHarm::Truncate(chance.usize(0..len)))),
                }
                [StoreHarm::Missing, StoreHarm::Foreign, StoreHarm::Stale]
                    .into_iter()
                    .for_each(add);
            }
        }
        cases
    }

    fn files(&self, stopped: bool) -> &Files {
        if stopped { &self.stopped } else { &self.killed }
    }

    pub(crate) fn try_one(&self, case: &StoreCase) -> (Row, String, Verdict) {
        let mut files = self.files(case.stopped).clone();
        case.strike(&mut files, self);
        // The database asserts, in builds for tests, what it reports as corruption in others.
        let tried = catch_unwind(AssertUnwindSafe(|| self.judge(&files)));
        let verdict = match tried {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => Verdict::Wrong(why),
            Err(_) if cfg!(debug_assertions) => Verdict::Detected("a debug assertion".to_owned()),
            Err(_) => Verdict::Wrong("a panic".to_owned()),
        };
        let end = if case.stopped { "stopped" } else { "killed" };
        let what = format!("a {end} store: {} {:?}", case.file, case.harm);
        (Row { cluster: "store", file: case.file, harm: case.harm.kind() }, what, verdict)
    }

    fn judge(&self, files: &Files) -> Result<Verdict, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).map_err(|error| error.to_string())?;
        }
        let (engine, keeper) = match open(dir.path()) {
            Ok(opened) => opened,
            Err(why) => return tells_what_to_do(why).map(Verdict::Detected),
        };
        let runtime = runtime();
        let judged = runtime.block_on(self.everything_is_there(&engine));
        drop(engine);
        judged?;
        stop(&runtime, keeper)?;
        Ok(Verdict::Harmless)
    }

    async fn everything_is_there(&self, engine: &Engine) -> Result<(), String> {
        let known = look(engine).await.map_err(|why| format!("it opens, and: {why:?}"))?;
        self.known.compare(&known)?;
        for (resource, (_, mark)) in &known.resources {
            let stale = engine.write(put(resource, mark.token_number() - 1, 1, "stale")).await;
            if !matches!(stale, Err(Problem::Store(StoreRefusal::StaleToken { .. }))) {
                return Err(format!("{resource} takes a smaller token: {stale:?}"));
            }
        }
        let next = ResourceName::new("after all that").expect("a good name");
        let written = engine.write(put(&next, known.highest_token + 1, 1, "fresh")).await;
        written.map(|_| ()).map_err(|why| format!("it takes nothing any more: {why:?}"))
    }
}

/// The number of a mark's token.
trait TokenNumber {
    fn token_number(&self) -> u64;
}

impl TokenNumber for Mark {
    fn token_number(&self) -> u64 {
        self.token().map_or(0, FencingToken::get)
    }
}

impl StoreCase {
    fn strike(&self, files: &mut Files, story: &Story) {
        let Some(bytes) = files.get_mut(self.file) else { return };
        match &self.harm {
            StoreHarm::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            StoreHarm::Truncate(len) => bytes.truncate(*len),
            StoreHarm::Zero { offset, len } => {
                let end = (offset + len).min(bytes.len());
                bytes[*offset..end].fill(0);
            }
            StoreHarm::Missing => _ = files.remove(self.file),
            StoreHarm::Foreign => bytes.clone_from(&story.other[self.file]),
            StoreHarm::Stale => bytes.clone_from(&story.yesterday[self.file]),
            StoreHarm::Planted => {
                bytes.clone_from(&story.yesterday[DATABASE]);
                files.remove(WITNESS);
            }
        }
    }
}

impl StoreHarm {
    fn kind(&self) -> HarmKind {
        match self {
            Self::Flip(_) => HarmKind::Flip,
            Self::Truncate(_) => HarmKind::Truncate,
            Self::Zero { len: 512, .. } => HarmKind::ZeroSmall,
            Self::Zero { .. } => HarmKind::ZeroLarge,
            Self::Missing => HarmKind::Missing,
            Self::Foreign => HarmKind::Foreign,
            Self::Stale => HarmKind::Stale,
            Self::Planted => HarmKind::Planted,
        }
    }
}

/// The header decides which commit counts: of it every bit, as of a small file.
const HEADER_BYTES: usize = 320;

fn flips(
    bytes: &[u8],
    sampling: Sampling,
    chance: &mut fastrand::Rng,
    add: &mut impl FnMut(StoreHarm),
) {
    let small = bytes.len().min(HEADER_BYTES) * 8;
    let from = chance.usize(0..sampling.small_every);
    (from..small).step_by(sampling.small_every).for_each(|bit| add(StoreHarm::Flip(bit)));
    let used: Vec<usize> = (HEADER_BYTES..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    if used.is_empty() {
        return;
    }
    for _ in 0..2 * sampling.flips {
        add(StoreHarm::Flip(used[chance.usize(0..used.len())] * 8 + chance.usize(0..8)));
    }
}

fn zeros(bytes: &[u8], add: &mut impl FnMut(StoreHarm)) {
    for len in [512, 4096] {
        for offset in (0..bytes.len()).step_by(len) {
            if bytes[offset..bytes.len().min(offset + len)].iter().any(|byte| *byte != 0) {
                add(StoreHarm::Zero { offset, len });
            }
        }
    }
}

/// An operator must know which file, and what to do.
fn tells_what_to_do(why: String) -> Result<String, String> {
    match why.contains(DATABASE) && why.contains("floor") {
        true => Ok(why),
        false => Err(format!("it is refused without file or advice: {why}")),
    }
}
