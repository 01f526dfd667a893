//! The checks of histories, checked: on good ones made by honest clients of the real state machine and
//! the real fence, on bad ones made from those, and against a full search.
#![allow(unreachable_pub, reason = "one test program of several files")]
#![allow(clippy::ptr_arg, reason = "all mutations have one type")]

mod command;
mod cross_check;
mod generator;
mod mutations;
mod table;
mod wild;
