//! Damage to every durable file, and power cuts at every step: detected or harmless, never wrong.
//!
//! A scripted history ([`history`]) is lived through once; what then lies on the disks is damaged in one
//! way on one disk ([`harm`], [`cases`]), nodes are started on the copies, and it is decided what they
//! make of it ([`trial`]). The same for the store ([`store`]). [`plant`] holds known bugs that must be
//! noticed.
//!
//! Deliberately absent: two faults at once, other than a power cut of all nodes. What is assumed of a
//! disk, and which damage nobody could tell from a torn write, is in `docs/faults.md`.

mod camera;
mod cases;
mod cluster;
mod harm;
mod history;
mod image;
mod notes;
mod plant;
mod report;
mod run;
mod store;
mod trial;

pub use plant::Plant;
pub use report::Report;
pub use run::{Depth, Options, run};
pub use trial::Verdict;
