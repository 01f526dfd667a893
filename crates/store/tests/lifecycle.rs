//! How a store starts and stops, and what it shows to those who watch over it.

mod support;

use leasehold_api::pb::store::v1 as pb;
use leasehold_store::{Config, ServeError, Server};
use support::*;
use tokio_stream::StreamExt;
use tonic::transport::Channel;

#[tokio::test]
async fn a_store_remembers_everything_over_a_restart() {
    let dir = temporary();
    let mut store = start(config(&dir)).await;
    let request = write("r", 7, 1, [append("log", "once")]);
    let first = store.client.write(request.clone()).await.expect("accepted").into_inner();
    store.stop().await.expect("stops");
    let mut store = start(config(&dir)).await;
    let again = store.client.write(request).await.expect("is remembered").into_inner();
    assert_eq!(again, first);
    let log = store.client.get(get("r", "log")).await.expect("answers").into_inner().entry;
    assert_eq!(log.map(|entry| entry.value), Some("once".into()));
    let status = store.client.status(pb::StatusRequest {}).await.expect("answers").into_inner();
    let expected = pb::StatusResponse {
        version: env!("CARGO_PKG_VERSION").into(),
        revision: 1,
        resources: 1,
        keys: 1,
        highest_token: 7,
        ..pb::StatusResponse::default()
    };
    assert_eq!(status, expected);
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn a_port_or_a_directory_in_use_is_said_and_the_directory_let_go() {
    let (dir, other) = (temporary(), temporary());
    let store = start(config(&dir)).await;
    let same_directory = Server::bind(config(&dir)).await.expect_err("is in use");
    assert!(matches!(same_directory, ServeError::Open(_)), "{same_directory}");
    let listen = store.address.trim_start_matches("http://").parse().expect("an address");
    let same_port = Server::bind(Config { listen, ..config(&other) }).await;
    let same_port = same_port.expect_err("is in use");
    assert!(same_port.to_string().starts_with("listen: 127.0.0.1:"), "{same_port}");
    start(config(&other)).await.stop().await.expect("its directory is free");
    store.stop().await.expect("stops");
}

#[tokio::test]
async fn a_configuration_that_contradicts_the_directory_is_a_bad_configuration() {
    let dir = temporary();
    let with = |id: &str| Config { cluster_id: Some(id.to_owned()), ..config(&dir) };
    start(with("home")).await.stop().await.expect("stops");
    let error = Server::bind(with("away")).await.expect_err("contradicts the directory");
    assert!(error.is_bad_config() && error.to_string().contains("cluster_id"), "{error}");
}

#[tokio::test]
async fn health_and_reflection_are_on() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let dir = temporary();
    let store = start(config(&dir)).await;
    let endpoint = Channel::from_shared(store.address.clone()).expect("an address");
    let channel = endpoint.connect().await.expect("connects");
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "leasehold.store.v1.StoreService"] {
        let ask = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(ask).await.expect("answers").into_inner();
        assert_eq!(answer.status, ServingStatus::Serving as i32, "{service:?}");
    }
    let mut reflection = ServerReflectionClient::new(channel);
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let asked = reflection.server_reflection_info(tokio_stream::once(ask)).await;
    let answer =
        asked.expect("opens").into_inner().next().await.expect("answers").expect("is well");
    let Some(MessageResponse::ListServicesResponse(services)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    assert!(names.iter().any(|name| name == "leasehold.store.v1.StoreService"), "{names:?}");
    drop((health, reflection));
    store.stop().await.expect("stops");
}
