//! Model check.
mod action;
mod client;
mod config;
mod facts;
mod ghost;
mod happening;
mod heal;
mod judge;
mod key;
mod leader;
mod lease;
mod model;
mod mutant;
mod properties;
mod protocol;
mod run;
mod step;
mod store;
mod tick;
mod trust;
mod world;

pub use config::*;
pub use mutant::Mutant;
pub use happening::*;
pub use model::ProtocolModel;
pub use run::*;
