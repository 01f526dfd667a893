//! What must be true of everything that is seen, one file for each property.
//!
//! Every oracle is asked after every event. It knows only what was seen, never what the code under
//! test meant. What the nodes applied is merged into one log first: the first to apply an index says
//! what it holds, and all others must have seen the same (I5).

mod c1_belief;
mod f1_marks;
mod f2_bytes;
mod i1_i7_state;
mod i2_tokens_grow;
mod i4_granted_once;
mod i5_replicas_agree;
mod i6_one_holder;
mod i7_fifo;
mod s01_unique;
mod s02_real_time;
mod s05_store;
mod s06_no_lost_update;
mod s07_one_claim_one_answer;
mod s08_definite;
mod s09_reads;
mod s10_order;
mod s11_majority;
mod s11_replication;

use std::time::Duration;

use leasehold_raft::{AppliedBatch, Change};

use super::plan::{FaultClass, Plan};
use super::seen::Seen;
use i5_replicas_agree::Log;

/// A property, watched.
pub(super) trait Oracle {
    /// As it is called everywhere.
    fn name(&self) -> &'static str;

    /// Something was seen.
    fn see(&mut self, at: Duration, seen: &Seen) -> Result<(), String> {
        let _ = (at, seen);
        Ok(())
    }

    /// The cluster decided something: called once for each batch, in the order of the log, when the
    /// first node has applied it.
    fn committed(&mut self, at: Duration, batch: &AppliedBatch) -> Result<(), String> {
        let _ = (at, batch);
        Ok(())
    }
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub oracle: String,
    /// When, by true time.
    pub at: Duration,
    /// What was seen.
    pub what: String,
}

/// All oracles, in order.
pub(crate) struct Court {
    log: Log,
    oracles: Vec<Box<dyn Oracle>>,
}

impl Court {
    pub(crate) fn new(plan: &Plan) -> Self {
        let memory_ms = plan.settings.ended_memory_ms;
        let mut oracles: Vec<Box<dyn Oracle>> = vec![
            Box::new(i1_i7_state::StateHolds),
            Box::new(i2_tokens_grow::TokensGrow::default()),
            Box::new(i4_granted_once::GrantedOnce::new(memory_ms)),
            Box::new(i6_one_holder::OneHolder::default()),
            Box::new(i7_fifo::Fifo::default()),
            Box::new(f1_marks::MarksNeverDecrease::default()),
            Box::new(f2_bytes::BytesCarryTheirToken::default()),
        ];
        // What is said about time holds while clocks do.
        if !plan.has(FaultClass::ClockRatesBeyond) {
            oracles.push(Box::new(c1_belief::BeliefInsideLease::default()));
        }
        let rest: [Box<dyn Oracle>; 10] = [
            Box::new(s01_unique::OneTokenOneClaim::default()),
            Box::new(s02_real_time::LaterIsLarger::default()),
            Box::new(s05_store::AcknowledgedSurvives::default()),
            Box::new(s06_no_lost_update::NoLostUpdate::default()),
            Box::new(s07_one_claim_one_answer::OneAnswer::default()),
            Box::new(s08_definite::DefiniteIsDefinite::default()),
            Box::new(s09_reads::ReadsAreCurrent::default()),
            Box::new(s10_order::ToldFirstServedFirst::default()),
            Box::new(s11_majority::OnAMajority),
            Box::new(s11_replication::Replication::default()),
        ];
        oracles.extend(rest);
        Self { log: Log::default(), oracles }
    }

    /// Asks everybody about one event.
    pub(crate) fn see(&mut self, at: Duration, seen: &Seen) -> Result<(), Violation> {
        let judge = |name: &str, verdict: Result<(), String>| {
            verdict.map_err(|what| Violation { oracle: name.to_owned(), at, what })
        };
        judge(i5_replicas_agree::NAME, self.log.see(seen))?;
        if let Seen::Applied { change, .. } = seen
            && let Change::Batch(batch) = &**change
            && self.log.is_news(batch)
        {
            for oracle in &mut self.oracles {
                judge(oracle.name(), oracle.committed(at, batch))?;
            }
        }
        for oracle in &mut self.oracles {
            judge(oracle.name(), oracle.see(at, seen))?;
        }
        Ok(())
    }
}
