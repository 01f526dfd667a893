//! Stories of claims, told message by message: no network, no clock but the test's.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_client::claim::{Change, GAP_MIN, Settings};
use leasehold_client::claims::{ClaimKey, Claims};
use leasehold_client::message::{Answer, Command};
use leasehold_client::{AcquireError, LostReason};
use leasehold_clock::Reading;
use leasehold_types::{
    Acquire, ClaimAnswer, EndReason, Fault, FencingToken, HeldBy, Holder, LeaseTtl, Refusal,
    RequestId, ResourceName, Standing, WaitLimit,
};

#[path = "support/plain.rs"]
mod plain;
use plain::{Counting, at};

const TTL: u64 = 9_000;
const KEY: ClaimKey = ClaimKey(1);

/// The claims of one client, and a clock that the story moves.
struct Desk {
    claims: Claims,
    now: Reading,
}

impl Desk {
    fn new() -> Self {
        let settings = Settings {
            request_timeout: Duration::from_secs(10),
            request_memory: Duration::from_secs(60),
        };
        let mut claims = Claims::new(settings, Arc::new(Counting::default()), at(0));
        claims.stream_opened(Duration::from_secs(60), at(0));
        Self { claims, now: at(0) }
    }

    fn asking(wait_ms: u64) -> Self {
        let mut desk = Self::new();
        desk.ask(KEY, wait_ms);
        desk
    }

    fn ask(&mut self, key: ClaimKey, wait_ms: u64) {
        let request = RequestId::from_bytes([u8::try_from(key.0).unwrap(); 16]);
        let ask = Acquire {
            resource: ResourceName::new("r").unwrap(),
            holder: Holder::new("h").unwrap(),
            request,
            ttl: LeaseTtl::from_ms(TTL).unwrap(),
            wait: WaitLimit::from_ms(wait_ms).unwrap(),
        };
        self.claims.acquire(key, ask, self.now);
    }

    /// Moves to this time and takes what is to be sent.
    fn at(&mut self, ms: u64) -> Vec<(u64, Command)> {
        self.now = at(ms);
        self.claims.tick(self.now);
        self.claims.take_messages(self.now, 100)
    }

    /// Moves to this time and takes the one message there is.
    fn one_at(&mut self, ms: u64) -> (u64, Command) {
        let messages = self.at(ms);
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.into_iter().next().unwrap()
    }

    /// Moves on, a millisecond at a time, to the next message.
    fn next_message(&mut self) -> (u64, (u64, Command)) {
        let start = u64::try_from(self.now.monotonic.as_millis()).unwrap();
        for ms in start..start + 100_000 {
            if let Some(message) = self.at(ms).into_iter().next() {
                return (ms, message);
            }
        }
        panic!("nothing was ever sent");
    }

    fn answer(&mut self, attempt: u64, answer: Answer) -> Vec<Change> {
        self.claims.answered(attempt, answer, self.now);
        self.changes()
    }

    fn changes(&mut self) -> Vec<Change> {
        self.claims.take_changes().into_iter().map(|(_, change)| change).collect()
    }

    /// A lease with token 5, granted at 0.
    fn holding() -> Self {
        let mut desk = Self::asking(0);
        let (attempt, command) = desk.one_at(0);
        let changes = desk.answer(attempt, acquired(&command, held(5), TTL));
        assert!(matches!(changes[..], [Change::Granted { .. }]), "{changes:?}");
        desk
    }
}

fn token(token: u64) -> FencingToken {
    FencingToken::new(token).unwrap()
}

fn held(of: u64) -> Standing {
    Standing::Held { token: token(of) }
}

const WAITING: Standing = Standing::Waiting { place: 1 };

fn id_of(command: &Command) -> RequestId {
    match command {
        Command::Acquire(ask) => ask.request,
        Command::Renew(requests) => requests[0],
        Command::Cancel(request) => *request,
        Command::Release { .. } => panic!("a release has no id"),
    }
}

fn claim(command: &Command, standing: Standing, valid_for_ms: u64) -> ClaimAnswer {
    ClaimAnswer {
        resource: ResourceName::new("r").unwrap(),
        holder: Holder::new("h").unwrap(),
        request: id_of(command),
        ttl: LeaseTtl::from_ms(TTL).unwrap(),
        standing,
        valid_for_ms,
    }
}

fn acquired(command: &Command, standing: Standing, valid_for_ms: u64) -> Answer {
    Answer::Acquired(claim(command, standing, valid_for_ms))
}

fn renewed(command: &Command, standing: Standing, valid_for_ms: u64) -> Answer {
    Answer::Renewed(vec![Ok(claim(command, standing, valid_for_ms))])
}

fn not_renewed(refusal: Refusal) -> Answer {
    Answer::Renewed(vec![Err(Problem::from(refusal))])
}

fn failed(problem: impl Into<Problem>) -> Answer {
    Answer::Failed { problem: problem.into(), retry_after: None }
}

fn refused_held() -> Refusal {
    let by = HeldBy {
        holder: Holder::new("other").unwrap(),
        token: token(3),
        held_for_ms: 1,
        ends_in_ms: 1,
        queue_length: 0,
    };
    Refusal::Held { resource: ResourceName::new("r").unwrap(), by }
}

fn no_leader() -> Fault {
    Fault::NoLeader { leader_address: None }
}

fn unknown() -> Fault {
    Fault::OutcomeUnknown { why: "lost".into() }
}

#[test]
fn story_1_a_lost_answer_is_asked_for_again_under_the_same_id_and_counts_from_its_own_attempt() {
    let mut desk = Desk::asking(0);
    let (_, first) = desk.one_at(0);
    let (second_at, (second, again)) = desk.next_message();
    assert_eq!(id_of(&first), id_of(&again));
    assert_eq!(second_at, 1_000, "the first timeout");
    let changes = desk.answer(second, acquired(&again, held(5), TTL - 1_000));
    let [Change::Granted { validity, .. }] = changes[..] else { panic!("{changes:?}") };
    assert!(validity.bound().has_come(&at(TTL)), "from the first attempt, not the second");
    assert!(!validity.bound().has_come(&at(TTL - 100)));
}

#[test]
fn a_late_answer_to_the_first_attempt_still_proves_what_it_proves() {
    let mut desk = Desk::asking(0);
    let (first, command) = desk.one_at(0);
    desk.at(1_000);
    desk.now = at(1_200);
    let changes = desk.answer(first, acquired(&command, held(5), TTL));
    let [Change::Granted { validity, .. }] = changes[..] else { panic!("{changes:?}") };
    assert!(validity.bound().has_come(&at(TTL)));
    assert!(!validity.bound().has_come(&at(TTL - 100)));
}

#[test]
fn an_answer_that_matches_no_attempt_proves_nothing() {
    let mut desk = Desk::asking(0);
    let (attempt, command) = desk.one_at(0);
    assert_eq!(desk.answer(attempt + 7, acquired(&command, held(5), TTL)), []);
    assert_eq!(desk.answer(0, acquired(&command, held(5), TTL)), []);
}

#[test]
fn a_duplicate_answer_proves_nothing_more() {
    let mut desk = Desk::holding();
    let (attempt, command) = desk.next_message().1;
    let answer = renewed(&command, held(5), TTL);
    assert!(matches!(desk.answer(attempt, answer.clone())[..], [Change::Proven(_)]));
    assert_eq!(desk.answer(attempt, answer), []);
}

#[test]
fn an_answer_about_another_claim_proves_nothing() {
    let mut desk = Desk::asking(0);
    let (attempt, _) = desk.one_at(0);
    let other = Command::Cancel(RequestId::from_bytes([9; 16]));
    assert_eq!(desk.answer(attempt, acquired(&other, held(5), TTL)), []);
}

#[test]
fn a_lease_is_renewed_by_its_id_after_a_third_of_its_ttl() {
    let mut desk = Desk::holding();
    let (sent_at, (_, command)) = desk.next_message();
    assert_eq!(command, Command::Renew(vec![RequestId::from_bytes([1; 16])]));
    assert!((TTL * 9 / 30..=TTL / 3).contains(&sent_at), "{sent_at}");
}

#[test]
fn nothing_is_renewed_before_its_acquire_was_answered() {
    let mut desk = Desk::asking(60_000);
    for ms in (0..9_000).step_by(10) {
        let messages = desk.at(ms);
        assert!(messages.iter().all(|(_, command)| matches!(command, Command::Acquire(_))));
    }
}

#[test]
fn renewals_that_are_due_nearly_together_go_in_one_message() {
    let mut desk = Desk::new();
    for key in 1..=20 {
        desk.ask(ClaimKey(key), 0);
        let (attempt, command) = desk.one_at(key * 20);
        desk.answer(attempt, acquired(&command, held(key), TTL));
    }
    let (_, (_, command)) = desk.next_message();
    let Command::Renew(requests) = command else { panic!("{command:?}") };
    assert_eq!(requests.len(), 20);
}

#[test]
fn a_wait_becomes_a_lease_only_after_a_renewal_proved_the_pushed_grant() {
    let mut desk = Desk::asking(60_000);
    let (attempt, command) = desk.one_at(0);
    assert_eq!(desk.answer(attempt, acquired(&command, WAITING, TTL)), []);
    desk.now = at(1_000);
    desk.claims.pushed(id_of(&command), desk.now);
    assert_eq!(desk.changes(), [], "a push is a hint");
    let (attempt, command) = desk.one_at(1_000);
    let changes = desk.answer(attempt, renewed(&command, held(6), TTL));
    let [Change::Granted { token, .. }] = changes[..] else { panic!("{changes:?}") };
    assert_eq!(token.get(), 6);
}

#[test]
fn story_6_a_grant_whose_push_was_lost_is_found_by_the_next_renewal() {
    let mut desk = Desk::asking(60_000);
    let (attempt, command) = desk.one_at(0);
    desk.answer(attempt, acquired(&command, WAITING, TTL));
    let (sent_at, (attempt, command)) = desk.next_message();
    assert!(sent_at <= TTL / 3);
    let changes = desk.answer(attempt, renewed(&command, held(6), TTL));
    assert!(matches!(changes[..], [Change::Granted { .. }]));
}

#[test]
fn a_grant_that_is_too_old_when_it_is_heard_of_is_renewed_first() {
    let mut desk = Desk::asking(60_000);
    let (attempt, command) = desk.one_at(0);
    desk.claims.stream_lost(false, desk.now);
    let (again, _) = desk.one_at(10);
    assert_eq!(desk.answer(attempt, acquired(&command, held(6), TTL)), [], "another stream's");
    desk.now = at(500);
    assert_eq!(desk.answer(again, acquired(&command, held(6), 400)), [], "over before it came");
    let (attempt, command) = desk.next_message().1;
    assert!(matches!(command, Command::Renew(_)));
    let changes = desk.answer(attempt, renewed(&command, held(6), TTL));
    assert!(matches!(changes[..], [Change::Granted { .. }]));
}

#[test]
fn silence_makes_a_lease_uncertain_and_at_the_bound_lost_and_then_it_is_released() {
    let mut desk = Desk::holding();
    let (sent_at, _) = desk.next_message();
    let mut seen = Vec::new();
    for ms in sent_at..TTL {
        let messages = desk.at(ms);
        for change in desk.changes() {
            seen.push((ms, change));
        }
        if let Some((_, Change::Lost(_))) = seen.last() {
            let release =
                Command::Release { resource: ResourceName::new("r").unwrap(), token: token(5) };
            assert_eq!(messages[0].1, release);
            break;
        }
    }
    let [(doubted_at, Change::Proven(validity)), (lost_at, Change::Lost(reason))] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert!(validity.is_doubted());
    assert!(*doubted_at <= sent_at + 1_000, "after the attempt's timeout: {doubted_at}");
    assert_eq!(*reason, LostReason::BoundPassed);
    assert!(validity.bound().has_come(&at(*lost_at)), "not before the bound");
    assert!(!validity.bound().has_come(&at(*lost_at - 1)), "and not after");
}

#[test]
fn lost_is_said_before_the_release_is_sent() {
    let mut desk = Desk::holding();
    desk.claims.give_up(KEY, at(100));
    assert_eq!(desk.changes(), [Change::Lost(LostReason::Released)]);
    assert!(matches!(desk.one_at(100).1, Command::Release { .. }));
}

#[test]
fn an_answer_that_comes_after_the_bound_does_not_revive_a_lease() {
    let mut desk = Desk::holding();
    let (attempt, command) = desk.next_message().1;
    // The process was stopped past the bound and wakes with the answer in its socket.
    desk.now = at(TTL + 1_000);
    let changes = desk.answer(attempt, renewed(&command, held(5), TTL));
    assert_eq!(changes, [Change::Lost(LostReason::BoundPassed)]);
    assert!(matches!(desk.one_at(TTL + 1_000).1, Command::Release { .. }));
}

#[test]
fn the_clusters_word_that_a_lease_has_ended_is_final() {
    for (refusal, reason) in [
        (Refusal::Ended { why: EndReason::Released }, LostReason::Ended(EndReason::Released)),
        (Refusal::Ended { why: EndReason::Expired }, LostReason::Ended(EndReason::Expired)),
        (Refusal::NotHolder { token: token(5) }, LostReason::NotHolder),
    ] {
        let mut desk = Desk::holding();
        let (attempt, _) = desk.next_message().1;
        let changes = desk.answer(attempt, not_renewed(refusal));
        assert_eq!(changes, [Change::Lost(reason), Change::Over(Ok(false))]);
        assert!(desk.claims.is_empty());
    }
}

#[test]
fn an_older_answer_that_says_waiting_does_not_undo_a_grant() {
    let mut desk = Desk::asking(60_000);
    let (first, command) = desk.one_at(0);
    let (second, _) = desk.one_at(1_000);
    desk.answer(second, acquired(&command, held(5), TTL));
    assert_eq!(desk.answer(first, acquired(&command, WAITING, TTL)), []);
    desk.claims.give_up(KEY, desk.now);
    assert!(matches!(desk.one_at(1_001).1, Command::Release { .. }), "it is still a lease");
}

#[test]
fn a_taken_resource_is_a_definite_no_at_once_when_only_one_attempt_was_made() {
    let mut desk = Desk::asking(0);
    let (attempt, _) = desk.one_at(0);
    let changes = desk.answer(attempt, failed(refused_held()));
    let no = AcquireError::Refused(refused_held());
    assert_eq!(changes, [Change::Failed(no), Change::Over(Ok(false))]);
}

#[test]
fn story_5_a_no_is_said_only_after_a_cancel_when_another_attempt_may_still_wake_up() {
    let mut desk = Desk::asking(0);
    let (_, first) = desk.one_at(0);
    let (second, _) = desk.one_at(1_000);
    assert_eq!(desk.answer(second, failed(refused_held())), [], "the first may be granted yet");
    let (cancel, command) = desk.one_at(1_010);
    assert_eq!(command, Command::Cancel(id_of(&first)));
    let changes = desk.answer(cancel, Answer::Cancelled { was_live: false });
    let no = AcquireError::Refused(refused_held());
    assert_eq!(changes, [Change::Failed(no), Change::Over(Ok(false))]);
}

#[test]
fn an_attempt_that_was_surely_not_applied_needs_no_cancel() {
    let mut desk = Desk::asking(0);
    let (first, _) = desk.one_at(0);
    assert_eq!(desk.answer(first, failed(no_leader())), []);
    let (_, (second, _)) = desk.next_message();
    let changes = desk.answer(second, failed(refused_held()));
    assert_eq!(changes.len(), 2, "definite at once: {changes:?}");
}

#[test]
fn an_attempt_of_unknown_outcome_needs_a_cancel() {
    let mut desk = Desk::asking(0);
    let (first, _) = desk.one_at(0);
    assert_eq!(desk.answer(first, failed(unknown())), []);
    let (_, (second, _)) = desk.next_message();
    assert_eq!(desk.answer(second, failed(refused_held())), []);
    assert!(matches!(desk.next_message().1.1, Command::Cancel(_)));
}

#[test]
fn a_refusal_from_before_the_grant_does_not_undo_it() {
    let mut desk = Desk::asking(0);
    let (first, command) = desk.one_at(0);
    let (second, _) = desk.one_at(1_000);
    desk.answer(second, acquired(&command, held(5), TTL));
    assert_eq!(desk.answer(first, failed(refused_held())), []);
    assert_eq!(desk.claims.wake_in(true).map(|wake| wake < Duration::from_secs(9)), Some(true));
}

#[test]
fn an_id_is_repeated_for_half_of_the_clusters_memory_and_then_cancelled_for_a_new_one() {
    let mut desk = Desk::asking(120_000);
    let (_, first) = desk.one_at(0);
    let mut cancelled_at = None;
    for ms in (0..60_000).step_by(10) {
        for (attempt, command) in desk.at(ms) {
            match command {
                Command::Acquire(ask) if cancelled_at.is_none() => {
                    assert_eq!(ask.request, id_of(&first));
                    assert!(ms <= 30_000);
                }
                Command::Cancel(request) => {
                    assert_eq!(request, id_of(&first));
                    cancelled_at = Some(ms);
                    desk.answer(attempt, Answer::Cancelled { was_live: true });
                }
                Command::Acquire(ask) => {
                    assert_ne!(ask.request, id_of(&first));
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("cancelled at {cancelled_at:?}, never asked anew");
}

#[test]
fn a_wait_is_repeated_with_what_is_left_of_it() {
    let mut desk = Desk::asking(5_000);
    let wait = |command: &Command| match command {
        Command::Acquire(ask) => ask.wait.as_ms(),
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(&desk.one_at(0).1), 5_000);
    assert_eq!(wait(&desk.one_at(1_000).1), 4_000);
    let mut last = 5_000;
    for ms in 1_000..14_000 {
        for (_, command) in desk.at(ms) {
            last = wait(&command);
        }
    }
    assert_eq!(last, 1, "never 0, which would mean not to wait");
}

#[test]
fn a_claim_that_expired_in_the_queue_asks_again_under_a_new_id() {
    let mut desk = Desk::asking(60_000);
    let (attempt, first) = desk.one_at(0);
    desk.answer(attempt, acquired(&first, WAITING, TTL));
    let (_, (attempt, _)) = desk.next_message();
    let ended = not_renewed(Refusal::Ended { why: EndReason::Expired });
    assert_eq!(desk.answer(attempt, ended), []);
    let (_, (_, again)) = desk.next_message();
    assert!(matches!(again, Command::Acquire(_)));
    assert_ne!(id_of(&again), id_of(&first));
}

#[test]
fn a_wait_that_is_over_is_a_definite_no() {
    let mut desk = Desk::asking(2_000);
    let (attempt, command) = desk.one_at(0);
    desk.answer(attempt, acquired(&command, WAITING, TTL));
    let (asked_at, (attempt, _)) = desk.next_message();
    assert!((2_000..=2_100).contains(&asked_at), "it asks when its wait should be over");
    let over = not_renewed(Refusal::Ended { why: EndReason::WaitOver });
    let no = AcquireError::Refused(Refusal::WaitOver);
    assert_eq!(desk.answer(attempt, over), [Change::Failed(no), Change::Over(Ok(false))]);
}

#[test]
fn no_answer_at_all_is_a_fault_and_never_a_no() {
    let mut desk = Desk::asking(0);
    desk.at(0);
    let mut failed_at = None;
    for ms in (0..40_000).step_by(10) {
        desk.at(ms);
        for change in desk.changes() {
            match change {
                Change::Failed(AcquireError::Fault(fault)) => {
                    assert!(!fault.surely_not_applied());
                    failed_at = Some(ms);
                }
                Change::Over(outcome) => {
                    assert!(outcome.is_err());
                    assert_eq!(
                        failed_at,
                        Some(10_000),
                        "told at once, cancelled in the background"
                    );
                    assert!(desk.claims.is_empty());
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("failed at {failed_at:?}, never over");
}

#[test]
fn a_wish_that_was_never_sent_ends_without_a_message() {
    let mut desk = Desk::asking(0);
    desk.claims.give_up(KEY, desk.now);
    assert_eq!(desk.changes(), [Change::Over(Ok(false))]);
    assert_eq!(desk.at(0), []);
}

#[test]
fn a_dropped_wish_is_cancelled_until_there_is_a_definite_answer() {
    let mut desk = Desk::asking(60_000);
    let (attempt, command) = desk.one_at(0);
    desk.answer(attempt, acquired(&command, WAITING, TTL));
    desk.claims.give_up(KEY, at(20));
    let (cancel, _) = desk.one_at(20);
    assert_eq!(desk.answer(cancel, failed(unknown())), []);
    let (_, (cancel, command)) = desk.next_message();
    assert!(matches!(command, Command::Cancel(_)));
    let changes = desk.answer(cancel, Answer::Cancelled { was_live: true });
    assert_eq!(changes, [Change::Over(Ok(true))]);
}

#[test]
fn a_release_is_repeated_until_definite_or_until_the_lease_has_surely_ended() {
    let mut desk = Desk::holding();
    desk.claims.give_up(KEY, at(0));
    desk.changes();
    let mut sent = 0;
    for ms in 0..60_000 {
        sent += desk.at(ms).len();
        if let Some(change) = desk.changes().pop() {
            assert!(matches!(change, Change::Over(Err(_))), "{change:?}");
            assert_eq!(ms, TTL + 10_000);
            assert!(sent > 3, "{sent}");
            return;
        }
    }
    panic!("never given up");
}

#[test]
fn a_release_that_is_answered_with_a_fault_is_repeated() {
    let mut desk = Desk::holding();
    desk.claims.give_up(KEY, at(0));
    let (release, _) = desk.one_at(0);
    desk.changes();
    assert_eq!(desk.answer(release, failed(unknown())), []);
    let (_, (release, command)) = desk.next_message();
    assert!(matches!(command, Command::Release { .. }), "{command:?}");
    let changes = desk.answer(release, Answer::Released { was_held: true });
    assert_eq!(changes, [Change::Over(Ok(true))]);
}

#[test]
fn a_release_that_finds_nothing_to_release_is_done() {
    let mut desk = Desk::holding();
    desk.claims.give_up(KEY, at(20));
    desk.changes();
    let (attempt, _) = desk.one_at(20);
    let changes = desk.answer(attempt, failed(Refusal::TokenNotFound { token: token(5) }));
    assert_eq!(changes, [Change::Over(Ok(false))]);
}

#[test]
fn a_lease_that_is_left_is_neither_renewed_nor_released() {
    let mut desk = Desk::holding();
    desk.claims.leave(KEY, at(20));
    assert_eq!(desk.changes(), [Change::Over(Ok(false))]);
    assert_eq!(desk.at(TTL), []);
}

#[test]
fn what_was_asked_on_a_lost_stream_is_asked_again_on_the_next_at_once() {
    let mut desk = Desk::holding();
    let (sent_at, (lost, command)) = desk.next_message();
    desk.claims.stream_lost(false, desk.now);
    let changes = desk.changes();
    assert!(matches!(changes[..], [Change::Proven(validity)] if validity.is_doubted()));
    desk.claims.stream_opened(Duration::from_secs(60), desk.now);
    let (again, repeated) = desk.one_at(sent_at + 10);
    assert_eq!(repeated, command);
    assert!(again > lost, "a new attempt");
    assert_eq!(desk.answer(lost, renewed(&command, held(5), TTL)), [], "the old one is void");
}

#[test]
fn a_new_stream_hears_of_every_claim_at_once_so_that_it_can_push() {
    let mut desk = Desk::asking(60_000);
    let (attempt, command) = desk.one_at(0);
    desk.answer(attempt, acquired(&command, WAITING, TTL));
    assert_eq!(desk.at(1_000), [], "nothing is due");
    desk.claims.stream_lost(false, desk.now);
    desk.claims.stream_opened(Duration::from_secs(60), desk.now);
    assert!(matches!(desk.one_at(1_000).1, Command::Renew(_)));
}

#[test]
fn a_stream_left_for_a_better_one_casts_no_doubt() {
    let mut desk = Desk::holding();
    desk.next_message();
    desk.claims.stream_lost(true, desk.now);
    assert_eq!(desk.changes(), []);
}

#[test]
fn a_silent_stream_is_suspect_after_one_timeout_and_a_talking_one_after_two() {
    let mut desk = Desk::asking(60_000);
    desk.at(0);
    assert!(!desk.claims.is_stream_suspect());
    desk.at(1_000);
    assert!(desk.claims.is_stream_suspect(), "nothing was heard since the attempt was sent");

    let mut desk = Desk::asking(60_000);
    desk.at(0);
    desk.claims.heard(at(500));
    desk.at(1_000);
    assert!(!desk.claims.is_stream_suspect());
    desk.claims.heard(at(1_500));
    desk.at(3_000);
    assert!(desk.claims.is_stream_suspect());
}

#[test]
fn a_renewal_waits_for_its_answer_no_longer_than_a_third_of_the_proof_that_is_left() {
    let mut desk = Desk::asking(0);
    let (attempt, command) = desk.one_at(0);
    desk.now = at(5_000);
    // A slow answer makes slow timeouts; the proof is short.
    desk.answer(attempt, acquired(&command, held(5), TTL));
    let (sent_at, _) = desk.next_message();
    let (again_at, _) = desk.next_message();
    assert!(again_at - sent_at <= (TTL - sent_at) / 3 + 1, "{sent_at} {again_at}");
}

#[test]
fn a_node_that_answers_nonsense_or_pushes_without_end_gets_a_bounded_number_of_messages() {
    let mut desk = Desk::asking(60_000);
    let (attempt, first) = desk.one_at(0);
    desk.answer(attempt, acquired(&first, WAITING, TTL));
    let mut sent = 0;
    for ms in 1..=1_000 {
        desk.claims.pushed(id_of(&first), at(ms));
        for (attempt, command) in desk.at(ms) {
            sent += 1;
            desk.answer(attempt, renewed(&command, WAITING, TTL));
        }
    }
    assert!(sent <= 1_000 / GAP_MIN.as_millis() + 1, "{sent} messages in a second");
}

#[test]
fn renewals_leave_first_when_there_is_little_room() {
    let mut desk = Desk::holding();
    for key in 2..10 {
        desk.ask(ClaimKey(key), 0);
    }
    desk.now = at(TTL / 3);
    desk.claims.tick(desk.now);
    let messages = desk.claims.take_messages(desk.now, 1);
    assert!(matches!(messages[..], [(_, Command::Renew(_))]), "{messages:?}");
    assert_eq!(desk.at(TTL / 3).len(), 8, "the rest follows");
}
