//! Replication: the only crate that names the consensus library.
