//! Running one seed, and finding out which faults it takes to fail.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use leasehold_raft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::oracles::Violation;
use super::panics;
use super::plan::{FaultClass, Plan, Plant};
use super::process::{self, true_time};
use super::report::Figures;
use super::story::Story;
use super::world::World;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// A known bug to be found.
    pub plant: Option<Plant>,
    /// Classes of faults that are left out; nothing else changes.
    pub without: BTreeSet<FaultClass>,
    /// Whether the whole story goes to standard output.
    pub trace: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What did not hold, if something did not.
    pub violation: Option<Violation>,
    /// What happened.
    pub figures: Figures,
    /// Of everything that was seen, in order.
    pub hash: u64,
    /// The end of the story.
    pub story: Vec<String>,
    /// The classes of faults that were on.
    pub classes: Vec<String>,
}

/// Runs one seed on this thread.
pub fn run(options: &Options) -> Ended {
    let plan = Plan::new(options.seed, options.plant, &options.without);
    let classes = plan.names();
    process::reset(options.seed);
    panics::watch();
    let mut runtime = SimRuntime::with_seed(options.seed);
    let trace = options.trace;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async move {
            if trace {
                println!("{plan:?}");
            }
            let mut world = World::new(plan, Story::new(trace));
            let violation = world.run().await.err().or_else(panics::noticed);
            world.figures.simulated = true_time();
            world.network.forget_everybody();
            let story = world.story.shortened();
            (violation, std::mem::take(&mut world.figures), world.story.hash(), story)
        })
    }));
    let (violation, figures, hash, story) = ran.unwrap_or_else(|panic| {
        drop(panic);
        (panics::noticed(), Figures::of_one_seed(), 0, Vec::new())
    });
    Ended { violation, figures, hash, story, classes }
}

/// Of the faults that were on, those without which the seed does not fail in the same way: each is left
/// out in turn, and stays out if the failure stays.
pub fn blame(options: &Options, violation: &Violation) -> Vec<FaultClass> {
    let mut without = options.without.clone();
    let mut needed = Vec::new();
    let on = Plan::new(options.seed, options.plant, &options.without).classes;
    for class in on {
        without.insert(class);
        let again = run(&Options { without: without.clone(), trace: false, ..options.clone() });
        if again.violation.is_none_or(|again| again.oracle != violation.oracle) {
            without.remove(&class);
            needed.push(class);
        }
    }
    needed
}
