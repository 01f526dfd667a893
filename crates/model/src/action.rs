//! Everything that can happen next.

use crate::config::{Config, Wait};
use crate::mutant::Mutant;
use crate::world::{Body, Entry, Intent, Told, World};

/// One step. Messages, clients and writes are named by their place in the state before.
#[allow(missing_docs, reason = "the fields are told with their steps")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Real time passes; the leader, if there is one, runs or is frozen.
    Tick { awake: bool },
    /// The leader is deposed without knowing.
    Depose,
    /// There is a new leader; the old one's proposal survived or not. `again`: the same node as before.
    Elect { again: bool, keeps_entry: bool },
    /// The new leader applies its first entry and notes lease time.
    Note,
    /// The leader proposes a stamp alone.
    Pulse,
    /// The leader takes a request, and perhaps a copy of it stays under way.
    Serve { message: usize, copy: bool },
    /// One more request joins the open batch.
    Join { message: usize },
    /// The batch is closed, stamped and proposed.
    Close,
    /// The proposal is committed, applied and answered.
    Commit,
    /// A message is lost.
    Lose { message: usize },
    /// A client reads a reply.
    Receive { message: usize },
    /// A client begins a claim.
    Begin { client: usize, waits: bool },
    /// A client repeats its acquire under the same id.
    Retry { client: usize },
    /// A client renews.
    Renew { client: usize },
    /// A client gives up what it was not granted yet.
    GiveUp { client: usize },
    /// A client stops, to release.
    Stop { client: usize },
    /// A client sends its release or cancel, again perhaps.
    End { client: usize },
    /// A client's process is gone.
    CrashClient { client: usize },
    /// A client checks its lease and reads from the store; then it may sleep.
    Check { client: usize },
    /// A client's write reaches the store.
    Write { client: usize, index: usize, copy: bool },
    /// The store's transaction is durable, and answered.
    Sync,
    /// The store loses power.
    CrashStore,
    /// A deposed leader proposes its stamp.
    DeposedPulse,
    /// A deposed leader's timer ends a lease (mutants only).
    DeposedRevoke,
    /// A deposed leader answers by itself (mutants only).
    DeposedAnswer { message: usize },
}

impl World {
    /// What can happen next, in a fixed order.
    pub(crate) fn actions(&self, config: &Config, actions: &mut Vec<Action>) {
        self.log_actions(config, actions);
        self.deposed_actions(config, actions);
        self.message_actions(config, actions);
        for client in 0..config.clients {
            self.client_actions(config, client, actions);
            self.write_actions(config, client, actions);
        }
        if self.store.unsynced.is_some() {
            actions.push(Action::Sync);
        }
        if self.left.store_crashes > 0 {
            actions.push(Action::CrashStore);
        }
        let may_freeze = config.freezes && self.leader.is_some();
        for awake in [true, false] {
            if self.may_tick(config, awake) && (awake || may_freeze) {
                actions.push(Action::Tick { awake });
            }
        }
    }

    fn log_actions(&self, config: &Config, actions: &mut Vec<Action>) {
        let Some(leader) = &self.leader else {
            for keeps_entry in [false, true] {
                if !keeps_entry || self.entry.is_some() {
                    actions.push(Action::Elect { again: false, keeps_entry });
                }
            }
            if config.mutant.leads_again() {
                actions.push(Action::Elect { again: true, keeps_entry: false });
            }
            return;
        };
        if self.left.elections > 0 {
            actions.push(Action::Depose);
        }
        match &self.entry {
            Some(entry) if entry.closed => actions.push(Action::Commit),
            Some(_) => actions.push(Action::Close),
            None if !leader.noted => actions.push(Action::Note),
            None if self.stamp_lead_ms(config) > 0 => actions.push(Action::Pulse),
            None => {}
        }
    }

    fn deposed_actions(&self, config: &Config, actions: &mut Vec<Action>) {
        let Some(deposed) = &self.deposed else { return };
        if self.leader.is_none() {
            return;
        }
        if deposed.ahead_ms > 0 && self.entry.is_none() {
            actions.push(Action::DeposedPulse);
        }
        let replica = deposed.replica.facts();
        let timer_fired = replica
            .lease()
            .is_some_and(|lease| lease.deadline <= replica.now + deposed.replica_age_ms);
        if config.mutant == Mutant::RevokeByTimer && timer_fired {
            actions.push(Action::DeposedRevoke);
        }
    }

    fn message_actions(&self, config: &Config, actions: &mut Vec<Action>) {
        for (message, content) in self.wire.iter().enumerate() {
            if let Body::Reply(_) = content.body {
                actions.push(Action::Receive { message });
            } else {
                self.request_actions(config, message, content.body, actions);
            }
            actions.push(Action::Lose { message });
        }
    }

    fn request_actions(
        &self,
        config: &Config,
        message: usize,
        body: Body,
        actions: &mut Vec<Action>,
    ) {
        let is_open = |entry: &Entry| !entry.closed && entry.requests.len() < config.batch();
        if self.may_propose() {
            actions.push(Action::Serve { message, copy: false });
            // A repeated acquire is a client's own retry; a network that copies it is not TCP.
            if self.left.copies > 0 && !matches!(body, Body::Acquire { .. }) {
                actions.push(Action::Serve { message, copy: true });
            }
        } else if self.leader.is_some() && self.entry.as_ref().is_some_and(is_open) {
            actions.push(Action::Join { message });
        }
        let answers = match config.mutant {
            Mutant::DeposedAnswersRetry => matches!(body, Body::Acquire { .. }),
            Mutant::DeposedAnswersRenew => matches!(body, Body::RenewToken { .. }),
            _ => false,
        };
        if answers && self.deposed.is_some() {
            actions.push(Action::DeposedAnswer { message });
        }
    }

    fn client_actions(&self, config: &Config, client: usize, actions: &mut Vec<Action>) {
        let has_room = self.has_room(config, client);
        let Some(claim) = &self.clients[client].claim else {
            if self.clients[client].begun < config.claims && has_room {
                let begin = |waits| Action::Begin { client, waits };
                match config.wait {
                    Wait::Never => actions.push(begin(false)),
                    Wait::Always => actions.push(begin(true)),
                    Wait::Either => actions.extend([begin(false), begin(true)]),
                }
            }
            return;
        };
        if has_room && claim.may_retry(config) {
            actions.push(Action::Retry { client });
        }
        if has_room && claim.may_renew() {
            actions.push(Action::Renew { client });
        }
        if has_room && claim.intent != Intent::Keep {
            actions.push(Action::End { client });
        }
        if claim.may_give_up(config) {
            actions.push(Action::GiveUp { client });
        }
        let holds = matches!(claim.told, Told::Held { .. }) && claim.intent == Intent::Keep;
        if holds && config.releases {
            actions.push(Action::Stop { client });
        }
        if self.left.client_crashes > 0 {
            actions.push(Action::CrashClient { client });
        }
    }

    fn write_actions(&self, config: &Config, client: usize, actions: &mut Vec<Action>) {
        if self.may_check(config, client) {
            actions.push(Action::Check { client });
        }
        if self.store.unsynced.is_some() {
            return;
        }
        for (index, write) in self.clients[client].writes.iter().enumerate() {
            actions.push(Action::Write { client, index, copy: false });
            if self.left.copies > 0 && !write.copy {
                actions.push(Action::Write { client, index, copy: true });
            }
        }
    }
}
