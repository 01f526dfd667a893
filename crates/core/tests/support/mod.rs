//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod history;
pub(crate) mod model;
pub(crate) mod tell;
