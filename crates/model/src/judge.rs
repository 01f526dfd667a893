//! Judges what a log entry did: events in their order, then answers.

use leasehold_core::{Answer, Event, EventKind, Standing};
use leasehold_types::{EndReason, Refusal};

use crate::config::Config;
use crate::facts::ClaimFact;
use crate::ghost::{Fate, Flaw, Ghost};
use crate::happening::Happening;
use crate::lease::{Entered, Lease};
use crate::world::{Body, Entry, World, number};

pub(crate) fn judge(
    world: &mut World,
    config: &Config,
    entry: &Entry,
    before: &Lease,
    entered: &Entered,
) {
    for name in &entered.broken {
        world.ghost.blame_core(name);
    }
    let facts = before.facts();
    let mut history = History {
        holder: facts.lease().map(|claim| claim.request),
        queue: facts.waiting().map(|claim| claim.request).collect(),
        stamp: before.now() + entry.stamp_ms,
    };
    for event in &entered.applied.events {
        history.judge(world, event);
    }
    for (message, outcome) in entry.requests.iter().zip(&entered.applied.outcomes) {
        let request = number(message.client, message.ordinal);
        judge_answer(world, request, &outcome.answer);
        let due_by = before.now() + entry.stamp_ms;
        let claim = before.facts().claim(request);
        note_answer(world, message.body, claim, due_by, &outcome.answer);
        let remembered = before.facts().ended.iter().any(|ended| ended.request == request);
        let unknown = claim.is_none() && !remembered;
        if unknown && matches!(outcome.answer, Answer::Cancelled { .. }) {
            world.happened.note(Happening::CancelledUnknown);
        }
    }
    if !config.mutant.reads_more() {
        compare_notes(world, entered);
    }
    if config.bound {
        note_refreshes(world, entry, before, entered);
    }
}

/// What is left out of a state's key because the state says it as well, does it say it?
fn compare_notes(world: &mut World, entered: &Entered) {
    let facts = entered.lease.facts();
    let ghost = &mut world.ghost;
    let issued = (1..facts.next_token).fold(0, |bits, token| bits | 1 << token.min(63));
    let fate_token = |ghost: &Ghost, request: u8| ghost.fates[usize::from(request)].token;
    let lease = facts.lease();
    let lease_is_noted =
        lease.is_none_or(|claim| claim.token() == Some(fate_token(ghost, claim.request)));
    let says_same = ghost.issued == issued && ghost.answered < facts.next_token && lease_is_noted;
    ghost.blame_if(!says_same, Flaw::NotesDiffer);
}

struct History {
    holder: Option<u8>,
    /// Whoever waits, in order of arrival.
    queue: Vec<u8>,
    stamp: u64,
}

impl History {
    fn judge(&mut self, world: &mut World, event: &Event) {
        let request = event.request.as_bytes()[0];
        match event.kind {
            EventKind::Queued { .. } => self.queue.push(request),
            EventKind::Granted { token, deadline, .. } => {
                self.judge_grant(world, request, token.get(), deadline.0);
            }
            EventKind::Ended { token, why } => {
                note_end(world, token.is_some(), why);
                self.queue.retain(|waiting| *waiting != request);
                if self.holder == Some(request) {
                    self.holder = None;
                }
            }
        }
    }

    fn judge_grant(&mut self, world: &mut World, request: u8, token: u64, deadline: u64) {
        let Fate { asked_after, token: earlier, said_no, .. } = *world.ghost.fate(request);
        let waited = self.queue.contains(&request);
        let bit = 1 << token.min(63);
        let ghost = &mut world.ghost;
        ghost.blame_if(ghost.issued & bit != 0, Flaw::TokenTwice);
        ghost.blame_if(token <= asked_after, Flaw::TokenOrder);
        ghost.blame_if(self.holder.is_some(), Flaw::HeldTwice);
        ghost.blame_if(earlier != 0, Flaw::GrantedTwice);
        ghost.blame_if(said_no, Flaw::GrantedAfterNo);
        ghost.blame_if(deadline <= self.stamp, Flaw::DeadGranted);
        ghost.blame_if(waited && self.queue.first() != Some(&request), Flaw::QueueJumped);
        ghost.issued |= bit;
        ghost.fate(request).token = token;
        self.queue.retain(|waiting| *waiting != request);
        self.holder = Some(request);
        world.happened.note(if waited { Happening::Promoted } else { Happening::Granted });
    }
}

fn note_end(world: &mut World, held: bool, why: EndReason) {
    let what = match (why, held) {
        (EndReason::Expired, true) => Happening::Expired,
        (EndReason::Expired, false) => Happening::WaiterExpired,
        (EndReason::WaitOver, _) => Happening::WaitOver,
        (EndReason::Released, _) => Happening::Released,
        (EndReason::Cancelled, true) => Happening::CancelledHeld,
        (EndReason::Cancelled, false) => return,
    };
    world.happened.note(what);
}

/// Whoever is told that it holds was granted that token, under that id.
fn judge_answer(world: &mut World, request: u8, answer: &Answer) {
    let claim = match answer {
        Answer::Claim(claim) => Some(claim),
        Answer::Renewed(items) => items.first().and_then(|item| item.as_ref().ok()),
        _ => None,
    };
    if let Some(Standing::Held { token }) = claim.map(|claim| claim.standing) {
        let granted = world.ghost.fate(request).token;
        world.ghost.blame_if(granted == 0, Flaw::AnsweredWithoutEffect);
        world.ghost.blame_if(granted != 0 && granted != token.get(), Flaw::TokenDiffers);
    }
}

fn note_answer(
    world: &mut World,
    body: Body,
    before: Option<&ClaimFact>,
    stamp: u64,
    answer: &Answer,
) {
    let was_due = before.is_some_and(|claim| claim.deadline <= stamp);
    let what = match (body, answer) {
        (Body::Acquire { .. }, Answer::Claim(_)) if before.is_some() => {
            Happening::DuplicateAnswered
        }
        (Body::Acquire { .. }, Answer::Refused(Refusal::Ended { .. })) => Happening::EndedAnswered,
        (Body::Acquire { .. }, Answer::Refused(_)) => Happening::Refused,
        (_, Answer::Renewed(items)) => match items.first() {
            Some(Ok(_)) if was_due => Happening::RenewedLate,
            Some(Ok(_)) => Happening::Renewed,
            _ => Happening::RenewedTooLate,
        },
        (_, Answer::Released { was_held: false }) => Happening::ReleasedTooLate,
        _ => return,
    };
    world.happened.note(what);
}

/// A claim's time begins anew when a request of its own client moved its deadline: the first
/// `Acquire`, and every renewal.
fn note_refreshes(world: &mut World, entry: &Entry, before: &Lease, entered: &Entered) {
    for (message, outcome) in entry.requests.iter().zip(&entered.applied.outcomes) {
        let request = number(message.client, message.ordinal);
        let moves = match &outcome.answer {
            Answer::Renewed(items) => items.iter().any(Result::is_ok),
            Answer::Claim(_) => before.facts().claim(request).is_none(),
            _ => false,
        };
        if moves {
            let fate = world.ghost.fate(request);
            (fate.idle, fate.changes) = (0, 0);
        }
    }
}
