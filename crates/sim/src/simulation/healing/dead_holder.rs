//! L2 and L4: a dead holder's resource is free after its ttl, plus time without a running leader, plus
//! one pulse, plus one pulse for each change of leader in between.
//!
//! The world claims something and never renews; somebody waits for it. Everything is counted on true
//! time, so the clocks' own errors come on top, and so does what it takes to notice and to commit.

use std::time::Duration;

use leasehold_core::Command;
use leasehold_types::RequestId;

use super::super::oracles::Violation;
use super::super::plan::FaultClass;
use super::super::process::{self, true_time};
use super::super::world::World;
use super::{ANSWER_WITHIN, broken, claim};

const STEP: Duration = Duration::from_millis(10);
const RESOURCE: &str = "world/dead";

impl World {
    pub(super) async fn a_dead_holder_goes(&mut self, elections: bool) -> Result<(), Violation> {
        let ttl = Duration::from_millis(self.plan.ttl_ms.0);
        let long = Duration::from_secs(60);
        let dead = claim(2, RESOURCE, ttl, Duration::ZERO);
        let waits = claim(3, RESOURCE, long, long);
        self.answered(Command::Acquire(dead)).await?;
        let died = true_time();
        let changes_before = self.leaderships();
        let mut leaderless = Duration::ZERO;
        let mut hand_over_at = true_time() + self.between_elections();
        let mut waiting = false;
        loop {
            // Only once: every question is a stamp, and it is those of an idle cluster that count.
            match waiting {
                false => waiting = self.ask(Command::Acquire(waits.clone())).await?.is_some(),
                true if self.holds(waits.request).await? => break,
                true => {}
            }
            let before = true_time();
            self.live_until(before + STEP).await?;
            if self.leader().is_none() {
                leaderless += true_time() - before;
            }
            if elections && true_time() >= hand_over_at {
                self.hand_over();
                hand_over_at = true_time() + self.between_elections();
            }
            let changes = self.leaderships() - changes_before;
            let bound = self.bound(ttl, leaderless, changes);
            if true_time() - died > bound {
                let oracle = match elections {
                    false => "L2 a dead holder's resource comes free",
                    true => "L4 a dead holder's resource comes free although leaders change",
                };
                let what = format!(
                    "claimed for {ttl:?} at {died:?}, {leaderless:?} without a leader, \
                     {changes} changes: not free after {bound:?}"
                );
                return Err(broken(oracle, what));
            }
        }
        let trial = if elections { "dead holders through elections" } else { "dead holders" };
        self.figures.count(trial);
        self.answered(Command::Cancel { request: waits.request }).await
    }

    /// Whether the state of the leader says so.
    async fn holds(&mut self, request: RequestId) -> Result<bool, Violation> {
        let Some(leader) = self.leader() else { return Ok(false) };
        let asked = async move { leader.query(|state| state.get(RESOURCE)).await };
        let answer = self.while_living(asked, true_time() + ANSWER_WITHIN).await?;
        let view = answer.and_then(Result::ok).flatten();
        Ok(view.is_some_and(|view| view.lease.request == request))
    }

    fn between_elections(&self) -> Duration {
        self.plan.timing.election_max * 3
    }

    fn hand_over(&mut self) {
        let Some(leader) = self.leader() else { return };
        let id = leader.status().node_id;
        if let Some(pid) = self.machines.get(&id).and_then(|machine| machine.pid) {
            process::spawn_in(pid, async move {
                leader.hand_over_leadership().await;
            });
        }
    }

    fn bound(&self, ttl: Duration, leaderless: Duration, changes: u32) -> Duration {
        let rate = if self.plan.has(FaultClass::ClockRatesBeyond) { 10 } else { 500 };
        let pulse = Duration::from_millis(self.plan.settings.stamp_interval_ms);
        // A status is as old as the observer's rest, an answer takes two syncs and two ways.
        let notice = self.plan.timing.heartbeat / 10 + STEP * 4 + self.plan.sync * 4;
        ttl + ttl / rate + leaderless + (pulse + notice * 2) * (changes + 1) + ANSWER_TAKES
    }
}

/// To be told, beside being granted.
const ANSWER_TAKES: Duration = Duration::from_millis(200);
