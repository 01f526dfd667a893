//! All claims of a client, and the attempts that carry them: the session's mind, without its stream.
//!
//! It numbers attempts, puts all renewals that are due into one message, matches answers to
//! questions, measures round trips and says when a stream is no longer to be trusted. Pure: whoever
//! drives it (the session's task, a simulator) reads the clock, moves the messages, and applies the
//! changes before it sends what comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use leasehold_api::{Problem, RENEW_ITEMS_MAX};
use leasehold_clock::Reading;
use leasehold_types::{Acquire, ClaimAnswer, RequestId};

use crate::attempts::Attempts;
use crate::claim::{Change, Claim, Settings, Turn, Want};
use crate::message::{Answer, Command};
use crate::random::Random;
use crate::timeouts::Timeouts;

/// A claim's name inside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey(pub u64);

/// After this many timeouts in a row a stream is given up even if it still says something.
const TIMEOUTS_IN_A_ROW_MAX: u32 = 2;

/// See the module.
#[derive(Debug)]
pub struct Claims {
    settings: Settings,
    random: Arc<dyn Random>,
    started: Reading,
    /// Time since the start as of the latest call; never back.
    at: Duration,
    entries: BTreeMap<ClaimKey, Entry>,
    by_request: BTreeMap<RequestId, ClaimKey>,
    sends: BTreeSet<(Duration, ClaimKey)>,
    ticks: BTreeSet<(Duration, ClaimKey)>,
    attempts: Attempts<Attempt>,
    timeouts: Timeouts,
    heard_at: Duration,
    timeouts_in_a_row: u32,
    suspect: bool,
    changes: Vec<(ClaimKey, Change)>,
}

/// A claim and where it stands in the indexes.
#[derive(Debug)]
struct Entry {
    claim: Claim,
    request: RequestId,
    send_at: Option<Duration>,
    tick_at: Option<Duration>,
}

#[derive(Debug)]
struct Attempt {
    sent_at: Duration,
    want: Want,
    about: Vec<(ClaimKey, RequestId)>,
}

impl Claims {
    /// No claims yet.
    pub fn new(settings: Settings, random: Arc<dyn Random>, now: Reading) -> Self {
        Self {
            settings,
            random,
            started: now,
            at: Duration::ZERO,
            entries: BTreeMap::new(),
            by_request: BTreeMap::new(),
            sends: BTreeSet::new(),
            ticks: BTreeSet::new(),
            attempts: Attempts::default(),
            timeouts: Timeouts::default(),
            heard_at: Duration::ZERO,
            timeouts_in_a_row: 0,
            suspect: false,
            changes: Vec::new(),
        }
    }

    /// Whether there is no claim, not even one that is ending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a wish. It is sent with the next [`Self::take_messages`].
    pub fn acquire(&mut self, key: ClaimKey, ask: Acquire, now: Reading) {
        self.move_to(&now);
        let mut changes = Vec::new();
        let claim = Claim::new(ask, &self.turn(now, &mut changes));
        let request = claim.request();
        self.entries.insert(key, Entry { claim, request, send_at: None, tick_at: None });
        self.by_request.insert(request, key);
        self.touch(key, now, |_, _| {});
    }

    /// The application is done with a claim: it is released or cancelled. False when there is none.
    pub fn give_up(&mut self, key: ClaimKey, now: Reading) -> bool {
        self.move_to(&now);
        self.touch(key, now, |claim, turn| claim.give_up(turn))
    }

    /// The application keeps the lease beyond this client: it is forgotten as it stands.
    pub fn leave(&mut self, key: ClaimKey, now: Reading) {
        self.move_to(&now);
        self.touch(key, now, |claim, turn| claim.leave(turn));
    }

    /// A new stream is up, to a node that says for how long ids are remembered. All claims are renewed
    /// on it at once: it tells only of claims that it has heard of.
    pub fn stream_opened(&mut self, request_memory: Duration, now: Reading) {
        self.move_to(&now);
        self.settings.request_memory = request_memory;
        self.timeouts.path_changed();
        self.heard_at = self.at;
        self.timeouts_in_a_row = 0;
        self.suspect = false;
        for key in self.entries.keys().copied().collect::<Vec<_>>() {
            self.touch(key, now, |claim, turn| claim.ask_soon(turn));
        }
    }

    /// The stream is gone. What was asked on it is asked again on the next one; unless it was left
    /// for a better one, renewals under way are in doubt.
    pub fn stream_lost(&mut self, left_for_a_better: bool, now: Reading) {
        self.move_to(&now);
        for (number, attempt) in self.attempts.abandon() {
            self.unanswered(number, attempt.about, !left_for_a_better, now);
        }
    }

    /// Whether the stream should be given up: it is silent, or answers too little.
    pub const fn is_stream_suspect(&self) -> bool {
        self.suspect
    }

    /// The node said something that is no answer. It is alive, if nothing else.
    pub fn heard(&mut self, now: Reading) {
        self.move_to(&now);
        self.heard_at = self.at;
    }

    /// The node pushed that something happened to a claim.
    pub fn pushed(&mut self, request: RequestId, now: Reading) {
        self.heard(now);
        if let Some(key) = self.by_request.get(&request) {
            self.touch(*key, now, |claim, turn| claim.ask_soon(turn));
        }
    }

    /// The answer to an attempt. One that matches none is dropped: it proves nothing.
    pub fn answered(&mut self, number: u64, answer: Answer, now: Reading) {
        self.heard(now);
        let Some(answered) = self.attempts.answered(number) else { return };
        let Attempt { sent_at, want, about } = answered.about;
        self.timeouts.answered(self.at.saturating_sub(sent_at));
        self.timeouts_in_a_row = 0;
        let (items, retry_after) = per_item(answer, want, about.len());
        for ((key, request), item) in about.into_iter().zip(items) {
            if self.by_request.get(&request) == Some(&key) {
                self.touch(key, now, |claim, turn| {
                    deliver(claim, number, answered.sent, want, &item, retry_after, turn);
                });
            }
        }
    }

    /// Looks at the time: attempts time out, bounds pass, patience ends. Apply the changes before
    /// anything is sent.
    pub fn tick(&mut self, now: Reading) {
        self.move_to(&now);
        for number in self.attempts.take_timed_out(self.at) {
            self.timed_out(number, now);
        }
        let later = self.ticks.split_off(&(self.at + Duration::from_nanos(1), ClaimKey(0)));
        let due = std::mem::replace(&mut self.ticks, later);
        for (_, key) in due {
            self.touch(key, now, |claim, turn| claim.tick(turn));
        }
    }

    /// What is due, as numbered attempts, at most `room` messages. `now` was read just before, and
    /// [`Self::tick`] was called with it. Renewals go first, and all that are due, or nearly, in one
    /// message; then what ends, so that others are not kept waiting; then what asks.
    pub fn take_messages(&mut self, now: Reading, room: usize) -> Vec<(u64, Command)> {
        self.move_to(&now);
        let due = self.due();
        let mut messages = Vec::new();
        let mut renewals: Vec<ClaimKey> =
            due.iter().filter(|(_, want)| *want == Want::Renew).map(|(key, _)| *key).collect();
        self.add_nearly_due(&mut renewals);
        for chunk in renewals.chunks(RENEW_ITEMS_MAX).take(room) {
            messages.push(self.renew(chunk, now));
        }
        for wanted in [Want::End, Want::Acquire] {
            for (key, want) in &due {
                if *want == wanted && messages.len() < room {
                    messages.extend(self.send_alone(*key, *want, now));
                }
            }
        }
        messages
    }

    /// How long until [`Self::tick`] or, with a stream, [`Self::take_messages`] has something to do.
    pub fn wake_in(&self, connected: bool) -> Option<Duration> {
        let send = self.sends.first().filter(|_| connected).map(|(at, _)| *at);
        let tick = self.ticks.first().map(|(at, _)| *at);
        let next = [send, tick, self.attempts.next_timeout()].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.at))
    }

    /// What the application has to learn, in order.
    pub fn take_changes(&mut self) -> Vec<(ClaimKey, Change)> {
        std::mem::take(&mut self.changes)
    }

    fn due(&self) -> Vec<(ClaimKey, Want)> {
        self.sends
            .range(..=(self.at, ClaimKey(u64::MAX)))
            .filter_map(|(_, key)| Some((*key, self.entries.get(key)?.claim.wants()?)))
            .collect()
    }

    /// Renewals due within a twelfth of their ttl ride along, so that claims which began apart are
    /// soon renewed together.
    fn add_nearly_due(&self, renewals: &mut Vec<ClaimKey>) {
        let ttl = |key: &ClaimKey| self.entries.get(key).map(|entry| entry.claim.ttl());
        let Some(widest) = renewals.iter().filter_map(ttl).max() else { return };
        let after = (self.at, ClaimKey(u64::MAX));
        let until = (self.at + widest / 12, ClaimKey(u64::MAX));
        let nearly =
            self.sends.range((std::ops::Bound::Excluded(after), std::ops::Bound::Included(until)));
        renewals.extend(nearly.filter_map(|(send_at, key)| {
            let claim = &self.entries.get(key)?.claim;
            let rides = claim.wants() == Some(Want::Renew)
                && claim.may_ride_along()
                && *send_at - self.at <= claim.ttl() / 12;
            rides.then_some(*key)
        }));
    }

    fn renew(&mut self, keys: &[ClaimKey], now: Reading) -> (u64, Command) {
        let about: Vec<_> =
            keys.iter().filter_map(|key| Some((*key, self.entries.get(key)?.request))).collect();
        let ids = about.iter().map(|(_, request)| *request).collect();
        let number = self.open(Want::Renew, about, now);
        for key in keys {
            self.touch(*key, now, |claim, turn| {
                claim.sending(number, turn);
            });
        }
        (number, Command::Renew(ids))
    }

    fn send_alone(&mut self, key: ClaimKey, want: Want, now: Reading) -> Option<(u64, Command)> {
        let request = self.entries.get(&key)?.request;
        let number = self.open(want, vec![(key, request)], now);
        let mut command = None;
        self.touch(key, now, |claim, turn| command = claim.sending(number, turn));
        command.map(|command| (number, command))
    }

    /// The shorter the proof that is left, the less time there is to wait on one node.
    fn open(&mut self, want: Want, about: Vec<(ClaimKey, RequestId)>, now: Reading) -> u64 {
        let urgent = about
            .iter()
            .filter_map(|(key, _)| self.entries.get(key)?.claim.validity())
            .map(|validity| validity.bound().remaining(&now) / 3)
            .min()
            .filter(|_| want == Want::Renew);
        let usual = self.timeouts.current();
        let timeout = urgent.map_or(usual, |urgent| usual.min(urgent.max(Timeouts::FLOOR)));
        let sent_at = self.at;
        self.attempts.open(now, sent_at + timeout, |_| Attempt { sent_at, want, about })
    }

    fn timed_out(&mut self, number: u64, now: Reading) {
        let Some((_, attempt)) = self.attempts.get(number) else { return };
        let silent_since = attempt.sent_at >= self.heard_at;
        let about = attempt.about.clone();
        self.timeouts.timed_out();
        self.timeouts_in_a_row += 1;
        self.suspect |= silent_since || self.timeouts_in_a_row >= TIMEOUTS_IN_A_ROW_MAX;
        self.unanswered(number, about, true, now);
    }

    fn unanswered(
        &mut self,
        number: u64,
        about: Vec<(ClaimKey, RequestId)>,
        in_doubt: bool,
        now: Reading,
    ) {
        for (key, request) in about {
            if self.by_request.get(&request) == Some(&key) {
                self.touch(key, now, |claim, turn| {
                    claim.unanswered_attempt(number, in_doubt, turn)
                });
            }
        }
    }

    fn move_to(&mut self, now: &Reading) {
        self.at = self.at.max(now.holder_elapsed_since(&self.started));
    }

    fn turn<'a>(&'a self, now: Reading, changes: &'a mut Vec<Change>) -> Turn<'a> {
        Turn { now, at: self.at, settings: &self.settings, random: &*self.random, changes }
    }

    /// Lets a claim take a step, then puts it back into the indexes as it stands; false when there is
    /// no such claim.
    fn touch(
        &mut self,
        key: ClaimKey,
        now: Reading,
        step: impl FnOnce(&mut Claim, &mut Turn<'_>),
    ) -> bool {
        let Some(mut entry) = self.entries.remove(&key) else { return false };
        let known = |at: Option<Duration>| at.map(|at| (at, key));
        known(entry.send_at).inspect(|known| _ = self.sends.remove(known));
        known(entry.tick_at).inspect(|known| _ = self.ticks.remove(known));
        self.by_request.remove(&entry.request);
        let mut changes = Vec::new();
        let mut turn = self.turn(now, &mut changes);
        step(&mut entry.claim, &mut turn);
        entry.request = entry.claim.request();
        entry.send_at = entry.claim.send_at();
        entry.tick_at = entry.claim.tick_at(&turn);
        self.changes.extend(changes.into_iter().map(|change| (key, change)));
        if entry.claim.wants().is_some() {
            self.sends.extend(known(entry.send_at));
            self.ticks.extend(known(entry.tick_at));
            self.by_request.insert(entry.request, key);
            self.entries.insert(key, entry);
        }
        true
    }
}

/// What an answer says about each claim that the attempt was about.
enum Item {
    Stands(ClaimAnswer),
    Ended(bool),
    Problem(Problem),
}

fn per_item(answer: Answer, want: Want, count: usize) -> (Vec<Item>, Option<Duration>) {
    let out_of_place = || {
        let answer: Problem = crate::errors::out_of_place(&"it answers another question").into();
        (0..count).map(|_| Item::Problem(answer.clone())).collect()
    };
    let items = match (want, answer) {
        (_, Answer::Failed { problem, retry_after }) => {
            return ((0..count).map(|_| Item::Problem(problem.clone())).collect(), retry_after);
        }
        (Want::Acquire, Answer::Acquired(claim)) => vec![Item::Stands(claim)],
        (Want::Renew, Answer::Renewed(results)) if results.len() == count => results
            .into_iter()
            .map(|result| result.map_or_else(Item::Problem, Item::Stands))
            .collect(),
        (Want::End, Answer::Released { was_held }) => vec![Item::Ended(was_held)],
        (Want::End, Answer::Cancelled { was_live }) => vec![Item::Ended(was_live)],
        _ => out_of_place(),
    };
    (items, None)
}

fn deliver(
    claim: &mut Claim,
    number: u64,
    sent: Reading,
    want: Want,
    item: &Item,
    retry_after: Option<Duration>,
    turn: &mut Turn<'_>,
) {
    match (want, item) {
        (Want::Acquire, Item::Stands(answer)) => claim.acquired(number, sent, answer, turn),
        (Want::Acquire, Item::Problem(no)) => claim.not_acquired(number, no, retry_after, turn),
        (Want::Renew, Item::Stands(answer)) => claim.renewed(number, sent, answer, turn),
        (Want::Renew, Item::Problem(no)) => claim.not_renewed(number, no, retry_after, turn),
        (Want::End, Item::Ended(now)) => claim.end_answered(number, Ok(*now), retry_after, turn),
        (Want::End, Item::Problem(no)) => claim.end_answered(number, Err(no), retry_after, turn),
        (Want::Acquire | Want::Renew, Item::Ended(_)) | (Want::End, Item::Stands(_)) => {
            unreachable!("an item is made for its question")
        }
    }
}
