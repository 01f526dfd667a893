//! What is counted: one command's way through a node, cut into parts.

use std::hint::black_box;
use std::sync::Arc;

use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::{claim_from_answer, duration_from_ms};
use leasehold_core::{
    Acquire, Answer, Batch, Command, LeaseState, Renew, Settings, decode_outcomes, encode_outcomes,
};
use leasehold_disk::{DiskId, MachineDisk, RecordRef, RecordStream, StreamOptions};
use leasehold_fence::Mark;
use leasehold_types::{
    FencingToken, Holder, LeaseTime, LeaseTtl, RequestId, ResourceName, WaitLimit,
};
use prost::Message;

/// Commands in a batch: what a busy leader packs into one entry.
const BATCH: u64 = 64;

/// One part.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// What one command is.
    pub(crate) one: &'static str,
    /// How often it is done in the shorter of two runs.
    pub(crate) times: u32,
    work: fn(u32, &dyn Fn()),
}

/// In the order in which a command passes them.
pub(crate) const ALL: &[Part] = &[
    part("session-decode", "an acquire read from its message and checked", 2_000, session_decode),
    part("batch-encode", "a command written into a log entry", 64 * 40, batch_encode),
    part("log-append", "a group of records of 4 KiB in all, written", 200, log_append),
    part("batch-decode", "a command read from a log entry", 64 * 40, batch_decode),
    part(
        "apply-pair-at-1000",
        "an acquire and a release beside 1,000 leases",
        2_000,
        |times, begin| {
            apply_pairs(1_000, times, begin);
        },
    ),
    part(
        "apply-pair-at-1000000",
        "an acquire and a release beside 1,000,000 leases",
        2_000,
        |times, begin| apply_pairs(1_000_000, times, begin),
    ),
    part("apply-renewal-at-1000", "a lease renewed beside 1,000 others", 4_000, |times, begin| {
        apply_renewals(1_000, times, begin);
    }),
    part(
        "apply-renewal-at-1000000",
        "a lease renewed beside 1,000,000 others",
        4_000,
        |times, begin| {
            apply_renewals(1_000_000, times, begin);
        },
    ),
    part(
        "hand-over-to-10",
        "a release with 10 waiters, and one who joins",
        2_000,
        |times, begin| {
            hand_over(10, times, begin);
        },
    ),
    part(
        "hand-over-to-10000",
        "a release with 10,000 waiters, and one who joins",
        2_000,
        |times, begin| {
            hand_over(10_000, times, begin);
        },
    ),
    part("outcomes", "an outcome written for another node and read there", 64 * 40, outcomes),
    part("session-encode", "an answer to an acquire written as a message", 2_000, session_encode),
    part("admit", "a write held against a mark", 20_000, admit),
];

const fn part(name: &'static str, one: &'static str, times: u32, work: fn(u32, &dyn Fn())) -> Part {
    Part { name, one, times, work }
}

impl Part {
    /// The part of this name.
    ///
    /// # Errors
    /// A sentence with the names that there are.
    pub(crate) fn named(name: &str) -> Result<&'static Self, String> {
        let known = || ALL.iter().map(|part| part.name).collect::<Vec<_>>().join(", ");
        ALL.iter()
            .find(|part| part.name == name)
            .ok_or_else(|| format!("there is no part {name:?}; there are {}", known()))
    }

    /// Does one command so many times; calls `begin` when everything is prepared.
    pub(crate) fn work(&self, times: u32, begin: fn()) {
        (self.work)(times, &begin);
    }
}

fn acquire(number: u64) -> Acquire {
    let mut id = [0; 16];
    // As random as the ids of clients, and the same every time: a multiplicative hash (Knuth, TAOCP 6.4).
    id[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    Acquire {
        resource: ResourceName::new(&format!("jobs/{number:016x}")).expect("a name"),
        holder: Holder::new("worker-1").expect("a holder"),
        request: RequestId::from_bytes(id),
        ttl: LeaseTtl::from_ms(10_000).expect("a ttl"),
        wait: WaitLimit::NONE,
    }
}

fn waiting(number: u64) -> Acquire {
    let resource = ResourceName::new("one").expect("a name");
    Acquire { resource, wait: WaitLimit::MAX, ..acquire(number) }
}

fn token(number: u64) -> FencingToken {
    FencingToken::new(number).expect("a token")
}

/// What the names of [`acquire`] take: `jobs/` and sixteen digits, and the holder.
pub(crate) const NAMES_BYTES: u64 = 21 + 8;

pub(crate) fn state_with(leases: u64) -> LeaseState {
    let settings = Settings {
        claims_max: 2_000_000,
        waiters_per_resource_max: 100_000,
        ..Settings::default()
    };
    let mut state = LeaseState::new(settings);
    let numbers: Vec<u64> = (0..leases).collect();
    for some in numbers.chunks(1_000) {
        let commands: Vec<Command> = some.iter().map(|n| Command::Acquire(acquire(*n))).collect();
        state.apply(LeaseTime(0), &commands);
    }
    state
}

/// Commands beside those of [`state_with`], in batches.
fn batches(commands: impl Iterator<Item = Command>) -> Vec<Vec<Command>> {
    let commands: Vec<Command> = commands.collect();
    commands.chunks(BATCH as usize).map(<[Command]>::to_vec).collect()
}

/// A state is forgotten at the end: taking a million claims apart is not what is counted.
fn apply_all(state: &mut LeaseState, batches: &[Vec<Command>]) {
    for batch in batches {
        black_box(state.apply(LeaseTime(0), batch));
    }
}

fn apply_pairs(leases: u64, times: u32, begin: &dyn Fn()) {
    let mut state = state_with(leases);
    let pairs = batches((leases..leases + u64::from(times)).flat_map(|number| {
        let acquire = acquire(number);
        let resource = acquire.resource.clone();
        [Command::Acquire(acquire), Command::Release { resource, token: token(number + 1) }]
    }));
    begin();
    apply_all(&mut state, &pairs);
    assert_eq!(state.claims_len() as u64, leases);
    std::mem::forget(state);
}

fn apply_renewals(leases: u64, times: u32, begin: &dyn Fn()) {
    let mut state = state_with(leases);
    let tokens: Vec<FencingToken> =
        (0..u64::from(times)).map(|n| token(n * 7 % leases + 1)).collect();
    let renewals = tokens
        .chunks(100)
        .map(|tokens| Command::Renew(Renew { tokens: tokens.to_vec(), requests: Vec::new() }));
    let renewals: Vec<Vec<Command>> = renewals.map(|renewal| vec![renewal]).collect();
    begin();
    for (at, batch) in (1..).zip(&renewals) {
        black_box(state.apply(LeaseTime(at), batch));
    }
    std::mem::forget(state);
}

fn hand_over(waiters: u64, times: u32, begin: &dyn Fn()) {
    let mut state = state_with(0);
    apply_all(&mut state, &batches((0..=waiters).map(|number| Command::Acquire(waiting(number)))));
    let resource = ResourceName::new("one").expect("a name");
    let turns = batches((1..=u64::from(times)).flat_map(|number| {
        let release = Command::Release { resource: resource.clone(), token: token(number) };
        [release, Command::Acquire(waiting(waiters + number))]
    }));
    begin();
    apply_all(&mut state, &turns);
    assert_eq!(state.claims_len() as u64, waiters + 1);
    std::mem::forget(state);
}

fn batch_of_acquires() -> Batch {
    let commands = (0..BATCH).map(|number| Command::Acquire(acquire(number))).collect();
    Batch { at: LeaseTime(1), commands }
}

fn batch_encode(times: u32, begin: &dyn Fn()) {
    let batch = batch_of_acquires();
    begin();
    for _ in 0..u64::from(times) / BATCH {
        black_box(black_box(&batch).encode());
    }
}

fn batch_decode(times: u32, begin: &dyn Fn()) {
    let bytes = batch_of_acquires().encode();
    begin();
    for _ in 0..u64::from(times) / BATCH {
        black_box(Batch::decode(black_box(&bytes)).is_ok());
    }
}

fn outcomes(times: u32, begin: &dyn Fn()) {
    let applied = state_with(0).apply(LeaseTime(1), &batch_of_acquires().commands);
    begin();
    for _ in 0..u64::from(times) / BATCH {
        let bytes = encode_outcomes(black_box(&applied.outcomes));
        black_box(decode_outcomes(&bytes).is_ok());
    }
}

fn log_append(times: u32, begin: &dyn Fn()) {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(MachineDisk::open(directory.path()).expect("an empty directory"));
    let options = StreamOptions::new(DiskId([7; 16]));
    let (mut stream, ..) = RecordStream::open(disk, options).expect("an empty disk");
    let payload = vec![7; 4 << 10];
    begin();
    for _ in 0..times {
        let group = [RecordRef { kind: 1, payload: black_box(&payload) }];
        black_box(stream.append_group(&group, Vec::new, false).is_ok());
    }
}

fn session_decode(times: u32, begin: &dyn Fn()) {
    let wish = acquire(7);
    let asked = pb::AcquireRequest {
        resource: wish.resource.to_string(),
        holder: wish.holder.to_string(),
        request_id: wish.request.as_bytes().to_vec().into(),
        ttl: Some(duration_from_ms(wish.ttl.as_ms())),
        wait: None,
    };
    let command = Some(pb::session_request::Command::Acquire(asked));
    let message = pb::SessionRequest { attempt: 7, command };
    let bytes = message.encode_to_vec();
    begin();
    for _ in 0..times {
        let message = pb::SessionRequest::decode(black_box(&*bytes)).expect("what was written");
        let Some(pb::session_request::Command::Acquire(raw)) = message.command else {
            unreachable!("what was written")
        };
        black_box(Acquire::try_from(raw).is_ok());
    }
}

fn session_encode(times: u32, begin: &dyn Fn()) {
    let applied = state_with(0).apply(LeaseTime(1), &[Command::Acquire(acquire(7))]);
    let outcome = &applied.outcomes[0];
    let Answer::Claim(claim) = &outcome.answer else { unreachable!("it was free") };
    begin();
    for _ in 0..times {
        let claim = Some(claim_from_answer(black_box(claim)));
        let acquired = pb::SessionAcquired { claim, revision: outcome.revision.0 };
        let message = Some(pb::session_response::Message::Acquired(acquired));
        black_box(pb::SessionResponse { attempt: 7, message }.encode_to_vec());
    }
}

fn admit(times: u32, begin: &dyn Fn()) {
    let token = token(7);
    let mut mark = Mark::NONE;
    begin();
    for sequence in 1..=u64::from(times) {
        if let Ok(leasehold_fence::Admitted::Accept(next)) = black_box(mark).admit(token, sequence)
        {
            mark = next;
        }
    }
    assert_eq!(mark.to_parts(), (7, u64::from(times)));
}
