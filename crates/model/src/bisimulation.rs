//! Tests that states with one key have the same futures.

use std::collections::VecDeque;
use std::collections::{BTreeMap, BTreeSet};

use stateright::{Expectation, Model};

use crate::configurations::small_configurations;
use crate::key::Keyed;
use crate::model::ProtocolModel;

type Key = Box<[u8]>;

/// What can be seen of a state: which properties hold, and which other keys are one step away. (A step
/// that changes nothing, such as a refused proposal, may be possible or not.)
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    verdicts: Vec<bool>,
    next: BTreeSet<Key>,
}

fn see(model: &ProtocolModel, state: &Keyed) -> (Seen, Vec<Keyed>) {
    let always = |expectation: &Expectation| *expectation == Expectation::Always;
    let properties = model.properties().into_iter().filter(|p| always(&p.expectation));
    let verdicts = properties.map(|p| (p.condition)(model, state)).collect();
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    let next: Vec<Keyed> = actions.into_iter().map(|action| model.step(state, action)).collect();
    let others = next.iter().filter(|next| *next != state).map(|next| next.key().into());
    (Seen { verdicts, next: others.collect() }, next)
}

/// Walks `states_max` states breadth first. Each time another path leads to a known key, with other
/// tokens, revisions, clients or lease times in the state behind it, the two states must look alike.
fn compare(model: &ProtocolModel, states_max: usize) -> usize {
    let mut known: BTreeMap<Key, Seen> = BTreeMap::new();
    let mut pending: VecDeque<Keyed> = model.init_states().into();
    let mut compared = 0;
    while let Some(state) = pending.pop_front() {
        let (seen, next) = see(model, &state);
        if let Some(first) = known.get(state.key()) {
            assert_eq!(first, &seen, "one key, two futures: {state:?}");
            compared += 1;
            continue;
        }
        if known.len() < states_max {
            pending.extend(next);
        }
        known.insert(state.key().into(), seen);
    }
    compared
}

#[test]
fn states_with_one_key_have_the_same_verdicts_and_the_same_next_keys() {
    for config in small_configurations() {
        let name = config.name;
        let compared = compare(&ProtocolModel::new(config), 2_000);
        assert!(compared > 1_000, "{name}: only {compared} pairs");
    }
}

#[test]
fn clients_that_change_places_are_the_same_state_and_clients_with_other_clocks_are_not() {
    let begun_by = |config: &crate::config::Config, client| {
        let model = ProtocolModel::new(config.clone());
        let first = model.init_states().swap_remove(1 % config.rates.len());
        model.step(&first, crate::action::Action::Begin { client, waits: false })
    };
    let even = crate::config::Config::new("even", "");
    assert_eq!(begun_by(&even, 0).key(), begun_by(&even, 1).key());
    let drifting = even.with_drift();
    assert_ne!(begun_by(&drifting, 0).key(), begun_by(&drifting, 1).key());
}
