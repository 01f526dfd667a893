//! What a client says whose request goes to the wrong kind of server.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::process::{Command, Stdio};

/// Runs a script with a cluster of one node and a store; `$leasehold` is the program.
fn with_a_cluster(script: &str) -> String {
    let program = env!("CARGO_BIN_EXE_leasehold");
    let output = Command::new(program)
        .args(["dev", "--nodes", "1", "--", "sh", "-c", script])
        .env("leasehold", program)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_store_among_the_endpoints_is_called_a_store() {
    let said = with_a_cluster(
        "\"$leasehold\" --endpoints \"$LEASEHOLD_STORE\" --timeout 1s acquire r --ttl 5s",
    );
    assert!(
        said.contains("is a store, it does not speak leasehold.lease.v1.LeaseService"),
        "{said}"
    );
}

#[test]
fn a_lease_node_as_the_store_is_called_a_lease_node() {
    let said =
        with_a_cluster("\"$leasehold\" --store \"$LEASEHOLD_ENDPOINTS\" --timeout 1s data get r k");
    let expected = "is lease node 1, it does not speak leasehold.store.v1.StoreService";
    assert!(said.contains(expected), "{said}");
}
