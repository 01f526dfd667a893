//! The demonstration: what a lease alone cannot prevent, and what the fence does about it.
//!
//! [`story`] is what happens, [`cast`] are the two client processes and how they are told what to do,
//! [`actor`] is what they run, [`timeline`] is what the audience sees.

pub(crate) mod actor;
mod cast;
pub(crate) mod story;
pub(crate) mod timeline;
