//! Three real nodes: forwarding, other nodes' calls, stops and restarts.

mod common;

use common::*;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::session_response::Message;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_takes_any_call_and_reads_what_another_answered() {
    let cluster = Cluster::start(3).await;
    let mut last = 0;
    for at in 0..3 {
        let mut client = cluster.lease(at);
        let lease = granted(&mut client, acquire_long(&format!("r/{at}"))).await;
        assert!(lease.token > last);
        last = lease.token;
        for other in 0..3 {
            let state = get(&mut cluster.lease(other), &lease.resource).await;
            assert_eq!(state.lease.expect("held").token, lease.token, "{at} as read at {other}");
        }
        let renew = pb::RenewRequest { tokens: vec![lease.token], request_ids: vec![] };
        let renewed = cluster.lease((at + 1) % 3).renew(renew).await.expect("renewed").into_inner();
        assert!(matches!(
            renewed.results[0].result,
            Some(pb::renew_result::Result::Claim(pb::Claim { .. }))
        ));
        assert!(release(&mut cluster.lease((at + 2) % 3), &lease).await.was_held);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_never_reads_less_than_was_answered_before() {
    let cluster = Cluster::start(3).await;
    let mut at_leader = cluster.lease(cluster.settled().await);
    let mut at_follower = cluster.lease(cluster.follower().await);
    for number in 0..100 {
        let name = format!("r/{number}");
        let lease = granted(&mut at_leader, acquire_long(&name)).await;
        let (mut getter, mut lister) = (at_follower.clone(), at_follower.clone());
        let list = pb::ListRequest { prefix: name.clone(), ..Default::default() };
        let (state, list) = tokio::join!(get(&mut getter, &name), lister.list(list));
        assert_eq!(state.lease.expect("held").token, lease.token, "get {number}");
        assert_eq!(list.expect("a page").into_inner().resources.len(), 1, "list {number}");
        release(&mut at_leader, &lease).await;
        assert_eq!(get(&mut at_follower, &name).await.lease, None, "get {number} again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_renewal_passes_through_a_follower() {
    use leasehold_api::pb::lease::v1::session_request::Command;
    const CLAIMS: u64 = 5_000;
    let cluster = Cluster::start(3).await;
    let mut leader = cluster.lease(cluster.settled().await);
    let attempts = (1..=CLAIMS).map(|attempt| {
        let name = format!("{attempt:0>256}");
        let request = pb::AcquireRequest { holder: name.clone(), ..acquire_long(&name) };
        pb::SessionRequest { attempt, command: Some(Command::Acquire(request)) }
    });
    // In pieces, so that no bound on what is under way is reached.
    let attempts: Vec<_> = attempts.collect();
    let mut request_ids = Vec::new();
    for piece in attempts.chunks(1_000) {
        let session = leader.session(tokio_stream::iter(piece.to_vec())).await.expect("open");
        let mut answers = session.into_inner();
        while let Some(answer) = within(answers.message()).await.expect("no error") {
            assert!(!matches!(answer.message, Some(Message::Failed(_))), "{answer:?}");
        }
        request_ids.extend(piece.iter().filter_map(|asked| match &asked.command {
            Some(Command::Acquire(request)) => Some(request.request_id.clone()),
            _ => None,
        }));
    }
    let renew = pb::RenewRequest { tokens: vec![], request_ids };
    let mut follower = cluster.lease(cluster.follower().await);
    let renewed = within(follower.renew(renew)).await.expect("renewed").into_inner();
    let is_claim = |result: &pb::RenewResult| {
        matches!(result.result, Some(pb::renew_result::Result::Claim(_)))
    };
    assert_eq!(renewed.results.iter().filter(|result| is_claim(result)).count() as u64, CLAIMS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_call_leaves_its_claim_to_the_same_id_through_another_node() {
    let cluster = Cluster::start(3).await;
    let mut holder = cluster.lease(0);
    let held = granted(&mut holder, acquire_long("r")).await;
    let request = acquire_waiting("r");

    let (mut through_b, mut through_c) = (cluster.lease(1), cluster.lease(2));
    let (first, second) = (request.clone(), request.clone());
    let broken = tokio::spawn(async move { through_b.acquire(first).await });
    queue_is(&holder, "r", 1).await;
    let kept = tokio::spawn(async move { granted(&mut through_c, second).await });
    broken.abort();
    assert!(broken.await.expect_err("aborted").is_cancelled());
    // Beyond the ttl: the other call keeps the claim alive, and node B has not ended it.
    let since = tokio::time::Instant::now();
    while since.elapsed() < TTL * 3 / 2 {
        assert_eq!(get(&mut holder, "r").await.queue_length, 1);
    }
    release(&mut holder, &held).await;
    let lease = within(kept).await.expect("granted through C");
    assert_eq!(lease.request_id, request.request_id);
    assert_eq!(get(&mut holder, "r").await.lease.expect("held").token, lease.token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_with_one_id_through_two_nodes_get_one_lease() {
    let cluster = Cluster::start(3).await;
    let mut holder = cluster.lease(0);
    let held = granted(&mut holder, acquire_long("r")).await;
    let request = acquire_waiting("r");
    let calls = [1, 2].map(|at| {
        let (mut client, request) = (cluster.lease(at), request.clone());
        tokio::spawn(async move { granted(&mut client, request).await })
    });
    queue_is(&holder, "r", 1).await;
    release(&mut holder, &held).await;
    let [one, two] = calls;
    let (one, two) = (within(one).await.expect("one"), within(two).await.expect("two"));
    assert_eq!(one.token, two.token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_at_a_follower_outlives_the_leader() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.settled().await;
    let follower = cluster.follower().await;
    let mut client = cluster.lease(follower);
    let held = granted(&mut client, acquire_long("r")).await;
    let mut other = cluster.lease(follower);
    let waiting = tokio::spawn(async move { granted(&mut other, acquire_waiting("r")).await });
    queue_is(&client, "r", 1).await;

    let watched = pb::WatchRequest { prefix: "r".into(), after_revision: None };
    let mut watch = client.watch(watched).await.expect("watching").into_inner();
    cluster.stop(leader).await.expect("an orderly end");
    assert_ne!(cluster.settled().await, leader);
    assert!(release(&mut client, &held).await.was_held);
    let lease = within(waiting).await.expect("granted");
    assert!(lease.token > held.token);

    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let message = within(watch.message()).await.expect("no error").expect("no end");
        kinds.extend(message.events.iter().map(pb::Event::kind));
    }
    assert_eq!(kinds[..2], [pb::EventKind::Released, pb::EventKind::Granted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_welcomed_again_when_the_leader_changes() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.settled().await;
    let follower = cluster.follower().await;
    let mut client = cluster.lease(follower);
    let silent = tokio_stream::pending::<pb::SessionRequest>();
    let mut session = client.session(silent).await.expect("open").into_inner();
    let first = within(session.message()).await.expect("no error").expect("no end");
    let Some(Message::Welcome(first)) = first.message else { panic!("{first:?}") };
    assert_eq!(first.leader_id, leader as u64 + 1);

    cluster.stop(leader).await.expect("an orderly end");
    let next = loop {
        let said = within(session.message()).await.expect("no error").expect("no end");
        match said.message {
            Some(Message::Welcome(next)) if next.leader_id != 0 => break next,
            _ => {}
        }
    };
    assert_ne!(next.leader_id, first.leader_id);
    assert_ne!(next.leader_address, first.leader_address);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_ends_its_calls_and_streams_with_a_status() {
    let mut cluster = Cluster::start(3).await;
    let at = cluster.follower().await;
    let mut client = cluster.lease(at);
    granted(&mut client, acquire_long("r")).await;
    let mut waiter = cluster.lease(at);
    let waiting = tokio::spawn(async move { waiter.acquire(acquire_waiting("r")).await });
    queue_is(&client, "r", 1).await;
    let silent = tokio_stream::pending::<pb::SessionRequest>();
    let mut session = client.session(silent).await.expect("open").into_inner();
    let watch = pb::WatchRequest::default();
    let mut watch = client.watch(watch).await.expect("watching").into_inner();

    let started = std::time::Instant::now();
    cluster.stop(at).await.expect("an orderly end");
    assert!(started.elapsed() < PATIENCE / 2, "the drain was not waited out");
    // The claim may still be granted: no fault may say that it was surely not applied.
    let ended = within(waiting).await.expect("no panic").expect_err("the node stopped");
    assert_eq!(reason(&ended), "OUTCOME_UNKNOWN");
    assert!(!problem(&ended).surely_not_applied());
    let end = loop {
        match within(session.message()).await {
            Ok(said) => assert!(said.is_some(), "an end without a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "SHUTTING_DOWN");
    let end = loop {
        match within(watch.message()).await {
            Ok(said) => assert!(said.is_some(), "an end without a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "SHUTTING_DOWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_granted_outlives_a_restart_of_every_node() {
    let mut cluster = Cluster::start(3).await;
    let mut client = cluster.lease(0);
    let lease = granted(&mut client, acquire_long("r")).await;
    let before = cluster.status(0).await.expect("a status").incarnation;
    for at in 0..3 {
        cluster.stop(at).await.expect("an orderly end");
        cluster.restart(at).await;
    }
    let mut client = cluster.lease(1);
    assert_eq!(get(&mut client, "r").await.lease.expect("still held").token, lease.token);
    assert!(granted(&mut client, acquire("s")).await.token > lease.token);
    assert_eq!(cluster.status(0).await.expect("a status").incarnation, before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_majority_says_so_and_is_not_healthy() {
    let mut cluster = Cluster::start(3).await;
    let health = async |cluster: &Cluster| {
        let service = "leasehold.lease.v1.LeaseService".to_owned();
        let mut client = HealthClient::new(cluster.channel(0));
        let answer = client.check(HealthCheckRequest { service }).await.ok()?;
        Some(answer.into_inner().status())
    };
    eventually("healthy", async || {
        (health(&cluster).await? == ServingStatus::Serving).then_some(())
    })
    .await;
    cluster.stop(1).await.expect("an orderly end");
    // The last but one cannot hand over to anybody who could be elected; it stops anyway.
    cluster.stop(2).await.expect("an end");
    eventually("unhealthy", async || {
        (health(&cluster).await? == ServingStatus::NotServing).then_some(())
    })
    .await;
    let refused = within(cluster.lease(0).acquire(acquire("r"))).await.expect_err("no majority");
    assert!(["NO_LEADER", "OUTCOME_UNKNOWN"].contains(&reason(&refused)), "{refused:?}");
    let refused = within(cluster.lease(0).get(pb::GetRequest { resource: "r".into() })).await;
    assert_eq!(reason(&refused.expect_err("no majority")), "NO_LEADER");
    let status = cluster.status(0).await.expect("status is always answered");
    assert_eq!((status.node_id, status.members.len()), (1, 3));
}

#[tokio::test]
async fn the_services_can_be_found_by_reflection() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let cluster = Cluster::start(1).await;
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(cluster.channel(0));
    let answers =
        client.server_reflection_info(tokio_stream::once(request)).await.expect("answered");
    let answer =
        within(answers.into_inner().message()).await.expect("no error").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!()
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in [
        "leasehold.lease.v1.LeaseService",
        "leasehold.lease.v1.ClusterService",
        "grpc.health.v1.Health",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}
