//! A step of real time, the same for everybody; each clock shows its own share.

use crate::config::{Config, TICK_MS};
use crate::happening::Happening;
use crate::trust::left_ns;
use crate::world::{Body, Intent, Message, Reply, Told, World, number};

impl Message {
    /// Its age counts only where it limits what an answer proves, and there only as long as it proves
    /// anything: whatever else is under way may take any time.
    fn grow_older(&mut self, config: &Config) {
        let matters = match self.body {
            Body::Acquire { .. } | Body::RenewRequest | Body::RenewToken { .. } => true,
            Body::Reply(reply) => matches!(reply, Reply::Held { .. }),
            Body::Release { .. } | Body::Cancel => false,
        };
        if matters {
            self.age = (self.age + 1).min(config.proof_life());
        }
    }
}

impl World {
    /// Whether time may pass. A leader that runs closes its batch before its clock goes on: only one that
    /// is frozen, whose clock then takes a single turn, leaves it open. And where the bound of L2 is
    /// checked, time waits for pulses that are due: there a leader that can talk is one that does.
    pub(crate) fn may_tick(&self, config: &Config, awake: bool) -> bool {
        let has_open_batch = self.entry.as_ref().is_some_and(|entry| !entry.closed);
        let waits_for_pulse = config.bound && self.may_propose() && self.owes_pulse(config);
        !(waits_for_pulse || awake && has_open_batch)
    }

    pub(crate) fn tick(&mut self, config: &Config, awake: bool) {
        let leader_ms = self.rates.leader;
        if !awake {
            self.happened.note(Happening::Frozen);
        }
        let has_leader = self.leader.is_some();
        if let Some(leader) = &mut self.leader {
            leader.pass(config, leader_ms, awake);
        }
        if let Some(deposed) = &mut self.deposed {
            let horizon = config.horizon_ms();
            deposed.ahead_ms = (deposed.ahead_ms + leader_ms).min(horizon);
            deposed.replica_age_ms = (deposed.replica_age_ms + leader_ms).min(horizon);
        }
        self.age_messages(config);
        for client in 0..self.clients.len() {
            self.age_claim(config, client);
        }
        if config.bound && has_leader {
            for claim in &self.lease.facts().claims {
                let fate = &mut self.ghost.fates[usize::from(claim.request)];
                fate.idle = fate.idle.saturating_add(1);
            }
        }
    }

    fn age_messages(&mut self, config: &Config) {
        let under_way = self.wire.iter_mut();
        let proposed = self.entry.iter_mut().flat_map(|entry| &mut entry.requests);
        under_way.chain(proposed).for_each(|message| message.grow_older(config));
        let is_gone = |message: &Message| {
            matches!(message.body, Body::Acquire { .. }) && message.age >= config.acquire_life
        };
        self.wire.retain(|message| !is_gone(message));
        let call_life = u8::try_from(config.wait_ms / TICK_MS).unwrap_or(u8::MAX);
        self.calls.iter_mut().for_each(|call| call.age += 1);
        self.calls.retain(|call| call.age <= call_life);
    }

    fn age_claim(&mut self, config: &Config, client: usize) {
        let passed_ms = self.rates.clients[client];
        let Some(claim) = &mut self.clients[client].claim else { return };
        claim.since_latest = (claim.since_latest + 1).min(config.proof_life());
        if claim.told == Told::Nothing && claim.intent == Intent::Keep {
            claim.since_first = (claim.since_first + 1).min(config.retry_life + 1);
        }
        let left = left_ns(claim.trusted_ns, passed_ms);
        let bound_passed = claim.trusted_ns > 0 && left == 0;
        claim.trusted_ns = left;
        if bound_passed {
            claim.intent = Intent::Release;
            let request = number(client, claim.ordinal);
            self.happened.note(Happening::BoundPassed);
            if self.lease.facts().claim(request).is_some() {
                self.happened.note(Happening::GhostHolds);
            }
        }
    }
}
