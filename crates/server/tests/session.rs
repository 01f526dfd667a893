//! Session streams, against one real node.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::session_request::Command;
use leasehold_api::pb::lease::v1::session_response::Message;
use leasehold_api::{Failure, Problem};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

struct Session {
    sender: Option<mpsc::Sender<pb::SessionRequest>>,
    stream: Streaming<pb::SessionResponse>,
    attempt: u64,
}

impl Session {
    async fn open(client: &mut Lease) -> (Self, pb::SessionWelcome) {
        let (sender, requests) = mpsc::channel(1_024);
        let stream = within(client.session(ReceiverStream::new(requests))).await.expect("open");
        let mut session = Self { sender: Some(sender), stream: stream.into_inner(), attempt: 0 };
        let first = session.next().await.expect("a first message").expect("no end");
        let Some(Message::Welcome(welcome)) = first.message else { panic!("{first:?}") };
        (session, welcome)
    }

    async fn send(&mut self, command: Command) -> u64 {
        self.attempt += 1;
        let request = pb::SessionRequest { attempt: self.attempt, command: Some(command) };
        self.send_raw(request).await;
        self.attempt
    }

    async fn send_raw(&self, request: pb::SessionRequest) {
        within(self.sender.as_ref().expect("open").send(request)).await.expect("taken");
    }

    async fn next(&mut self) -> Result<Option<pb::SessionResponse>, Status> {
        within(self.stream.message()).await
    }

    /// The answer to an attempt, passing over what the node says by itself.
    async fn answer(&mut self, attempt: u64) -> Message {
        loop {
            let next = self.next().await.expect("no error").expect("no end");
            if next.attempt == attempt {
                return next.message.expect("a message");
            }
        }
    }

    async fn ask(&mut self, command: Command) -> Message {
        let attempt = self.send(command).await;
        self.answer(attempt).await
    }

    async fn pushed(&mut self) -> pb::Event {
        loop {
            let next = self.next().await.expect("no error").expect("no end");
            if let Some(Message::Pushed(event)) = next.message {
                assert_eq!(next.attempt, 0);
                return event;
            }
        }
    }
}

fn lease_of(message: Message) -> pb::Lease {
    match message {
        Message::Acquired(pb::SessionAcquired {
            claim: Some(pb::Claim { standing: Some(pb::claim::Standing::Lease(lease)) }),
            ..
        }) => lease,
        other => panic!("{other:?}"),
    }
}

fn place_of(message: Message) -> u64 {
    match message {
        Message::Acquired(pb::SessionAcquired {
            claim: Some(pb::Claim { standing: Some(pb::claim::Standing::Waiting(waiting)) }),
            ..
        }) => waiting.place,
        other => panic!("{other:?}"),
    }
}

fn failure_of(message: Message) -> Problem {
    match message {
        Message::Failed(failure) => Failure::from(failure).problem(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_starts_with_a_welcome_that_names_leader_and_memory() {
    let cluster = Cluster::start(1).await;
    let (_session, welcome) = Session::open(&mut cluster.lease(0)).await;
    assert_eq!((welcome.cluster_id.as_str(), welcome.node_id, welcome.leader_id), ("test", 1, 1));
    let members = cluster.status(0).await.expect("a status").members;
    assert_eq!(welcome.leader_address, members[0].client_address);
    assert_eq!(std(welcome.request_memory), Duration::from_secs(7));
}

#[tokio::test]
async fn every_command_is_answered_under_its_number() {
    let cluster = Cluster::start(1).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let lease = lease_of(session.ask(Command::Acquire(acquire_long("r"))).await);
    let renew = pb::RenewRequest { tokens: vec![lease.token], request_ids: vec![] };
    let Message::Renewed(renewed) = session.ask(Command::Renew(renew)).await else { panic!() };
    assert_eq!(renewed.results.len(), 1);
    let release = pb::ReleaseRequest { resource: "r".into(), token: lease.token };
    let Message::Released(released) = session.ask(Command::Release(release)).await else {
        panic!()
    };
    assert!(released.was_held);
    let cancel = pb::CancelRequest { request_id: lease.request_id };
    let Message::Cancelled(cancelled) = session.ask(Command::Cancel(cancel)).await else {
        panic!()
    };
    assert!(!cancelled.was_live);
}

#[tokio::test]
async fn a_waiting_claim_is_answered_at_once_and_its_grant_and_its_end_are_pushed() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let held = granted(&mut client, acquire_long("r")).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let request = acquire_waiting("r");
    assert_eq!(place_of(session.ask(Command::Acquire(request.clone())).await), 1);
    release(&mut client, &held).await;
    let event = session.pushed().await;
    assert_eq!((event.kind(), &event.request_id), (pb::EventKind::Granted, &request.request_id));
    assert!(event.token > held.token);
    // Nobody renews it.
    let end = session.pushed().await;
    assert_eq!((end.kind(), end.token), (pb::EventKind::Expired, event.token));
}

#[tokio::test]
async fn a_claim_that_was_only_renewed_on_a_stream_is_followed_by_it() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let held = granted(&mut client, acquire_long("r")).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    for _ in 0..3 {
        let renew = pb::RenewRequest { tokens: vec![held.token], request_ids: vec![] };
        assert!(matches!(session.ask(Command::Renew(renew)).await, Message::Renewed(_)));
    }
    release(&mut client, &held).await;
    let event = session.pushed().await;
    assert_eq!((event.kind(), event.token), (pb::EventKind::Released, held.token));
    // Told once, however often it was renewed.
    let other = lease_of(session.ask(Command::Acquire(acquire_long("s"))).await);
    release(&mut client, &other).await;
    assert_eq!(session.pushed().await.resource, "s");
}

#[tokio::test]
async fn a_release_is_pushed_to_every_session_that_follows_the_lease_but_the_one_that_asked_for_it()
{
    let cluster = Cluster::start(1).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let (mut other, _) = Session::open(&mut cluster.lease(0)).await;
    let lease = lease_of(session.ask(Command::Acquire(acquire_long("r"))).await);
    let renew = pb::RenewRequest { tokens: vec![lease.token], request_ids: vec![] };
    assert!(matches!(other.ask(Command::Renew(renew)).await, Message::Renewed(_)));
    let next = lease_of(session.ask(Command::Acquire(acquire_long("s"))).await);
    let release = pb::ReleaseRequest { resource: "r".into(), token: lease.token };
    assert!(matches!(session.ask(Command::Release(release)).await, Message::Released(_)));
    let event = other.pushed().await;
    assert_eq!((event.kind(), event.token), (pb::EventKind::Released, lease.token));
    // The next that the first session is told is about something else.
    crate::common::release(&mut cluster.lease(0), &next).await;
    assert_eq!(session.pushed().await.token, next.token);
}

#[tokio::test]
async fn a_session_that_breaks_ends_nothing() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let lease = lease_of(session.ask(Command::Acquire(acquire_long("r"))).await);
    drop(session);
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let renew = pb::RenewRequest { tokens: vec![lease.token], request_ids: vec![] };
    assert!(matches!(session.ask(Command::Renew(renew)).await, Message::Renewed(_)));
    assert_eq!(get(&mut client, "r").await.lease.expect("held").token, lease.token);
}

#[tokio::test]
async fn a_refused_or_bad_attempt_is_a_failure_of_that_attempt_only() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease(0);
    granted(&mut client, acquire_long("r")).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let refused = failure_of(session.ask(Command::Acquire(acquire("r"))).await);
    assert_eq!(refused.reason(), "HELD");

    let id = bytes::Bytes::from(vec![1; 3]);
    let bad = [
        (
            "resource",
            Command::Acquire(pb::AcquireRequest { resource: String::new(), ..acquire("r") }),
        ),
        ("ttl", Command::Acquire(pb::AcquireRequest { ttl: None, ..acquire("r") })),
        (
            "request_id",
            Command::Acquire(pb::AcquireRequest { request_id: id.clone(), ..acquire("r") }),
        ),
        ("tokens", Command::Renew(pb::RenewRequest::default())),
        ("token", Command::Release(pb::ReleaseRequest { resource: "r".into(), token: 0 })),
        ("request_id", Command::Cancel(pb::CancelRequest { request_id: id })),
    ];
    for (field, command) in bad {
        let Problem::BadField(bad) = failure_of(session.ask(command).await) else {
            panic!("{field}")
        };
        assert_eq!(bad.field, field);
    }
    session.send_raw(pb::SessionRequest { attempt: 77, command: None }).await;
    let Problem::BadField(bad) = failure_of(session.answer(77).await) else { panic!("no command") };
    assert_eq!(bad.field, "command");
    lease_of(session.ask(Command::Acquire(acquire("s"))).await);
}

#[tokio::test]
async fn an_attempt_without_a_number_ends_the_stream() {
    let cluster = Cluster::start(1).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    session.send_raw(pb::SessionRequest { attempt: 0, command: None }).await;
    let Problem::BadField(bad) = problem(&session.next().await.expect_err("no number")) else {
        panic!()
    };
    assert_eq!(bad.field, "attempt");
}

#[tokio::test]
async fn a_client_that_asks_nothing_more_gets_its_last_answers_and_a_clean_end() {
    let cluster = Cluster::start(1).await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let attempt = session.send(Command::Acquire(acquire("r"))).await;
    session.sender = None;
    lease_of(session.answer(attempt).await);
    while let Some(said) = session.next().await.expect("no error") {
        assert_eq!(said.attempt, 0);
    }
}

#[tokio::test]
async fn attempts_above_the_bound_fail_at_once_and_renewals_pass_them() {
    let cluster = Cluster::start_with(1, "session_attempts_max = 1").await;
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let lease = lease_of(session.ask(Command::Acquire(acquire_long("r"))).await);
    let mut acquires = Vec::new();
    for number in 0..200 {
        acquires.push(session.send(Command::Acquire(acquire(&format!("r/{number}")))).await);
    }
    let renew = pb::RenewRequest { tokens: vec![lease.token], request_ids: vec![] };
    let renewal = session.send(Command::Renew(renew)).await;
    let (mut full, mut renewed, mut answered) = (0, false, 0);
    while answered < acquires.len() + 1 {
        let said = session.next().await.expect("no error").expect("no end");
        answered += usize::from(said.attempt != 0);
        match said.message.expect("a message") {
            Message::Failed(failure) => {
                let problem = Failure::from(failure).problem();
                assert_eq!(problem.reason(), "QUEUE_FULL");
                assert!(problem.surely_not_applied() && said.attempt != renewal);
                full += 1;
            }
            Message::Renewed(_) => renewed = said.attempt == renewal,
            _ => {}
        }
    }
    assert!(renewed && full > 0, "renewed: {renewed}, full: {full}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_renewed_until_its_stream_is_ended() {
    let cluster =
        Cluster::start_with(1, "session_reply_bytes_max = 8388608\nsessions_max = 1").await;
    let mut client = cluster.lease(0);
    let (mut session, _) = Session::open(&mut cluster.lease(0)).await;
    let request = acquire_waiting("r");
    let lease = lease_of(session.ask(Command::Acquire(request)).await);
    // Nothing is read from here on. Each answer to these is more than half a megabyte.
    let unknown = |tokens| Command::Renew(pb::RenewRequest { tokens, request_ids: vec![] });
    let own = || unknown(vec![lease.token]);
    for _ in 0..5 {
        session.send(unknown((1_000_000..1_005_000).collect())).await;
        session.send(own()).await;
    }
    // By now the lease would be over, had the unread answers held up the renewals.
    let started = tokio::time::Instant::now();
    while started.elapsed() < TTL * 2 {
        session.send(own()).await;
        tokio::time::sleep(TTL / 8).await;
        let state = get(&mut client, "r").await;
        assert_eq!(state.lease.expect("still held").token, lease.token);
    }
    for _ in 0..60 {
        session.send(unknown((1_000_000..1_005_000).collect())).await;
    }
    eventually("the stream is ended and has made room for another", async || {
        let silent = tokio_stream::pending::<pb::SessionRequest>();
        cluster.lease(0).session(silent).await.ok()
    })
    .await;
    let end = loop {
        match session.next().await {
            Ok(said) => assert!(said.is_some(), "an end without a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "OUTCOME_UNKNOWN");
    assert!(end.message().contains("not read"), "{end:?}");
}

/// Many small attempts as fast as they go, each in a frame of its own. Counts those that the
/// connection took.
fn flood(
    attempts: u64,
    sent: &Arc<AtomicU64>,
    command: impl Fn(u64) -> Command + Send + 'static,
) -> impl Stream<Item = pb::SessionRequest> + Send + 'static {
    let sent = sent.clone();
    tokio_stream::iter(1..=attempts).then(move |attempt| {
        sent.store(attempt, Ordering::Relaxed);
        let command = Some(command(attempt));
        async move {
            // Whatever is ready at one moment would share a frame.
            tokio::task::yield_now().await;
            pb::SessionRequest { attempt, command }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_tiny_attempts_at_once_are_all_answered() {
    let cluster = Cluster::start(1).await;
    let attempts = flood(20_000, &Arc::default(), |attempt| {
        Command::Acquire(acquire_long(&format!("r/{attempt}")))
    });
    let answers = within(cluster.lease(0).session(attempts)).await.expect("open");
    let mut answers = answers.into_inner();
    let mut answered = 0;
    while let Some(said) = within(answers.message()).await.expect("no error") {
        answered += usize::from(said.attempt != 0);
    }
    assert_eq!(answered, 20_000);
}

#[tokio::test]
async fn a_session_whose_answers_nobody_reads_does_no_harm_to_others_on_its_connection() {
    // Their answers are twice what may be unread.
    const ATTEMPTS: u64 = 50_000;
    let cluster = Cluster::start_with(1, "session_reply_bytes_max = 8388608").await;
    let mut client = cluster.lease(0);
    let (mut other, _) = Session::open(&mut client).await;
    let sent = Arc::default();
    let attempts = flood(ATTEMPTS, &sent, |_| {
        Command::Renew(pb::RenewRequest { tokens: vec![1_000_000], request_ids: vec![] })
    });
    let unread = within(client.session(attempts)).await.expect("open");
    eventually("everything is taken, long after the end", async || {
        (sent.load(Ordering::Relaxed) == ATTEMPTS).then_some(())
    })
    .await;
    lease_of(other.ask(Command::Acquire(acquire("r"))).await);
    let mut unread = unread.into_inner();
    let end = loop {
        match within(unread.message()).await {
            Ok(said) => assert!(said.is_some(), "an end without a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "OUTCOME_UNKNOWN");
}
