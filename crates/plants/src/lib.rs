//! A test that never failed has shown nothing. A *plant* is a bug of a few lines together with the one
//! test that must notice it; this crate puts each into a copy of the sources, runs that test, and
//! demands that it fails, and that it passes without the plant.
//!
//! Plants are patches of the source, one file each in `tests/plants`, not features or traits in the
//! code: what ships has no switch that makes it wrong, no branch that only tests take, and a plant can
//! sit in any line, also where no seam is. The price is a build for each plant, kept small by one
//! target directory that lives from plant to plant, and by taking plants of one package in a row.
//!
//! The copy lies below `target`, so a run that is killed leaves the real sources as they were.

mod plant;
mod report;
mod scratch;
mod target;
mod trial;

pub use plant::{KilledBy, Plant, Unusable};
pub use report::{Report, markdown_row};
pub use scratch::{Planted, Scratch};
pub use target::{Target, tests_in};
pub use trial::{Outcome, Verdict, baseline, verdict};
