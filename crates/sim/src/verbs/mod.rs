//! What the command does, one file a verb, each with its arguments and help.

pub(crate) mod check;
pub(crate) mod damage;
mod figures;
pub(crate) mod meta;
pub(crate) mod plants;
pub(crate) mod run;
pub(crate) mod scale;
mod seeds;
pub(crate) mod sweep;
