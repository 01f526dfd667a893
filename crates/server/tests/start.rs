//! What keeps a node from starting, and what it says.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use leasehold_disk::MachineDisk;
use leasehold_server::{Config, Listeners, ServeError, serve, serve_on};
use tokio::net::TcpListener;

async fn bound() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// Two ports that are bound, and a config that names them.
async fn node(cluster_id: &str, data_dir: &Path) -> (Config, (TcpListener, TcpListener)) {
    let ((client, client_port), (peer, peer_port)) = (bound().await, bound().await);
    let text = format!(
        r#"
        cluster_id = {cluster_id:?}
        node_id = 1
        data_dir = {data_dir:?}
        client_listen = "127.0.0.1:{client_port}"
        peer_listen = "127.0.0.1:{peer_port}"
        members = [{{ node_id = 1, client_address = "a:1", peer_address = "a:2" }}]
        timing = {{ heartbeat = "30ms", election_min = "90ms", election_max = "150ms" }}
        "#
    );
    (Config::parse(&text).expect("a good config"), (client, peer))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("in time")
}

/// The disk, once the last task of the node that had it is gone; a process would be gone by now.
async fn let_go(data_dir: &Path) -> MachineDisk {
    let look = async {
        loop {
            match MachineDisk::open(data_dir) {
                Ok(disk) => return disk,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    within(look).await
}

fn story(error: &ServeError) -> String {
    let mut story = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        story += &format!(": {inner}");
        source = inner.source();
    }
    story
}

#[tokio::test]
async fn a_port_in_use_is_named_by_its_key_before_the_disk_is_touched() {
    let directory = tempfile::tempdir().expect("a directory");
    let data_dir = directory.path().join("data");
    for key in ["client_listen", "peer_listen"] {
        let (config, (client, peer)) = node("test", &data_dir).await;
        let (in_use, free) = match key {
            "client_listen" => (client, peer),
            _ => (peer, client),
        };
        drop(free);
        let error = within(serve(config, async {})).await.expect_err("in use");
        assert!(matches!(error, ServeError::Bind { key: named, .. } if named == key), "{error:?}");
        assert!(!data_dir.exists());
        drop(in_use);
    }
}

#[tokio::test]
async fn a_data_directory_is_private_and_of_one_cluster_and_one_process() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let data_dir = directory.path().join("data");
    let (config, listeners) = node("one", &data_dir).await;
    within(serve_on(config, Listeners::tcp(listeners.0, listeners.1), async {}))
        .await
        .expect("an orderly end");
    let mode = std::fs::metadata(&data_dir).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    drop(let_go(&data_dir).await);
    let (config, listeners) = node("two", &data_dir).await;
    let error = within(serve_on(config, Listeners::tcp(listeners.0, listeners.1), async {}))
        .await
        .expect_err("another cluster's");
    let story = story(&error);
    assert!(story.contains("\"one\"") && story.contains("\"two\""), "{story}");

    let _locked = let_go(&data_dir).await;
    let (config, listeners) = node("one", &data_dir).await;
    let error = within(serve_on(config, Listeners::tcp(listeners.0, listeners.1), async {}))
        .await
        .expect_err("in use");
    assert!(error.to_string().contains("in use by another process"), "{error}");
}
