//! Single requests against the fake cluster: they follow, repeat, and end.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::time::Duration;

use leasehold_client::message::Command;
use leasehold_client::{Client, ClientConfig, RequestError};
use leasehold_types::{
    Acquire, EndReason, FencingToken, Holder, LeaseTtl, Refusal, RequestId, ResourceName, Revision,
    WaitLimit,
};
use support::fake_lease::{CLUSTER_ID, FakeCluster};
use support::{client, ms};

const ID: RequestId = RequestId::from_bytes([1; 16]);

fn claim_by(id: RequestId) -> Command {
    Command::Acquire(Acquire {
        resource: ResourceName::new("r").unwrap(),
        holder: Holder::new("h").unwrap(),
        request: id,
        ttl: LeaseTtl::from_ms(9_000).unwrap(),
        wait: WaitLimit::NONE,
    })
}

fn token(token: u64) -> FencingToken {
    FencingToken::new(token).unwrap()
}

#[tokio::test]
async fn a_renewal_is_answered_item_by_item() {
    let (cluster, clock) = FakeCluster::start(1).await;
    cluster.apply(&claim_by(ID));
    let unknown = RequestId::from_bytes([2; 16]);
    let answers = client(cluster.endpoints(), &clock).renew(&[], &[ID, unknown]).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().request, ID);
    assert_eq!(answers[1], Err(Refusal::Ended { why: EndReason::Expired }));
}

#[tokio::test]
async fn an_empty_renewal_names_the_field() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let bad = client(cluster.endpoints(), &clock).renew(&[], &[]).await.unwrap_err();
    assert!(matches!(bad, RequestError::BadField(_)), "{bad}");
}

#[tokio::test]
async fn a_release_and_a_cancel_say_what_they_ended() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let client = client(cluster.endpoints(), &clock);
    cluster.apply(&claim_by(ID));
    assert!(client.release("r", token(1)).await.unwrap().was_held);
    assert!(!client.release("r", token(1)).await.unwrap().was_held);
    let other = RequestId::from_bytes([2; 16]);
    cluster.apply(&claim_by(other));
    assert!(client.cancel(other).await.unwrap().was_live);
    assert!(!client.cancel(other).await.unwrap().was_live);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let (cluster, clock) = FakeCluster::start(2).await;
    cluster.apply(&claim_by(ID));
    cluster.harm(1, |faults| faults.answers_to_lose = 1);
    let released = client(cluster.endpoints(), &clock).release("r", token(1)).await.unwrap();
    assert!(!released.was_held, "the first attempt did it");
    let nodes: Vec<_> = cluster.log().iter().map(|logged| logged.node).collect();
    assert_eq!(nodes, [1, 2], "and the next node was asked");
}

#[tokio::test]
async fn a_node_that_does_not_forward_names_the_leader() {
    let (cluster, clock) = FakeCluster::start(2).await;
    cluster.harm(2, |faults| faults.does_not_forward = true);
    let client = client(vec![cluster.endpoint(2)], &clock);
    client.release("r", token(1)).await.unwrap();
    let nodes: Vec<_> = cluster.log().iter().map(|logged| logged.node).collect();
    assert_eq!(nodes, [2, 1]);
}

#[tokio::test]
async fn a_cluster_without_a_leader_is_a_fault_that_was_surely_not_applied() {
    let (cluster, _) = FakeCluster::start(1).await;
    cluster.lead(0);
    let config = ClientConfig {
        endpoints: cluster.endpoints(),
        request_timeout: ms(300),
        ..ClientConfig::default()
    };
    match Client::new(config).unwrap().release("r", token(1)).await.unwrap_err() {
        RequestError::Fault(fault) => assert!(fault.surely_not_applied(), "{fault}"),
        other => panic!("{other}"),
    }
    assert!(cluster.log().len() > 1, "it was asked again");
}

#[tokio::test]
async fn a_fault_that_may_have_been_applied_outweighs_a_later_one_that_was_not() {
    let (cluster, _) = FakeCluster::start(2).await;
    cluster.harm(1, |faults| faults.mute = true);
    let config = ClientConfig {
        endpoints: cluster.endpoints(),
        request_timeout: Duration::from_secs(2),
        ..ClientConfig::default()
    };
    cluster.lead(0);
    match Client::new(config).unwrap().release("r", token(1)).await.unwrap_err() {
        RequestError::Fault(fault) => assert!(!fault.surely_not_applied(), "{fault}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_list_has_all_pages_and_the_revision_of_the_first() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let listing = client(cluster.endpoints(), &clock).list("").await.unwrap();
    let names: Vec<_> = listing.resources.iter().map(|state| state.resource.as_str()).collect();
    assert_eq!((names, listing.revision), (vec!["r0", "r1", "r2"], Revision(7)));
}

#[tokio::test]
async fn a_free_resource_is_an_answer() {
    let (cluster, clock) = FakeCluster::start(1).await;
    let state = client(cluster.endpoints(), &clock).get("r").await.unwrap();
    assert_eq!((state.resource.as_str(), state.lease), ("r", None));
}

#[tokio::test]
async fn a_status_is_what_the_node_itself_says() {
    let (cluster, clock) = FakeCluster::start(2).await;
    let client = client(cluster.endpoints(), &clock);
    let status = client.status(&cluster.endpoint(2)).await.unwrap();
    assert_eq!(
        (status.cluster_id.as_str(), status.node_id, status.leader_id),
        (CLUSTER_ID, 2, Some(1))
    );
    assert_eq!(status.leader_address, Some(cluster.endpoint(1)));
    let bad = client.status("nonsense").await.unwrap_err();
    assert!(matches!(bad, RequestError::BadField(bad) if bad.field == "endpoint"));
    assert!(matches!(client.status("127.0.0.1:1").await, Err(RequestError::Fault(_))));
}

#[test]
fn every_bad_field_of_a_configuration_is_named() {
    let field = |config| Client::new(config).unwrap_err().field.into_owned();
    let of = |endpoint: &str| ClientConfig {
        endpoints: vec!["a:1".into(), endpoint.into()],
        ..ClientConfig::default()
    };
    for good in ["b:1", "http://b:1/", "[::1]:1", "10.0.0.1:65535", "node-1.example.com:1"] {
        assert!(Client::new(of(good)).is_ok(), "{good}");
    }
    for bad in ["", "b", "b:", ":1", "b:0", "b:65536", "https://b:1", "::1:1", "b c:1", "b/x:1"] {
        assert_eq!(field(of(bad)), "endpoints[1]", "{bad}");
    }
    assert_eq!(field(ClientConfig::default()), "endpoints");
    assert_eq!(field(ClientConfig { holder: "a\nb".into(), ..of("b:1") }), "holder");
    let long = Duration::from_secs(3_601);
    assert_eq!(field(ClientConfig { request_timeout: long, ..of("b:1") }), "request_timeout");
    assert_eq!(field(ClientConfig { connect_timeout: long, ..of("b:1") }), "connect_timeout");
}
