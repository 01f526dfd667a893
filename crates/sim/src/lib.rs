//! Proof by trial: what Leasehold promises, checked against what was seen to happen.
//!
//! [`history`] takes a recording of what clients asked and were answered, by whatever cluster and in
//! whatever language, and checks it property by property. It knows nothing of how the cluster works
//! inside, so it cannot repeat the cluster's mistakes.
//!
//! Deliberately absent: any way to reach a cluster. Who makes the calls writes the recording.

pub mod damage;
pub mod history;
pub mod simulation;
