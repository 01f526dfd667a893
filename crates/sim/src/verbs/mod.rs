//! What the command does, one file a verb, each with its arguments and help.

pub(crate) mod check;
pub(crate) mod meta;
pub(crate) mod run;
pub(crate) mod sweep;
