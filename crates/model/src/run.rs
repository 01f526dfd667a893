//! Runs one configuration, breadth first.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::action::Action;
use crate::config::Config;
use crate::happening::Happening;
use crate::key::Keyed;
use crate::model::ProtocolModel;

/// How far a search goes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads. With one, a counter-example is a shortest one.
    pub threads: usize,
    /// Distinct states after which a search is cut: a cut search is not complete, and says so.
    pub states: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { threads: 1, states: 50_000_000 }
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The configuration's name.
    pub name: &'static str,
    /// Distinct states.
    pub states: usize,
    /// Steps tried.
    pub steps: usize,
    /// The longest of the shortest paths.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether every reachable state was seen.
    pub is_complete: bool,
    /// The names of the properties that were checked.
    pub checked: Vec<&'static str>,
    /// The properties that were broken, each with its counter-example.
    pub broken: Vec<(&'static str, Story)>,
    /// What happened, and at how many steps.
    pub seen: Vec<(Happening, u64)>,
}

/// A path: each step and the state it led to, after the initial state.
#[derive(Clone, Debug)]
pub struct Story {
    /// The states and the step taken from each; the last has none.
    pub steps: Vec<(Keyed, Option<Action>)>,
}

impl Story {
    /// How many steps.
    pub fn len(&self) -> usize {
        self.steps.len() - 1
    }

    /// Whether nothing happens in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Searches until everything is seen, or a property is broken.
pub fn search(config: Config, limits: &Limits) -> Found {
    search_until(config, limits, HasDiscoveries::AnyFailures)
}

/// Searches until everything is seen, or *this* property is broken.
pub fn search_for(config: Config, limits: &Limits, property: &'static str) -> Found {
    search_until(config, limits, HasDiscoveries::AllOf(BTreeSet::from([property])))
}

fn search_until(config: Config, limits: &Limits, until: HasDiscoveries) -> Found {
    let name = config.name;
    let begun = Instant::now();
    let checker = ProtocolModel::new(config)
        .checker()
        .threads(limits.threads)
        .finish_when(until)
        .target_state_count(limits.states.saturating_mul(8))
        .spawn_bfs()
        .join();
    let took = begun.elapsed();
    let failures: Vec<_> = checker.model().properties();
    let is_always = |name: &str| {
        failures.iter().any(|p| p.name == name && p.expectation == Expectation::Always)
    };
    let mut broken: Vec<(&'static str, Story)> = checker
        .discoveries()
        .into_iter()
        .filter(|(name, _)| is_always(name))
        .map(|(name, path)| (name, Story { steps: path.into_vec() }))
        .collect();
    broken.sort_by_key(|(name, story)| (story.len(), *name));
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    Found {
        name,
        states,
        steps,
        depth: checker.max_depth(),
        took,
        is_complete: broken.is_empty() && steps < limits.states.saturating_mul(8),
        checked: failures
            .iter()
            .filter(|property| property.expectation == Expectation::Always)
            .map(|property| property.name)
            .collect(),
        broken,
        seen: Happening::ALL.iter().map(|what| (*what, checker.model().seen(*what))).collect(),
    }
}
