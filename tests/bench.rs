//! `leasehold bench` against real clusters: every workload, both ways, for a moment. What is looked at
//! are counts and forms, never times. Without a warm-up, so that the first operation of each client counts
//! however long it takes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::process::{Command, Output, Stdio};

use harness::{Cluster, binary};

/// Of a run with JSON lines: workload, over, measure, outcome and count of each row.
fn rows(output: &Output) -> Vec<(String, String, String, String, u64)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or("").to_owned();
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["kind"], "measure", "{line}");
        let latency = &row["latency_us"];
        let order = ["p50", "p90", "p99", "p999", "max"].map(|key| latency[key].as_f64());
        assert!(order.is_sorted(), "percentiles rise: {line}");
        let word = |key| word(&row, key);
        let count = row["count"].as_u64().unwrap();
        (word("workload"), word("over"), word("measure"), word("outcome"), count)
    };
    text.lines().map(row).collect()
}

fn count(rows: &[(String, String, String, String, u64)], key: [&str; 4]) -> u64 {
    let found = rows.iter().filter(|(workload, over, measure, outcome, _)| {
        [workload, over, measure, outcome].into_iter().eq(key.iter())
    });
    found.map(|(.., count)| count).sum()
}

#[tokio::test]
async fn every_workload_that_a_given_cluster_can_bear_counts_what_it_did() {
    let cluster = Cluster::start(3).await;
    let file = cluster.directory().join("figures.json");
    let mut arguments = vec!["--output", "json", "bench", "--floor", "--over", "session,unary"];
    arguments.extend(["--clients", "4", "--resources", "8", "--ttl", "2s", "--connections", "2"]);
    arguments.extend(["--duration", "500ms", "--warmup", "0s", "--json", file.to_str().unwrap()]);
    arguments.extend(["pair", "renew", "hold", "expire", "watch", "store"]);
    let output = cluster.cli(&arguments).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let rows = rows(&output);
    assert!(count(&rows, ["floor", "", "commit", "ok"]) > 0, "{rows:?}");
    for over in ["session", "unary"] {
        for (workload, measure) in
            [("pair", "pair"), ("renew", "renew"), ("watch", "event"), ("store", "write")]
        {
            assert!(count(&rows, [workload, over, measure, "ok"]) > 0, "{workload}: {rows:?}");
        }
        assert_eq!(count(&rows, ["hold", over, "acquire", "ok"]), 8, "{rows:?}");
        assert_eq!(count(&rows, ["hold", over, "lease", "ok"]), 8, "none was lost: {rows:?}");
        assert_eq!(count(&rows, ["expire", over, "late", "ok"]), 8, "all ended: {rows:?}");
        assert!(count(&rows, ["expire", over, "acquire_before", "ok"]) > 0, "{rows:?}");
    }
    let bad: Vec<_> = rows.iter().filter(|(.., outcome, _)| outcome != "ok").collect();
    assert!(bad.is_empty(), "nobody refused anything: {bad:?}");

    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 13, "the floor, and six both ways");
    assert!(document["floor_us"].as_f64().unwrap() > 0.0);
    let write = &document["runs"][12]["rows"][0];
    let times =
        write["latency_us"]["p50"].as_f64().unwrap() / document["floor_us"].as_f64().unwrap();
    assert!((write["floors"]["p50"].as_f64().unwrap() - times).abs() < 1e-6, "{write}");
}

#[tokio::test]
async fn its_own_cluster_hands_over_and_fails_over_and_is_gone_afterwards() {
    let disk = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command
        .args(["--output", "json", "bench", "handover", "queue", "failover", "--kills", "1"])
        .args(["--over", "session,unary", "--clients", "4", "--connections", "2"])
        .args(["--duration", "1s", "--warmup", "0s", "--data-dir"])
        .arg(disk.path())
        .env_remove("LEASEHOLD_ENDPOINTS")
        .env_remove("LEASEHOLD_STORE")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let rows = rows(&output);
    for over in ["session", "unary"] {
        for workload in ["handover", "queue"] {
            let handovers = count(&rows, [workload, over, "handover", "ok"]);
            assert!(handovers > 0, "{workload}: {rows:?}");
            assert!(handovers <= count(&rows, [workload, over, "wait", "ok"]) + 4, "{rows:?}");
        }
        assert_eq!(count(&rows, ["failover", over, "grant", "ok"]), 1, "{rows:?}");
        assert_eq!(count(&rows, ["failover", over, "lease", "ok"]), 10, "{rows:?}");
        assert_eq!(count(&rows, ["failover", over, "lease", "lost"]), 0, "{rows:?}");
    }
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "nothing is left behind");
}
