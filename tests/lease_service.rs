//! Every call of the lease service, against real processes, with generated code alone.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::time::{Duration, Instant};

use harness::history::Watch;
use harness::wire::{self, acquire, acquire_waiting, bad_field, reason};
use harness::{Cluster, PATIENCE};
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::std_from_duration;
use tonic::Code;

const TTL: Duration = Duration::from_secs(30);

fn duration(raw: Option<prost_types::Duration>) -> Duration {
    std_from_duration("", &raw.expect("always there")).expect("never negative")
}

#[tokio::test]
async fn every_call_of_the_lease_service_does_what_it_says() {
    let cluster = Cluster::start(3).await;
    let mut client = cluster.lease_client(0);

    let request = acquire("smoke/a", "ann", TTL);
    let granted = client.acquire(request.clone()).await.unwrap().into_inner();
    let lease = granted.lease.clone().unwrap();
    assert_eq!((lease.resource.as_str(), lease.holder.as_str()), ("smoke/a", "ann"));
    assert_eq!(lease.request_id, request.request_id);
    assert_eq!(duration(lease.ttl), TTL);
    assert_eq!(duration(lease.valid_for), TTL, "granted just now");
    assert_eq!(granted.cluster_id, "test");

    let again = client.acquire(request.clone()).await.unwrap().into_inner();
    assert_eq!(again.lease.unwrap().token, lease.token, "a repeated request is the same claim");

    let refused = client.acquire(acquire("smoke/a", "bob", TTL)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "HELD"));
    assert!(refused.message().contains("ann"), "says who holds: {}", refused.message());

    let renew = pb::RenewRequest {
        tokens: vec![lease.token, u64::MAX],
        request_ids: vec![request.request_id.clone(), wire::request_id()],
    };
    let renewed = client.renew(renew).await.unwrap().into_inner();
    let results: Vec<bool> = renewed
        .results
        .iter()
        .map(|item| matches!(item.result, Some(pb::renew_result::Result::Claim(_))))
        .collect();
    assert_eq!(results, [true, false, true, false], "answered item by item, in order");

    let get = |resource: &str| pb::GetRequest { resource: resource.into() };
    let state = client.get(get("smoke/a")).await.unwrap().into_inner().state.unwrap();
    assert_eq!(state.lease.unwrap().token, lease.token);
    let free = client.get(get("smoke/never")).await.unwrap().into_inner().state.unwrap();
    assert!(free.lease.is_none(), "a free resource is an answer, not an error");

    let wrong = pb::ReleaseRequest { resource: "smoke/b".into(), token: lease.token };
    let wrong = client.release(wrong).await.unwrap_err();
    assert_eq!(
        (wrong.code(), reason(&wrong).as_str()),
        (Code::FailedPrecondition, "WRONG_RESOURCE")
    );
    let never = pb::ReleaseRequest { resource: "smoke/a".into(), token: u64::MAX };
    let never = client.release(never).await.unwrap_err();
    assert_eq!((never.code(), reason(&never).as_str()), (Code::NotFound, "TOKEN_NOT_FOUND"));
    let release = pb::ReleaseRequest { resource: "smoke/a".into(), token: lease.token };
    assert!(client.release(release.clone()).await.unwrap().into_inner().was_held);
    assert!(
        !client.release(release).await.unwrap().into_inner().was_held,
        "releasing twice is no error"
    );
    let ended = client.acquire(request).await.unwrap_err();
    assert_eq!(reason(&ended), "ENDED", "one request id is granted at most once");

    let cancelled_early = acquire("smoke/c", "ann", TTL);
    let cancel = pb::CancelRequest { request_id: cancelled_early.request_id.clone() };
    assert!(!client.cancel(cancel).await.unwrap().into_inner().was_live);
    let late = client.acquire(cancelled_early).await.unwrap_err();
    assert_eq!(reason(&late), "ENDED", "a cancel that overtakes its acquire still counts");
}

#[tokio::test]
async fn tokens_grow_over_all_resources_and_all_nodes() {
    let cluster = Cluster::start(3).await;
    let mut last = 0;
    for turn in 0..30 {
        let mut client = cluster.lease_client(turn % 3);
        let request = acquire(&format!("tokens/{}", turn % 7), "ann", TTL);
        let lease = client.acquire(request).await.unwrap().into_inner().lease.unwrap();
        assert!(lease.token > last, "{} after {last}", lease.token);
        last = lease.token;
        let release = pb::ReleaseRequest { resource: lease.resource, token: lease.token };
        client.release(release).await.unwrap();
    }
}

#[tokio::test]
async fn a_waiting_acquire_is_complete_as_it_is() {
    let cluster = Cluster::start(3).await;
    let ttl = Duration::from_secs(2);
    let mut holder = cluster.lease_client(0);
    let lease =
        holder.acquire(acquire("queue", "ann", TTL)).await.unwrap().into_inner().lease.unwrap();

    let mut waiters = Vec::new();
    for node in [1, 2] {
        let before = revision(&cluster).await;
        let mut client = cluster.lease_client(node);
        let request = acquire_waiting("queue", &format!("waiter-{node}"), ttl, PATIENCE);
        waiters.push(tokio::spawn(async move {
            let sent = Instant::now();
            let lease = client.acquire(request).await.unwrap().into_inner().lease.unwrap();
            (lease, sent)
        }));
        wait_for_queue(&cluster, "queue", waiters.len() as u64).await;
        assert!(revision(&cluster).await > before);
    }
    // Longer than the waiters' ttl: only the nodes that hold their calls keep them alive.
    wait_for_lease_time(&cluster, ttl + ttl / 2).await;
    holder
        .release(pb::ReleaseRequest { resource: "queue".into(), token: lease.token })
        .await
        .unwrap();
    let mut last = lease.token;
    for waiter in waiters {
        let (granted, sent) = waiter.await.unwrap();
        assert!(granted.token > last);
        last = granted.token;
        let bound = sent + duration(granted.valid_for);
        assert!(
            bound > Instant::now(),
            "still good when it is answered, counted from before the call"
        );
        holder
            .release(pb::ReleaseRequest { resource: "queue".into(), token: granted.token })
            .await
            .unwrap();
    }
}

/// Keeps one short lease until `time` of lease time must have passed.
async fn wait_for_lease_time(cluster: &Cluster, time: Duration) {
    let mut client = cluster.lease_client(0);
    let name = format!("clock/{}", revision(cluster).await);
    let request = acquire(&name, "clock", time);
    client.acquire(request).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while client
        .get(pb::GetRequest { resource: name.clone() })
        .await
        .unwrap()
        .into_inner()
        .state
        .unwrap()
        .lease
        .is_some()
    {
        assert!(Instant::now() < deadline, "a lease of {time:?} never ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn revision(cluster: &Cluster) -> u64 {
    let mut client = cluster.lease_client(0);
    client.get(pb::GetRequest { resource: "r".into() }).await.unwrap().into_inner().revision
}

async fn wait_for_queue(cluster: &Cluster, resource: &str, length: u64) {
    let deadline = Instant::now() + PATIENCE;
    let mut client = cluster.lease_client(0);
    loop {
        let get = pb::GetRequest { resource: resource.into() };
        let state = client.get(get).await.unwrap().into_inner().state.unwrap();
        if state.queue_length == length {
            return;
        }
        assert!(Instant::now() < deadline, "the queue of {resource} never had {length}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_wait_that_is_over_is_a_definite_no() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease_client(0);
    client.acquire(acquire("busy", "ann", TTL)).await.unwrap();
    let request = acquire_waiting("busy", "bob", TTL, Duration::from_millis(300));
    let over = client.acquire(request).await.unwrap_err();
    assert_eq!((over.code(), reason(&over).as_str()), (Code::Aborted, "WAIT_OVER"));
    wait_for_queue(&cluster, "busy", 0).await;
}

#[tokio::test]
async fn a_lease_that_nobody_renews_ends_and_never_before_its_deadline() {
    let cluster = Cluster::start(3).await;
    let mut client = cluster.lease_client(0);
    let ttl = Duration::from_secs(2);
    let sent = Instant::now();
    let first =
        client.acquire(acquire("dead", "ann", ttl)).await.unwrap().into_inner().lease.unwrap();
    let request = acquire_waiting("dead", "bob", ttl, PATIENCE);
    let second = client.acquire(request).await.unwrap().into_inner().lease.unwrap();
    assert!(second.token > first.token);
    assert!(sent.elapsed() >= ttl, "granted after {:?} of a lease of {ttl:?}", sent.elapsed());
}

#[tokio::test]
async fn list_pages_through_live_claims_in_order_of_their_names() {
    let cluster = Cluster::start(3).await;
    let mut client = cluster.lease_client(2);
    for at in 0..25 {
        client.acquire(acquire(&format!("list/{at:02}"), "ann", TTL)).await.unwrap();
    }
    client.acquire(acquire("other", "ann", TTL)).await.unwrap();
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListRequest { prefix: "list/".into(), page_size: 10, page_token };
        let page = client.list(request).await.unwrap().into_inner();
        assert!(page.resources.len() <= 10);
        names.extend(page.resources.into_iter().map(|state| state.resource));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected: Vec<String> = (0..25).map(|at| format!("list/{at:02}")).collect();
    assert_eq!(names, expected);
}

/// The next `count` events of a watch.
async fn events(stream: &mut Watch, count: usize) -> Vec<pb::Event> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let message = tokio::time::timeout(PATIENCE, stream.message()).await;
        let message = message.expect("an event comes").unwrap().expect("the watch goes on");
        seen.extend(message.events);
    }
    seen
}

#[tokio::test]
async fn a_watch_sees_every_event_and_resumes_between_two_of_them() {
    let cluster = Cluster::start(3).await;
    let mut client = cluster.lease_client(0);
    let mut watcher = cluster.lease_client(1);
    let from = |after_revision| pb::WatchRequest { prefix: "watched/".into(), after_revision };
    let mut stream = watcher.watch(from(None)).await.unwrap();
    let start = stream.message().await.unwrap().expect("the first message");
    assert!(start.events.is_empty(), "the first message says only where the watch starts");

    let lease =
        client.acquire(acquire("watched/a", "ann", TTL)).await.unwrap().into_inner().lease.unwrap();
    client.acquire(acquire("elsewhere", "ann", TTL)).await.unwrap();
    let waiting = acquire_waiting("watched/a", "bob", TTL, PATIENCE);
    let mut waiter = cluster.lease_client(2);
    let waiter = tokio::spawn(async move { waiter.acquire(waiting).await });
    wait_for_queue(&cluster, "watched/a", 1).await;
    client
        .release(pb::ReleaseRequest { resource: "watched/a".into(), token: lease.token })
        .await
        .unwrap();
    waiter.await.unwrap().unwrap();

    let seen = events(&mut stream, 4).await;
    let kinds: Vec<_> = seen.iter().map(|event| (event.kind(), event.holder.as_str())).collect();
    use pb::EventKind::{Granted, Queued, Released};
    assert_eq!(kinds, [(Granted, "ann"), (Queued, "bob"), (Released, "ann"), (Granted, "bob")]);
    assert!(seen.windows(2).all(|pair| pair[0].revision < pair[1].revision));

    // The release and the grant it caused are in one batch; a watch resumes between them.
    let mut resumed = watcher.watch(from(Some(seen[2].revision))).await.unwrap();
    assert_eq!(events(&mut resumed, 1).await, seen[3..]);

    let future = watcher.watch(from(Some(u64::MAX))).await;
    let future = match future {
        Err(status) => status,
        Ok(mut stream) => stream.message().await.unwrap_err(),
    };
    assert_eq!((future.code(), reason(&future).as_str()), (Code::OutOfRange, "REVISION_IN_FUTURE"));
}

#[tokio::test]
async fn a_session_carries_everything_one_client_does() {
    use pb::session_request::Command;
    use pb::session_response::Message;
    let cluster = Cluster::start(3).await;
    let mut client = cluster.lease_client(1);
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.session(requests).await.unwrap();
    let mut next = async || {
        let message =
            tokio::time::timeout(PATIENCE, answers.message()).await.expect("an answer comes");
        message.unwrap().expect("the session goes on")
    };
    let send = async |attempt, command| {
        sender.send(pb::SessionRequest { attempt, command: Some(command) }).await.unwrap();
    };

    let welcome = next().await;
    let Some(Message::Welcome(welcome)) = welcome.message else {
        panic!("not a welcome: {welcome:?}")
    };
    assert_eq!((welcome.cluster_id.as_str(), welcome.node_id), ("test", 2));

    let ann = acquire("session", "ann", TTL);
    let bob = acquire_waiting("session", "bob", TTL, PATIENCE);
    send(1, Command::Acquire(ann)).await;
    let answer = loop {
        let message = next().await;
        if message.attempt == 1 {
            break message;
        }
    };
    let Some(Message::Acquired(acquired)) = answer.message else { panic!("{answer:?}") };
    let Some(pb::claim::Standing::Lease(lease)) = acquired.claim.unwrap().standing else {
        panic!("a free resource is granted at once")
    };
    send(2, Command::Acquire(bob.clone())).await;
    let waiting = loop {
        let message = next().await;
        if message.attempt == 2 {
            break message;
        }
    };
    let Some(Message::Acquired(acquired)) = waiting.message else { panic!("{waiting:?}") };
    assert!(matches!(acquired.claim.unwrap().standing, Some(pb::claim::Standing::Waiting(_))));

    send(
        3,
        Command::Release(pb::ReleaseRequest { resource: "session".into(), token: lease.token }),
    )
    .await;
    let (mut released, mut pushed) = (false, None);
    while !released || pushed.is_none() {
        match next().await.message {
            Some(Message::Released(answer)) => released = answer.was_held,
            Some(Message::Pushed(event))
                if event.kind() == pb::EventKind::Granted && event.holder == "bob" =>
            {
                pushed = Some(event);
            }
            _ => {}
        }
    }
    let pushed = pushed.unwrap();
    assert!(pushed.token > lease.token);
    assert_eq!(pushed.request_id, bob.request_id);

    send(4, Command::Cancel(pb::CancelRequest { request_id: bob.request_id })).await;
    let cancelled = loop {
        let message = next().await;
        if message.attempt == 4 {
            break message;
        }
    };
    let Some(Message::Cancelled(cancelled)) = cancelled.message else { panic!("{cancelled:?}") };
    assert_eq!((cancelled.was_live, cancelled.released_token), (true, pushed.token));
}

#[tokio::test]
async fn bad_input_is_named_changes_nothing_and_harms_nobody() {
    let cluster = Cluster::start(1).await;
    let mut client = cluster.lease_client(0);
    let before = revision(&cluster).await;
    let good = || acquire("bad", "ann", TTL);
    let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let long = || "x".repeat(257);
    let acquires = [
        (pb::AcquireRequest { resource: String::new(), ..good() }, "resource"),
        (pb::AcquireRequest { resource: long(), ..good() }, "resource"),
        (pb::AcquireRequest { resource: "a\nb".into(), ..good() }, "resource"),
        (pb::AcquireRequest { holder: long(), ..good() }, "holder"),
        (pb::AcquireRequest { holder: "\u{0}".into(), ..good() }, "holder"),
        (pb::AcquireRequest { request_id: vec![].into(), ..good() }, "request_id"),
        (pb::AcquireRequest { request_id: vec![1; 17].into(), ..good() }, "request_id"),
        (pb::AcquireRequest { ttl: None, ..good() }, "ttl"),
        (pb::AcquireRequest { ttl: span(0, 0), ..good() }, "ttl"),
        (pb::AcquireRequest { ttl: span(-5, 0), ..good() }, "ttl"),
        (pb::AcquireRequest { ttl: span(i64::MAX, 0), ..good() }, "ttl"),
        (pb::AcquireRequest { ttl: span(1, 1_000_000_000), ..good() }, "ttl"),
        (pb::AcquireRequest { wait: span(i64::MAX, 0), ..good() }, "wait"),
        (pb::AcquireRequest { wait: span(0, -1), ..good() }, "wait"),
    ];
    for (request, field) in acquires {
        assert_eq!(bad_field(&client.acquire(request).await.unwrap_err()), field);
    }
    let renews = [
        (pb::RenewRequest::default(), "tokens"),
        (pb::RenewRequest { tokens: vec![0], request_ids: vec![] }, "tokens[0]"),
        (pb::RenewRequest { tokens: vec![1; 5_001], request_ids: vec![] }, "tokens"),
        (pb::RenewRequest { tokens: vec![], request_ids: vec![vec![1].into()] }, "request_ids[0]"),
    ];
    for (request, field) in renews {
        assert_eq!(bad_field(&client.renew(request).await.unwrap_err()), field);
    }
    let releases = [
        (pb::ReleaseRequest { resource: String::new(), token: 1 }, "resource"),
        (pb::ReleaseRequest { resource: "a\u{7f}".into(), token: 1 }, "resource"),
        (pb::ReleaseRequest { resource: "a".into(), token: 0 }, "token"),
    ];
    for (request, field) in releases {
        assert_eq!(bad_field(&client.release(request).await.unwrap_err()), field);
    }
    let cancel = pb::CancelRequest { request_id: vec![1; 15].into() };
    assert_eq!(bad_field(&client.cancel(cancel).await.unwrap_err()), "request_id");
    let get = pb::GetRequest { resource: long() };
    assert_eq!(bad_field(&client.get(get).await.unwrap_err()), "resource");
    let lists = [
        (pb::ListRequest { prefix: long(), ..Default::default() }, "prefix"),
        (pb::ListRequest { page_size: 1_001, ..Default::default() }, "page_size"),
        (pb::ListRequest { page_token: "\n".into(), ..Default::default() }, "page_token"),
    ];
    for (request, field) in lists {
        assert_eq!(bad_field(&client.list(request).await.unwrap_err()), field);
    }
    let watch = pb::WatchRequest { prefix: long(), after_revision: None };
    let refused = match client.watch(watch).await {
        Err(status) => status,
        Ok(mut stream) => stream.message().await.unwrap_err(),
    };
    assert_eq!(bad_field(&refused), "prefix");
    assert_eq!(revision(&cluster).await, before, "nothing of this reached the state");
    client.acquire(good()).await.expect("the server is alive and well");
}
