//! A whole cluster as child processes of this one, for `dev` and `demo`; and signals, for whoever
//! runs anything.
//!
//! [`layout`] is what is on the disk, [`daemon`] is one process, [`cluster`] is all of them, [`node`]
//! is how a node is asked how it is.

pub(crate) mod cluster;
pub(crate) mod daemon;
pub(crate) mod layout;
pub(crate) mod node;
pub(crate) mod signals;
