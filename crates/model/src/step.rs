//! One step from a state to the next.

use crate::action::Action;
use crate::config::Config;
use crate::happening::{Happening, Happenings};
use crate::lease::release;
use crate::mutant::Mutant;
use crate::world::{Body, Entry, Message, Reply, World, number};

impl World {
    /// The state after `action`, one of those that [`World::actions`] offered.
    pub(crate) fn after(&self, config: &Config, action: Action) -> Self {
        let mut next = self.clone();
        next.happened = Happenings::default();
        next.take(config, action);
        next.cut_lead(config);
        next
    }

    fn take(&mut self, config: &Config, action: Action) {
        match action {
            Action::Tick { awake } => self.tick(config, awake),
            Action::Depose => self.depose(config),
            Action::Elect { again, keeps_entry } => self.elect(config, again, keeps_entry),
            Action::Note => self.note(config),
            Action::Pulse => self.propose(config, Vec::new()),
            Action::Serve { message, copy } => self.serve(config, message, copy),
            Action::Join { message } => {
                let request = self.wire.remove(message);
                let entry = self.entry.as_mut().expect("there is an open batch");
                entry.requests.push(request);
            }
            Action::Close => self.close(config),
            Action::Commit => self.commit(config),
            Action::Lose { message } => self.lose(config, message),
            Action::Receive { message } => {
                let reply = self.wire.remove(message);
                self.receive(config, &reply);
            }
            Action::Begin { client, waits } => self.begin(client, waits),
            Action::Retry { client } => self.retry(client),
            Action::Renew { client } => self.renew(client),
            Action::GiveUp { client } => self.give_up(client),
            Action::Stop { client } => self.stop(config, client),
            Action::End { client } => self.end(client),
            Action::CrashClient { client } => self.crash_client(client),
            Action::Check { client } => self.check_and_read(config, client),
            Action::Write { client, index, copy } => self.admit(config, client, index, copy),
            Action::Sync => self.sync(),
            Action::CrashStore => self.crash_store(config),
            Action::DeposedPulse => self.deposed_pulse(config),
            Action::DeposedRevoke => self.deposed_revoke(),
            Action::DeposedAnswer { message } => self.deposed_answer(config, message),
        }
    }

    fn serve(&mut self, config: &Config, message: usize, copy: bool) {
        let request = if copy {
            self.left.copies -= 1;
            self.happened.note(Happening::Copied);
            self.wire[message].clone()
        } else {
            self.wire.remove(message)
        };
        self.propose(config, vec![request]);
    }

    /// A batch is opened; where it can hold no more it is closed at once, and where the log is atomic it
    /// is committed at once.
    fn propose(&mut self, config: &Config, requests: Vec<Message>) {
        let is_full = requests.is_empty() || requests.len() >= config.batch();
        self.open(config, requests);
        if is_full {
            self.close(config);
        }
        if config.is_atomic() {
            self.commit(config);
        }
    }

    fn lose(&mut self, config: &Config, message: usize) {
        let lost = self.wire.remove(message);
        self.happened.note(Happening::MessageLost);
        let was_claimed = matches!(lost.body, Body::Reply(Reply::Held { .. } | Reply::Waiting));
        if config.mutant == Mutant::NodeCancelsBrokenCall && was_claimed {
            self.send(Message { body: Body::Cancel, ..lost });
        }
    }

    /// Proposals are bound to the leadership that made them: the log takes none of a deposed leader.
    fn deposed_pulse(&mut self, config: &Config) {
        if config.mutant != Mutant::DeposedPulseAccepted {
            self.happened.note(Happening::DeposedRefused);
            return;
        }
        let stamp_ms = self.deposed.as_ref().map_or(0, |deposed| deposed.ahead_ms);
        self.enter(config, &Entry { requests: Vec::new(), stamp_ms, closed: true });
    }

    fn deposed_revoke(&mut self) {
        let deposed = self.deposed.take().expect("there is a deposed leader");
        let token = deposed.replica.facts().lease().and_then(|lease| lease.token());
        if let Some(token) = token {
            self.lease = self.lease.apply(self.lease.now(), &[release(token)]).lease;
        }
    }

    fn deposed_answer(&mut self, config: &Config, message: usize) {
        let request = self.wire.remove(message);
        let deposed = self.deposed.as_ref().expect("there is a deposed leader");
        let facts = deposed.replica.facts();
        let claim = facts.claim(number(request.client, request.ordinal));
        let Some((claim, token)) = claim.and_then(|claim| Some((claim, claim.token()?))) else {
            return;
        };
        let valid_for_ms = match config.mutant {
            Mutant::DeposedAnswersRenew => config.ttl_ms,
            _ => claim.deadline - facts.now,
        };
        self.answer(&request, Reply::Held { token, valid_for_ms });
    }
}
