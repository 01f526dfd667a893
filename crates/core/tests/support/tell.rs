//! Stories as data: commands by the name of who asks, answers and events as short lines.

use leasehold_core::{
    Acquire, Answer, Batch, ClaimAnswer, Command, Event, EventKind, LeaseState, Renew, Settings,
    Standing,
};
use leasehold_types::{
    FencingToken, Holder, LeaseTime, LeaseTtl, Refusal, RequestId, ResourceName, WaitLimit,
};

use super::history::History;

/// One log entry and what it must say: the stamp in ms, the commands, the answers by position and
/// then, after `->`, the events.
pub(crate) type Step<'a> = (u64, &'a [Command], &'a [&'a str]);

/// Runs a story on an empty state with ttl bounds of 1 s to 60 s.
pub(crate) fn check(steps: &[Step<'_>]) -> LeaseState {
    check_from(LeaseState::new(settings()), steps)
}

/// Runs a story, and after each step sends the state through its snapshot.
pub(crate) fn check_from(mut state: LeaseState, steps: &[Step<'_>]) -> LeaseState {
    let mut history = History::default();
    for (at, commands, expected) in steps {
        let batch = Batch { at: LeaseTime(*at), commands: commands.to_vec() };
        let batch = Batch::decode(&batch.encode()).expect("a batch survives its bytes");
        let applied = state.apply(batch.at, &batch.commands);
        let answers = applied.outcomes.iter().map(|outcome| answer(&outcome.answer));
        let events = applied.events.iter().map(event);
        let told: Vec<String> = answers.chain(events).collect();
        assert_eq!(told, *expected, "at {at}");
        history.watch(&applied, &state);
        state = LeaseState::restore(&state.snapshot()).expect("a snapshot can be restored");
    }
    state
}

pub(crate) fn settings() -> Settings {
    Settings { ttl_max: ttl(60_000), ..Settings::default() }
}

/// `ann` asks for `lock`, `ann@door` for `door`; the request id is made of the name.
pub(crate) fn acquire(who: &str) -> Command {
    Command::Acquire(wish(who))
}

/// As [`acquire`], and waits.
pub(crate) fn wait(who: &str, wait_ms: u64) -> Command {
    let wait = WaitLimit::from_ms(wait_ms).expect("a wait");
    Command::Acquire(Acquire { wait, ..wish(who) })
}

/// For a ttl of 10 s, without waiting.
pub(crate) fn wish(who: &str) -> Acquire {
    let (name, resource) = who.split_once('@').unwrap_or((who, "lock"));
    Acquire {
        resource: resource_name(resource),
        holder: Holder::new(name).expect("a holder"),
        request: request(name),
        ttl: ttl(10_000),
        wait: WaitLimit::NONE,
    }
}

pub(crate) fn renew(tokens: &[u64], who: &[&str]) -> Command {
    Command::Renew(Renew {
        tokens: tokens.iter().copied().map(token).collect(),
        requests: who.iter().copied().map(request).collect(),
    })
}

pub(crate) fn release(resource: &str, number: u64) -> Command {
    Command::Release { resource: resource_name(resource), token: token(number) }
}

pub(crate) fn cancel(who: &str) -> Command {
    Command::Cancel { request: request(who) }
}

pub(crate) const PULSE: Command = Command::Pulse;

pub(crate) fn token(number: u64) -> FencingToken {
    FencingToken::new(number).expect("a token")
}

pub(crate) fn ttl(ms: u64) -> LeaseTtl {
    LeaseTtl::from_ms(ms).expect("a ttl")
}

pub(crate) fn resource_name(name: &str) -> ResourceName {
    ResourceName::new(name).expect("a name")
}

fn request(who: &str) -> RequestId {
    let mut bytes = [b' '; 16];
    bytes[..who.len()].copy_from_slice(who.as_bytes());
    RequestId::from_bytes(bytes)
}

fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Claim(answer) => claim(answer),
        Answer::Renewed(items) => {
            let items = items.iter().map(|item| item.as_ref().map_or_else(refusal, claim));
            items.collect::<Vec<_>>().join(", ")
        }
        Answer::Released { was_held: true } => "released".into(),
        Answer::Released { was_held: false } => "was not held".into(),
        Answer::Cancelled { ended: None } => "cancelled nothing".into(),
        Answer::Cancelled { ended: Some(None) } => "cancelled a waiter".into(),
        Answer::Cancelled { ended: Some(Some(token)) } => format!("cancelled #{token}"),
        Answer::Pulsed => "pulsed".into(),
        Answer::Refused(no) => refusal(no),
    }
}

fn claim(claim: &ClaimAnswer) -> String {
    let standing = match claim.standing {
        Standing::Waiting { place } => format!("waits at {place}"),
        Standing::Held { token } => format!("held #{token}"),
    };
    format!("{} {standing} for {}", claim.holder, claim.valid_for_ms)
}

fn refusal(refusal: &Refusal) -> String {
    let reason = refusal.reason();
    match refusal {
        Refusal::Held { by, .. } => format!(
            "{reason} by {} #{} for {} and another {}, {} waiting",
            by.holder, by.token, by.held_for_ms, by.ends_in_ms, by.queue_length
        ),
        Refusal::Ended { why } => format!("{reason} {why}"),
        Refusal::RequestReused { field } => format!("{reason} {field}"),
        Refusal::NotHolder { token } | Refusal::TokenNotFound { token } => {
            format!("{reason} #{token}")
        }
        Refusal::WrongResource { actual, .. } => format!("{reason} of {actual}"),
        Refusal::TooManyClaims { limit } | Refusal::TooManyWaiters { limit, .. } => {
            format!("{reason} {limit}")
        }
        Refusal::Embargo { remaining_ms } => format!("{reason} {remaining_ms}"),
        Refusal::WaitOver | Refusal::Exhausted => reason.into(),
    }
}

fn event(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Granted { token, deadline, .. } => format!("#{token} until {}", deadline.0),
        EventKind::Queued { place, .. } => format!("queued at {place}"),
        EventKind::Ended { why, .. } => format!("{why}"),
    };
    format!("-> {} {what}", event.holder)
}
