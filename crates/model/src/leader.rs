//! Leadership, stamps, and the log.

use leasehold_core::{Answer, ClaimAnswer, Command, EventKind, Standing};
use leasehold_types::Refusal;

use crate::config::{Config, GrantAnswer};
use crate::ghost::Flaw;
use crate::happening::Happening;
use crate::judge::judge;
use crate::lease::{acquire, cancel, release, renew_requests, renew_token};
use crate::mutant::Mutant;
use crate::protocol;
use crate::world::{Body, Deposed, Entry, Leader, Message, Reply, World, number};

impl Leader {
    /// One turn of its loop with nothing passed but what it owes: what a stamp shows.
    fn stamp_ms(&self, config: &Config) -> u64 {
        let owed = match config.mutant {
            Mutant::NoStepCap => self.owed_ms,
            _ => self.owed_ms.min(config.cap_ms),
        };
        (self.ahead_ms + owed).min(config.horizon_ms())
    }

    fn take_stamp(&mut self, config: &Config) -> u64 {
        let stamp = self.stamp_ms(config);
        let counted = stamp.saturating_sub(self.ahead_ms);
        let keeps = config.mutant == Mutant::CapCaughtUpLater;
        self.owed_ms = if keeps { self.owed_ms.saturating_sub(counted) } else { 0 };
        self.ahead_ms = stamp;
        stamp
    }

    /// A step of real time in which its clock showed `passed_ms`.
    pub(crate) fn pass(&mut self, config: &Config, passed_ms: u64, awake: bool) {
        if !self.noted && config.mutant != Mutant::NoteAtElection {
            return;
        }
        self.owed_ms += passed_ms;
        if awake {
            self.take_stamp(config);
        } else if config.mutant.drops_above_cap() {
            self.owed_ms = self.owed_ms.min(config.cap_ms);
        } else {
            self.owed_ms = self.owed_ms.min(config.horizon_ms());
        }
    }
}

impl World {
    /// Whether a leader that has noted lease time could stamp now.
    pub(crate) fn may_propose(&self) -> bool {
        self.entry.is_none() && self.leader.as_ref().is_some_and(|leader| leader.noted)
    }

    pub(crate) fn stamp_lead_ms(&self, config: &Config) -> u64 {
        self.leader.as_ref().map_or(0, |leader| leader.stamp_ms(config))
    }

    /// Whether the leader owes the log a pulse: what is due has not ended, or elapsed time has not
    /// been committed for a whole step.
    pub(crate) fn owes_pulse(&self, config: &Config) -> bool {
        let lead = self.stamp_lead_ms(config);
        let facts = self.lease.facts();
        let is_due = facts.claims.iter().any(|claim| claim.deadline <= facts.now + lead);
        let has_interest = !facts.claims.is_empty() || !facts.ended.is_empty();
        let periodic = config.mutant != Mutant::OnlyDuePulses;
        is_due || (periodic && has_interest && lead + 1 >= crate::config::TICK_MS)
    }

    /// The leader takes requests into a batch; without any it is a pulse.
    pub(crate) fn open(&mut self, config: &Config, requests: Vec<Message>) {
        let leader = self.leader.as_mut().expect("only a leader opens a batch");
        let stamp_ms = leader.take_stamp(config);
        self.entry = Some(Entry { requests, stamp_ms, closed: false });
    }

    /// The leader closes its batch, stamps and proposes it.
    pub(crate) fn close(&mut self, config: &Config) {
        let leader = self.leader.as_mut().expect("only a leader closes a batch");
        let stamp_ms = leader.take_stamp(config);
        let entry = self.entry.as_mut().expect("an open batch is closed");
        entry.closed = true;
        if config.mutant != Mutant::StampWhenOpened {
            entry.stamp_ms = stamp_ms;
        }
    }

    /// The entry is committed, applied, and answered.
    pub(crate) fn commit(&mut self, config: &Config) {
        let entry = self.entry.take().expect("a proposed entry is committed");
        let lead = self.stamp_lead_ms(config);
        if lead > entry.stamp_ms {
            self.happened.note(Happening::LateCommit);
        }
        self.enter(config, &entry);
    }

    pub(crate) fn enter(&mut self, config: &Config, entry: &Entry) {
        let before = self.lease.clone();
        let at = before.now() + entry.stamp_ms;
        let commands = entry.requests.iter().map(|request| command(config, request)).collect();
        let entered = protocol::enter(config, &before, at, commands);
        judge(self, config, entry, &before, &entered);
        let advance = entered.lease.now() - before.now();
        self.lease = entered.lease;
        self.move_clocks(advance);
        for (request, outcome) in entry.requests.iter().zip(&entered.applied.outcomes) {
            let reply = reply(config, request, &outcome.answer);
            if reply == Reply::Waiting && matches!(request.body, Body::Acquire { .. }) {
                self.keep_open(config, request);
            }
            self.answer(request, reply);
        }
        self.answer_replaced(entry, &entered.applied.outcomes);
        for event in &entered.applied.events {
            if let EventKind::Granted { token, deadline, .. } = event.kind {
                let request = event.request.as_bytes()[0];
                self.tell_waiter(config, request, token.get(), deadline.0);
            }
        }
        let facts = self.lease.facts().clone();
        self.calls.retain(|call| facts.claim(number(call.client, call.ordinal)).is_some());
    }

    /// Cuts the leader's lead off where it decides nothing more: what lives has ended then, and what is
    /// remembered is forgotten. (While a proposal is under way, the lead over its stamp decides.)
    pub(crate) fn cut_lead(&mut self, config: &Config) {
        if self.entry.is_some() || config.bound || !config.mutant.drops_above_cap() {
            return;
        }
        let facts = self.lease.facts();
        let deadlines = facts.claims.iter().map(|claim| claim.last_ms() - facts.now);
        let mentioned = facts.ended.iter().filter(|ended| self.is_mentioned(ended.request));
        let memories = mentioned.map(|ended| ended.at + config.memory_ms - facts.now);
        let lead = deadlines.chain(memories).max().unwrap_or(0);
        let Some(leader) = &mut self.leader else { return };
        if leader.ahead_ms >= lead {
            (leader.ahead_ms, leader.owed_ms) = (lead, 0);
        }
    }

    fn move_clocks(&mut self, advance: u64) {
        if let Some(leader) = &mut self.leader {
            leader.ahead_ms = leader.ahead_ms.saturating_sub(advance);
        }
        if let Some(deposed) = &mut self.deposed {
            deposed.ahead_ms = deposed.ahead_ms.saturating_sub(advance);
        }
        for call in &mut self.calls {
            call.applied_ms_ago += advance;
        }
    }

    pub(crate) fn answer(&mut self, request: &Message, reply: Reply) {
        self.send(Message { body: Body::Reply(reply), ..request.clone() });
    }

    /// Tells a promoted waiter, by a push or by the call that it has open. Whoever was granted at once
    /// has its answer already.
    fn tell_waiter(&mut self, config: &Config, request: u8, token: u64, deadline: u64) {
        let (client, ordinal) =
            (usize::from(request / crate::world::CLAIMS_MAX), request % crate::world::CLAIMS_MAX);
        match config.grants {
            GrantAnswer::Push => {
                let body = Body::Reply(Reply::Granted { token });
                let waits = self.clients[client].claim.as_ref().is_some_and(|claim| claim.waits);
                if waits {
                    self.send(Message { client, ordinal, age: 0, body });
                }
            }
            GrantAnswer::OpenCall => {
                let is_for =
                    |call: &crate::world::Call| number(call.client, call.ordinal) == request;
                let (answered, open) = self.calls.drain(..).partition(is_for);
                self.calls = open;
                for call in answered {
                    let valid_for_ms = deadline - self.lease.now() + call.applied_ms_ago;
                    let body = Body::Reply(Reply::Held { token, valid_for_ms });
                    self.send(Message { client, ordinal, age: call.age, body });
                }
            }
        }
    }

    /// The mutant: whoever waits for this index takes the outcome for its own.
    fn answer_replaced(&mut self, entry: &Entry, outcomes: &[leasehold_core::Outcome]) {
        let Some(waiting) = self.deposed.as_mut().and_then(|deposed| deposed.replaced.take())
        else {
            return;
        };
        if entry.requests.contains(&waiting) {
            return;
        }
        if let Some(Answer::Claim(claim)) = outcomes.first().map(|outcome| &outcome.answer) {
            let request = number(waiting.client, waiting.ordinal);
            let granted = self.ghost.fate(request).token != 0;
            self.ghost.blame_if(!granted, Flaw::AnsweredWithoutEffect);
            self.answer(&waiting, standing(claim, claim.valid_for_ms));
        }
    }

    /// The leader loses its leadership, without knowing.
    pub(crate) fn depose(&mut self, config: &Config) {
        let leader = self.leader.take().expect("a leader is deposed");
        if self.entry.as_ref().is_some_and(|entry| !entry.closed) {
            self.entry = None;
            self.happened.note(Happening::EntryLost);
        }
        if config.mutant == Mutant::OldNoteKept && self.deposed.is_some() {
            return; // The one that led before has its note still.
        }
        self.deposed = Some(Deposed {
            ahead_ms: leader.ahead_ms,
            owed_ms: leader.owed_ms,
            replica: self.lease.clone(),
            replica_age_ms: leader.ahead_ms,
            replaced: None,
        });
    }

    /// A node becomes leader. Whether the old leader's proposal survived is decided now.
    pub(crate) fn elect(&mut self, config: &Config, again: bool, keeps_entry: bool) {
        self.left.elections -= 1;
        if self.lease.facts().lease().is_some() {
            self.happened.note(Happening::LeaderChanged);
        }
        if self.entry.is_some() {
            self.happened.note(if keeps_entry {
                Happening::EntryKept
            } else {
                Happening::EntryLost
            });
        }
        if !keeps_entry && let Some(entry) = self.entry.take() {
            let deposed = self.deposed.as_mut().expect("an election follows a deposition");
            if config.mutant == Mutant::ReplyByIndex {
                deposed.replaced = entry.requests.into_iter().next();
            }
        }
        let mut leader = Leader { noted: config.is_atomic(), ahead_ms: 0, owed_ms: 0 };
        if again && let Some(deposed) = self.deposed.take() {
            leader.owed_ms = deposed.owed_ms;
            if config.mutant == Mutant::OldNoteKept {
                leader.ahead_ms = deposed.ahead_ms;
            }
        }
        self.leader = Some(leader);
        for fate in &mut self.ghost.fates {
            fate.changes = fate.changes.saturating_add(u8::from(config.bound));
        }
        if config.mutant == Mutant::NewLeaderRestartsTtls {
            let live = self.lease.facts().claims.iter().map(|claim| claim.request);
            let renew = renew_requests(live.collect::<Vec<_>>().into_iter());
            self.lease = self.lease.apply(self.lease.now(), &[renew]).lease;
        }
    }

    /// A new leader applies the first entry of its leadership and notes lease time.
    pub(crate) fn note(&mut self, config: &Config) {
        let leader = self.leader.as_mut().expect("a leader notes lease time");
        leader.noted = true;
        if config.mutant != Mutant::NoteAtElection {
            leader.ahead_ms = 0;
        }
    }
}

fn command(config: &Config, message: &Message) -> Command {
    let request = number(message.client, message.ordinal);
    match message.body {
        Body::Acquire { waits } => acquire(request, config, waits),
        Body::RenewRequest => renew_requests(std::iter::once(request)),
        Body::RenewToken { token } => renew_token(token),
        Body::Release { token } => release(token),
        Body::Cancel => cancel(request),
        Body::Reply(_) => unreachable!("replies go to clients"),
    }
}

fn reply(config: &Config, request: &Message, answer: &Answer) -> Reply {
    match answer {
        Answer::Claim(claim) => {
            let full = config.mutant == Mutant::RepeatedAcquireSaysFullTtl;
            standing(claim, if full { config.ttl_ms } else { claim.valid_for_ms })
        }
        Answer::Renewed(items) => match items.first() {
            Some(Ok(_))
                if config.mutant == Mutant::RenewAnswerWithoutToken
                    && request.body == Body::RenewRequest =>
            {
                Reply::Waiting
            }
            Some(Ok(claim)) => standing(claim, claim.valid_for_ms),
            Some(Err(refusal)) => refused(refusal),
            None => unreachable!("each renewal of the model has one item"),
        },
        Answer::Released { .. } => Reply::Released,
        Answer::Cancelled { .. } => Reply::Cancelled,
        Answer::Pulsed => unreachable!("nobody asks for a pulse"),
        Answer::Refused(refusal) => refused(refusal),
    }
}

fn standing(claim: &ClaimAnswer, valid_for_ms: u64) -> Reply {
    match claim.standing {
        Standing::Waiting { .. } => Reply::Waiting,
        Standing::Held { token } => Reply::Held { token: token.get(), valid_for_ms },
    }
}

fn refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Held { .. } => Reply::Refused,
        Refusal::NotHolder { .. } => Reply::NotHolder,
        _ => Reply::Ended,
    }
}
