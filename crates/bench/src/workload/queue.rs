//! `queue`: a long line for one resource, as long as there are clients.
//!
//! The same operations as `handover`; what is asked is whether a hand-over takes longer when the line is
//! long. The warm-up must be long enough for all clients to have joined the line: whoever measures ten
//! thousand looks at `wait`, which is the line's length times the hand-over.

use super::handover;
use crate::Error;
use crate::figures::Measured;
use crate::locks::Locks;
use crate::run::Run;

pub(crate) async fn run<L: Locks>(run: &Run, links: &[L]) -> Result<Vec<Measured>, Error> {
    handover::contend(run, links).await
}
