//! Ending a claim: asked until there is a definite answer, or until it has surely ended by itself.

use std::time::Duration;

use leasehold_types::{Acquire, FencingToken, Refusal};

use super::{Claim, Phase, Turn};
use crate::message::Command;
use crate::{AcquireError, Change, LostReason};

/// A Release or Cancel under way.
#[derive(Debug)]
pub(super) struct Ending {
    /// The lease to release; without one the claim is cancelled by its id.
    token: Option<FencingToken>,
    /// What comes after a definite answer.
    then: Then,
    /// When to give up, once the application knows.
    pub(super) until: Duration,
}

#[derive(Debug)]
pub(super) enum Then {
    /// Nothing: the application knows already.
    Forget,
    /// The application hears this no, now that no attempt can be granted any more.
    Refuse(Refusal),
    /// The wish goes on under a new id.
    AskAgain,
}

impl Ending {
    pub(super) fn command(&self, ask: &Acquire) -> Command {
        match self.token {
            Some(token) => Command::Release { resource: ask.resource.clone(), token },
            None => Command::Cancel(ask.request),
        }
    }
}

impl Claim {
    /// The application is done with it: releases the lease, or cancels the claim.
    pub fn give_up(&mut self, turn: &mut Turn<'_>) {
        self.told = true;
        let until = self.surely_ended_at(turn);
        match &mut self.phase {
            Phase::Asking if self.first_sent.is_none() => self.over(Ok(false), turn),
            Phase::Asking | Phase::Accepted => self.cancel_then(Then::Forget, turn),
            Phase::Held { token } => {
                let token = *token;
                turn.changes.push(Change::Lost(LostReason::Released));
                self.release(token, turn);
            }
            Phase::Ending(ending) => {
                ending.then = Then::Forget;
                ending.until = until;
            }
            Phase::Over => {}
        }
    }

    /// The application hands the lease on: forgets it as it stands.
    pub fn leave(&mut self, turn: &mut Turn<'_>) {
        self.told = true;
        self.over(Ok(false), turn);
    }

    pub(super) fn release(&mut self, token: FencingToken, turn: &Turn<'_>) {
        self.end(Some(token), Then::Forget, turn);
    }

    pub(super) fn cancel_then(&mut self, then: Then, turn: &Turn<'_>) {
        self.end(None, then, turn);
    }

    /// A definite no to the Acquire. Said at once if nothing can still be granted.
    pub(super) fn refuse(&mut self, refusal: Refusal, turn: &mut Turn<'_>) {
        if self.unsettled == 0 {
            self.fail(AcquireError::Refused(refusal), turn);
            self.over(Ok(false), turn);
        } else {
            self.cancel_then(Then::Refuse(refusal), turn);
        }
    }

    /// The claim is surely over at the cluster; `ended_now` when our word ended it.
    pub(super) fn ended(&mut self, ended_now: bool, turn: &mut Turn<'_>) {
        let Phase::Ending(Ending { then, .. }) = std::mem::replace(&mut self.phase, Phase::Over)
        else {
            return self.over(Ok(ended_now), turn);
        };
        match then {
            Then::Forget => self.over(Ok(ended_now), turn),
            Then::Refuse(refusal) => {
                self.fail(AcquireError::Refused(refusal), turn);
                self.over(Ok(ended_now), turn);
            }
            Then::AskAgain => self.ask_again(turn),
        }
    }

    fn end(&mut self, token: Option<FencingToken>, then: Then, turn: &Turn<'_>) {
        let until = self.surely_ended_at(turn);
        self.phase = Phase::Ending(Ending { token, then, until });
        self.in_flight = None;
        self.send_at = turn.at;
        self.not_before = turn.at;
        self.backoff.reset();
    }

    /// Without a further renewal it ends by itself within a ttl, once a leader runs; one may be
    /// missing for as long as requests may take.
    fn surely_ended_at(&self, turn: &Turn<'_>) -> Duration {
        turn.at + self.ttl() + turn.settings.request_timeout
    }

    pub(super) const fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending(_))
    }
}
