//! One claim, from the application's wish to its end: what to send next, what an answer means, when
//! to stop believing. Pure: time and randomness are arguments, messages and changes are results.
//!
//! ```text
//! Asking --answered--> Accepted --a proven bound--> Held --released, lost--> Ending --definite--> over
//!    |                    |                                                    ^
//!    +--given up, refused with attempts unanswered, id too old ----------------+
//! ```
//!
//! The rules it keeps, each with its reason:
//! * A timeout means "unknown": the same request id is asked again, so that no answer that was lost
//!   becomes a second claim (ZOOKEEPER-1262). After half of the cluster's memory of ended ids, the id
//!   is cancelled and a new one taken: past that memory a repetition would be a new request.
//! * Renewal begins when the Acquire was answered: before that, "unknown id" would mean nothing.
//! * A grant that was only pushed, or proven by an answer already too old, is renewed before it is
//!   `Held`.
//! * `Lost` is said before Release or Cancel is sent, and stays. A loss by the clock is final even if
//!   a later answer shows that the cluster kept the lease: it is released, so that the same program
//!   does not queue behind its own ghost.
//! * A definite no is said only when no attempt can be granted any more: if some are unanswered, the
//!   id is cancelled first.

mod answers;
mod ending;

use std::time::Duration;

use leasehold_clock::Reading;
use leasehold_types::{Acquire, Fault, FencingToken, LeaseTtl, Refusal, RequestId, WaitLimit};

use crate::backoff::Backoff;
use crate::message::Command;
use crate::random::{Random, number_below};
use crate::{AcquireError, LostReason, Validity};

/// At least this long between two sends of one claim, whatever the cluster answers or pushes.
pub const GAP_MIN: Duration = Duration::from_millis(10);
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// A waiting claim asks how it stands this long after its wait should be over, in case the push that
/// says so was lost.
const WAIT_OVER_GRACE: Duration = Duration::from_millis(50);

/// What all claims of a client have in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a request may go without a definite answer.
    pub request_timeout: Duration,
    /// For how long the cluster remembers the id of a claim that ended.
    pub request_memory: Duration,
}

/// One step: when it happens, and what it changes.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The clock now: for proofs.
    pub now: Reading,
    /// Time since the client started: for pacing.
    pub at: Duration,
    /// What all claims have in common.
    pub settings: &'a Settings,
    /// For new ids and jitter.
    pub random: &'a dyn Random,
    /// What the application has to learn, in order.
    pub changes: &'a mut Vec<Change>,
}

/// What the application has to learn about a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is a lease with a proven bound.
    Granted {
        /// Its token.
        token: FencingToken,
        /// Its ttl in effect.
        ttl: LeaseTtl,
        /// What is proven.
        validity: Validity,
    },
    /// It will not be one.
    Failed(AcquireError),
    /// More is proven about the lease, or a renewal is in doubt.
    Proven(Validity),
    /// The lease is over.
    Lost(LostReason),
    /// The claim is over and can be forgotten: whether the cluster ended it at our word, or the fault
    /// that was left when it was given up.
    Over(Result<bool, Fault>),
}

/// What a claim has to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Its Acquire, or the same again.
    Acquire,
    /// A renewal by its id, in one message with others.
    Renew,
    /// Its Release or Cancel.
    End,
}

/// See the module.
#[derive(Debug)]
pub struct Claim {
    ask: Acquire,
    asked_at: Duration,
    /// The application has had its answer, or wants none.
    told: bool,
    phase: Phase,
    /// In effect, once an answer said so.
    ttl: LeaseTtl,
    validity: Option<Validity>,
    /// When the current id was first sent.
    first_sent: Option<Duration>,
    /// Acquires of the current id that may still be applied.
    unsettled: u32,
    /// The attempt whose answer is awaited before anything else is sent.
    in_flight: Option<u64>,
    send_at: Duration,
    /// Nothing is sent sooner: the bound on this claim's share of messages.
    not_before: Duration,
    backoff: Backoff,
}

#[derive(Debug)]
enum Phase {
    /// The Acquire is not answered.
    Asking,
    /// The cluster has the claim: it waits, or is granted without a live proof here.
    Accepted,
    /// A lease.
    Held { token: FencingToken },
    /// Being released or cancelled.
    Ending(ending::Ending),
    /// Done.
    Over,
}

impl Claim {
    /// A claim that wants to be sent at once.
    pub fn new(ask: Acquire, turn: &Turn<'_>) -> Self {
        Self {
            asked_at: turn.at,
            told: false,
            phase: Phase::Asking,
            ttl: ask.ttl,
            ask,
            validity: None,
            first_sent: None,
            unsettled: 0,
            in_flight: None,
            send_at: turn.at,
            not_before: turn.at,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
        }
    }

    /// The current request id.
    pub const fn request(&self) -> RequestId {
        self.ask.request
    }

    /// What it is about.
    pub const fn ask(&self) -> &Acquire {
        &self.ask
    }

    /// The ttl in effect, as far as known.
    pub const fn ttl(&self) -> Duration {
        self.ttl.as_duration()
    }

    /// What is proven, if anything.
    pub const fn validity(&self) -> Option<&Validity> {
        self.validity.as_ref()
    }

    /// What to send next; `None` when it is over.
    pub const fn wants(&self) -> Option<Want> {
        match self.phase {
            Phase::Asking => Some(Want::Acquire),
            Phase::Accepted | Phase::Held { .. } => Some(Want::Renew),
            Phase::Ending(_) => Some(Want::End),
            Phase::Over => None,
        }
    }

    /// When to send it; `None` while an answer is awaited.
    pub fn send_at(&self) -> Option<Duration> {
        match self.in_flight {
            None => self.wants().map(|_| self.send_at.max(self.not_before)),
            Some(_) => None,
        }
    }

    /// Notes that what it [wants](Self::wants) goes out as this attempt; gives the message, where it
    /// is not a renewal.
    pub fn sending(&mut self, attempt: u64, turn: &Turn<'_>) -> Option<Command> {
        self.in_flight = Some(attempt);
        self.send_at = turn.at;
        self.not_before = turn.at + GAP_MIN;
        match &self.phase {
            Phase::Asking => {
                self.first_sent.get_or_insert(turn.at);
                self.unsettled = self.unsettled.saturating_add(1);
                Some(Command::Acquire(Acquire {
                    wait: self.wait_left(turn.at),
                    ..self.ask.clone()
                }))
            }
            Phase::Ending(ending) => Some(ending.command(&self.ask)),
            Phase::Accepted | Phase::Held { .. } | Phase::Over => None,
        }
    }

    /// Whether its next renewal may go a little early, with others. One that failed just now has its
    /// own pace.
    pub const fn may_ride_along(&self) -> bool {
        self.backoff.is_reset()
    }

    /// When [`Self::tick`] has something to do.
    pub fn tick_at(&self, turn: &Turn<'_>) -> Option<Duration> {
        let patience = (!self.told).then(|| self.patience_over_at(turn.settings));
        let own = match &self.phase {
            Phase::Asking => self.id_too_old_at(turn.settings),
            Phase::Accepted => None,
            Phase::Held { .. } => self.validity.map(|validity| {
                let next = match validity.is_doubted() {
                    true => validity.bound(),
                    false => validity.overdue_at(),
                };
                turn.at + next.remaining(&turn.now)
            }),
            Phase::Ending(ending) => self.told.then_some(ending.until),
            Phase::Over => return None,
        };
        patience.into_iter().chain(own).min()
    }

    /// Looks at the time: loses what is no longer proven, gives up what took too long.
    pub fn tick(&mut self, turn: &mut Turn<'_>) {
        self.lose_past_bound(turn);
        self.doubt_overdue(turn);
        if !self.told && turn.at >= self.patience_over_at(turn.settings) {
            self.fail(self.unanswered().into(), turn);
            self.give_up(turn);
        }
        match &self.phase {
            Phase::Asking if self.id_too_old_at(turn.settings).is_some_and(|at| turn.at >= at) => {
                self.cancel_then(ending::Then::AskAgain, turn);
            }
            Phase::Ending(ending) if self.told && turn.at >= ending.until => {
                self.over(Err(self.unanswered()), turn);
            }
            _ => {}
        }
    }

    /// The attempt went unanswered for its whole timeout, or its stream broke: ask again at once.
    pub fn unanswered_attempt(&mut self, attempt: u64, in_doubt: bool, turn: &mut Turn<'_>) {
        if self.in_flight != Some(attempt) {
            return;
        }
        self.in_flight = None;
        if in_doubt {
            self.doubt(turn);
        }
    }

    /// A push said that something happened, or a new stream has to hear of this claim. That proves
    /// nothing: ask, soon.
    pub fn ask_soon(&mut self, turn: &Turn<'_>) {
        if matches!(self.phase, Phase::Accepted | Phase::Held { .. }) {
            self.send_at = self.send_at.min(turn.at);
        }
    }

    fn hold(&mut self, token: FencingToken, turn: &mut Turn<'_>) {
        let Some(validity) = self.validity else { return };
        if validity.bound().has_come(&turn.now) {
            self.phase = Phase::Accepted;
            return;
        }
        self.phase = Phase::Held { token };
        self.told = true;
        turn.changes.push(Change::Granted { token, ttl: self.ttl, validity });
    }

    fn lose_past_bound(&mut self, turn: &mut Turn<'_>) {
        let passed = self.validity.is_none_or(|validity| validity.bound().has_come(&turn.now));
        if let (Phase::Held { token }, true) = (&self.phase, passed) {
            let token = *token;
            turn.changes.push(Change::Lost(LostReason::BoundPassed));
            self.release(token, turn);
        }
    }

    fn doubt_overdue(&mut self, turn: &mut Turn<'_>) {
        if self.validity.is_some_and(|validity| validity.overdue_at().has_come(&turn.now)) {
            self.doubt(turn);
        }
    }

    fn doubt(&mut self, turn: &mut Turn<'_>) {
        let Some(validity) = self.validity.as_mut().filter(|validity| !validity.is_doubted())
        else {
            return;
        };
        validity.doubt();
        if matches!(self.phase, Phase::Held { .. }) {
            turn.changes.push(Change::Proven(*validity));
        }
    }

    /// Plans the next renewal from what is proven: a third of the ttl after the proof, less jitter;
    /// at once, but ever slower, where that is past.
    fn plan_renewal(&mut self, turn: &Turn<'_>) {
        let Some(validity) = self.validity else { return };
        let due = validity.renew_at().remaining(&turn.now);
        let pause = if due.is_zero() {
            self.backoff.pause(turn.random)
        } else {
            self.backoff.reset();
            let most = u64::try_from((self.ttl() / 30).as_nanos()).unwrap_or(u64::MAX);
            due.saturating_sub(Duration::from_nanos(number_below(turn.random, most)))
        };
        self.send_at = turn.at + pause;
        let wait_over = self.asked_at + wait_of(&self.ask) + WAIT_OVER_GRACE;
        if matches!(self.phase, Phase::Accepted) && turn.at < wait_over {
            self.send_at = self.send_at.min(wait_over);
        }
    }

    /// Asks again after a pause, the longer the more often it failed.
    fn plan_retry(&mut self, retry_after: Option<Duration>, turn: &Turn<'_>) {
        let pause = self.backoff.pause(turn.random).max(retry_after.unwrap_or_default());
        self.send_at = turn.at + pause.min(PAUSE_LONGEST).min(self.ttl() / 8);
    }

    fn ask_again(&mut self, turn: &mut Turn<'_>) {
        if !self.ask.wait.is_none() && self.wait_is_over(turn.at) {
            self.fail(Refusal::WaitOver.into(), turn);
            self.over(Ok(false), turn);
            return;
        }
        self.ask.request = RequestId::from_bytes(turn.random.draw());
        self.phase = Phase::Asking;
        self.ttl = self.ask.ttl;
        self.validity = None;
        self.first_sent = None;
        self.unsettled = 0;
        self.in_flight = None;
        self.plan_retry(None, turn);
    }

    fn fail(&mut self, error: AcquireError, turn: &mut Turn<'_>) {
        if !self.told {
            self.told = true;
            turn.changes.push(Change::Failed(error));
        }
    }

    fn over(&mut self, outcome: Result<bool, Fault>, turn: &mut Turn<'_>) {
        self.phase = Phase::Over;
        turn.changes.push(Change::Over(outcome));
    }

    /// What to say when patience is over.
    fn unanswered(&self) -> Fault {
        match self.first_sent {
            Some(_) => {
                Fault::OutcomeUnknown { why: "no definite answer in the time allowed".into() }
            }
            None => Fault::NoLeader { leader_address: None },
        }
    }

    fn wait_is_over(&self, at: Duration) -> bool {
        at >= self.asked_at + wait_of(&self.ask)
    }

    /// What is left of the wait; a wait never becomes "do not wait".
    fn wait_left(&self, at: Duration) -> WaitLimit {
        let gone = u64::try_from(at.saturating_sub(self.asked_at).as_millis()).unwrap_or(u64::MAX);
        match self.ask.wait.as_ms() {
            0 => WaitLimit::NONE,
            wait => WaitLimit::from_ms(wait.saturating_sub(gone).max(1)).unwrap_or(self.ask.wait),
        }
    }

    fn patience_over_at(&self, settings: &Settings) -> Duration {
        self.asked_at + wait_of(&self.ask) + settings.request_timeout
    }

    fn id_too_old_at(&self, settings: &Settings) -> Option<Duration> {
        self.first_sent.map(|first| first + settings.request_memory / 2)
    }
}

fn wait_of(ask: &Acquire) -> Duration {
    Duration::from_millis(ask.wait.as_ms())
}
