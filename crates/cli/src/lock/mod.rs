//! Running a command only while a lease is held.
//!
//! ```text
//! leasehold lock ──socket──> watchdog ──parent of──> CMD and its process group
//!   holds the lease            owns the group           runs
//!   renews, tells bounds       TERM, KILL, reaps
//! ```
//!
//! Reading order: [`schedule`] (when to stop), [`protocol`] (what is said), [`group`] (what is
//! signalled), [`gate`] (how a command starts), [`watchdog`], [`supervisor`]. [`terminal`] is about
//! the keyboard.

pub(crate) mod gate;
mod group;
mod protocol;
mod schedule;
pub(crate) mod supervisor;
mod terminal;
pub(crate) mod watchdog;
