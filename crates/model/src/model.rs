//! The transition system, as the checker wants it.

use std::sync::atomic::{AtomicU64, Ordering};

use stateright::{Model, Property};

use crate::action::Action;
use crate::config::Config;
use crate::happening::{self, Happening};
use crate::key::Keyed;
use crate::properties;
use crate::world::World;

/// One configuration as a transition system.
#[derive(Debug)]
pub struct ProtocolModel {
    /// What is in the world.
    pub config: Config,
    /// How many of the steps tried did what: by happening. It decides nothing.
    seen: Vec<AtomicU64>,
}

impl ProtocolModel {
    /// Nothing seen yet.
    pub fn new(config: Config) -> Self {
        let seen = Happening::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self { config, seen }
    }

    /// At how many steps it happened.
    pub fn seen(&self, what: Happening) -> u64 {
        self.seen[what as usize].load(Ordering::Relaxed)
    }

    /// The step without counting it.
    pub(crate) fn step(&self, state: &Keyed, action: Action) -> Keyed {
        Keyed::new(&self.config, state.after(&self.config, action))
    }
}

impl Model for ProtocolModel {
    type State = Keyed;
    type Action = Action;

    fn init_states(&self) -> Vec<Keyed> {
        let worlds = self.config.rates.iter().map(|rates| World::new(&self.config, rates));
        worlds.map(|world| Keyed::new(&self.config, world)).collect()
    }

    fn actions(&self, state: &Keyed, actions: &mut Vec<Action>) {
        World::actions(state, &self.config, actions);
    }

    fn next_state(&self, state: &Keyed, action: Action) -> Option<Keyed> {
        let next = self.step(state, action);
        for what in next.happened.iter() {
            self.seen[what as usize].fetch_add(1, Ordering::Relaxed);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = properties::always();
        properties.extend(happening::sometimes());
        properties
    }
}
