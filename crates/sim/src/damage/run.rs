//! Living the histories, trying the cases on all threads, and counting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use leasehold_raft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::cases::{Case, Sampling, Which, cases, planted};
use super::history::History;
use super::plant::Plant;
use super::report::{Report, Row, WHOLE};
use super::store;
use super::trial::Verdict;
use crate::simulation::{panics, process};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What CI has time for.
    Full,
    /// A few of each kind, for a build with debug assertions.
    Few,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides the histories and the sampling.
    pub seed: u64,
    /// How much is tried.
    pub depth: Depth,
    /// Threads to try it on.
    pub threads: usize,
    /// Only the case with this number.
    pub case: Option<usize>,
    /// Only this known bug, which must be noticed.
    pub plant: Option<Plant>,
}

impl Options {
    fn sampling(&self) -> Sampling {
        match self.depth {
            Depth::Full => Sampling {
                small_every: 1,
                flips: 150,
                cuts: 20,
                tail_every: 1,
                photographs_every: 1,
            },
            Depth::Few => Sampling {
                small_every: 61,
                flips: 6,
                cuts: 1,
                tail_every: 67,
                photographs_every: 23,
            },
        }
    }
}

/// The others are tried along with every this many refusals.
const WHOLE_EVERY: usize = 16;

/// Tries everything, and tells of every violation as it is found.
///
/// # Errors
/// The history cannot be lived through, or something never came to be in it.
pub fn run(options: &Options, tell: &(dyn Fn(&str) + Sync)) -> Result<Report, String> {
    let (three, one) = histories(options.seed)?;
    let world = World { three, one, store: store::Story::live(options.seed)?, options };
    let cases = world.cases();
    let report = Mutex::new(Report::default());
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    world.try_one(case, &report, tell);
                    if case.number() % 2_000 == 1_999 {
                        let seconds = started.elapsed().as_secs();
                        tell(&format!(
                            "{} of {} cases, {seconds} s",
                            case.number() + 1,
                            cases.len()
                        ));
                    }
                }
            });
        }
    });
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn histories(seed: u64) -> Result<(History, History), String> {
    let live = |nodes, photographed| {
        let history = History::live(seed, nodes, photographed)?;
        match history.lacks() {
            lacks if lacks.is_empty() => Ok(history),
            lacks => Err(format!("the history of {nodes}: {}", lacks.join("; "))),
        }
    };
    std::thread::scope(|scope| {
        let three = scope.spawn(|| live(3, 1 + seed % 3));
        let one = live(1, 1);
        let three = three.join().map_err(|_| "the history of 3: a panic".to_owned())?;
        Ok((three?, one?))
    })
}

/// A case of either kind.
enum AnyCase {
    Node(Case),
    Store(usize, store::StoreCase),
}

impl AnyCase {
    fn number(&self) -> usize {
        match self {
            Self::Node(case) => case.number,
            Self::Store(number, _) => *number,
        }
    }
}

struct World<'a> {
    three: History,
    one: History,
    store: store::Story,
    options: &'a Options,
}

impl World<'_> {
    fn history(&self, which: Which) -> &History {
        match which {
            Which::Three => &self.three,
            Which::One => &self.one,
        }
    }

    fn cases(&self) -> Vec<AnyCase> {
        let Options { seed, case, plant, .. } = *self.options;
        let sampling = self.options.sampling();
        let mut all = Vec::new();
        for which in [Which::Three, Which::One] {
            let history = self.history(which);
            let harms = match plant {
                None => cases(history, which, seed, sampling),
                Some(plant) if which == Which::Three => planted(history, plant),
                Some(_) => Vec::new(),
            };
            all.extend(harms.into_iter().map(|(node, harm)| (which, node, harm)));
        }
        let nodes = all.len();
        let node_cases = all
            .into_iter()
            .enumerate()
            .map(|(number, (which, node, harm))| AnyCase::Node(Case { number, which, node, harm }));
        let store_cases = self.store.cases(seed, sampling, plant).into_iter().enumerate();
        let store_cases = store_cases.map(|(number, case)| AnyCase::Store(nodes + number, case));
        let chosen = |any: &AnyCase| case.is_none_or(|case| case == any.number());
        node_cases.chain(store_cases).filter(chosen).collect()
    }

    fn try_one(&self, case: &AnyCase, report: &Mutex<Report>, tell: &(dyn Fn(&str) + Sync)) {
        let number = case.number();
        let tried = match case {
            AnyCase::Node(case) => self.try_node(case),
            AnyCase::Store(_, case) => Some(self.store.try_one(case)),
        };
        let Some((row, what, verdict)) = tried else { return };
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.count(row, &verdict);
        if let Verdict::Wrong(why) = &verdict {
            let again = self.again(number);
            let violation = format!("VIOLATED {what}: {why}\n  again: {again}");
            tell(&violation);
            report.violations.push(violation);
        } else if self.options.case.is_some() {
            tell(&format!("{what}: {verdict:?}"));
        }
    }

    fn try_node(&self, case: &Case) -> Option<(Row, String, Verdict)> {
        let history = self.history(case.which);
        let whole = case.number.is_multiple_of(WHOLE_EVERY) || self.options.case.is_some();
        let trial = case.trial(history, self.options.seed, whole)?;
        let seed = trial.seed;
        panics::watch();
        process::reset(seed);
        let ran =
            catch_unwind(AssertUnwindSafe(|| SimRuntime::with_seed(seed).block_on(trial.run())));
        let verdict = ran.unwrap_or_else(|_| {
            let panic = panics::noticed().map(|panic| panic.what);
            Verdict::Wrong(format!("a panic: {}", panic.unwrap_or_default()))
        });
        let whose = match case.node {
            node if case.which == Which::One => format!("node {node} alone"),
            node if node == history.leader => format!("node {node}, which led"),
            node => format!("node {node}, which followed"),
        };
        let mut what = format!("case {}: {whose}: {}", case.number, case.harm);
        if let super::harm::Harm::PowerCut { photograph, .. } = case.harm {
            what += &format!(", before: {}", history.film[photograph].operation);
        }
        let cluster = match case.which {
            Which::Three => "three nodes",
            Which::One => "one node",
        };
        let kind = case.harm.file().and_then(|file| history.today[&case.node].kind(file));
        let row =
            Row { cluster, file: kind.map_or(WHOLE, |kind| kind.word()), harm: case.harm.kind() };
        Some((row, what, verdict))
    }

    fn again(&self, number: usize) -> String {
        let Options { seed, depth, plant, .. } = self.options;
        let few = if *depth == Depth::Few { " --few" } else { "" };
        let plant = plant.map(|plant| format!(" --plant {plant}")).unwrap_or_default();
        format!("leasehold-sim damage --seed {seed}{few}{plant} --case {number}")
    }
}
