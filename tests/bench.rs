//! `leasehold bench` against real clusters: every workload, both ways, for a moment. What is looked at
//! are counts and forms, never times. A machine that is busy otherwise may do nothing in a moment, so a run
//! in which too little happened is made again, four times as long.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::process::{Command, Output, Stdio};

use harness::{Cluster, binary};

/// Workload, over, measure, outcome and count.
type Row = (String, String, String, String, u64);

/// Of a run with JSON lines.
fn rows(output: &Output) -> Vec<Row> {
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

/// Runs it for half a second, two, eight and half a minute, until what it did is enough.
async fn until_enough<T>(
    mut run: impl AsyncFnMut(&str) -> Output,
    enough: impl Fn(&[Row]) -> Result<T, String>,
) -> T {
    let mut why = String::new();
    for duration in ["500ms", "2s", "8s", "30s"] {
        let output = run(duration).await;
        let rows = rows(&output);
        match (output.status.code(), enough(&rows)) {
            (Some(0), Ok(enough)) => return enough,
            (code, judged) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                why = format!("{code:?}, {:?}: {rows:?}\n{said}", judged.err());
            }
        }
    }
    panic!("{why}");
}

/// Whether a count is what it should be.
fn demand(is_so: bool, what: impl std::fmt::Display) -> Result<(), String> {
    is_so.then_some(()).ok_or_else(|| what.to_string())
}

fn count(rows: &[Row], key: [&str; 4]) -> u64 {
    let found = rows.iter().filter(|(workload, over, measure, outcome, _)| {
        [workload, over, measure, outcome].into_iter().eq(key.iter())
    });
    found.map(|(.., count)| count).sum()
}

#[tokio::test]
async fn every_workload_that_a_given_cluster_can_bear_counts_what_it_did() {
    let cluster = Cluster::start(3).await;
    let file = cluster.directory().join("figures.json");
    let run = async |duration: &str| {
        let mut arguments = vec!["--output", "json", "bench", "--floor", "--over", "session,unary"];
        arguments.extend(["--clients", "4", "--resources", "8", "--ttl", "2s"]);
        arguments.extend(["--connections", "2", "--duration", duration, "--warmup", "0s"]);
        arguments.extend(["--json", file.to_str().unwrap()]);
        arguments.extend(["pair", "renew", "hold", "expire", "watch", "store"]);
        cluster.cli(&arguments).await
    };
    until_enough(run, |rows| {
        demand(count(rows, ["floor", "", "commit", "ok"]) > 0, "floor")?;
        for over in ["session", "unary"] {
            let measures =
                [("pair", "pair"), ("renew", "renew"), ("watch", "event"), ("store", "write")];
            for (workload, measure) in measures {
                demand(count(rows, [workload, over, measure, "ok"]) > 0, workload)?;
            }
            demand(count(rows, ["hold", over, "acquire", "ok"]) == 8, "hold: acquire")?;
            demand(count(rows, ["hold", over, "lease", "ok"]) == 8, "none was lost")?;
            demand(count(rows, ["expire", over, "late", "ok"]) == 8, "all ended")?;
            demand(count(rows, ["expire", over, "acquire_before", "ok"]) > 0, "beside it")?;
        }
        let refused = rows.iter().any(|(.., outcome, _)| outcome != "ok");
        demand(!refused, "nobody refuses anything")
    })
    .await;

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
    let run = async |duration: &str| {
        let mut command = Command::new(binary());
        command
            .args(["--output", "json", "bench", "handover", "queue", "failover", "--kills", "1"])
            .args(["--over", "session,unary", "--clients", "4", "--connections", "2"])
            .args(["--duration", duration, "--warmup", "0s", "--data-dir"])
            .arg(disk.path())
            .env_remove("LEASEHOLD_ENDPOINTS")
            .env_remove("LEASEHOLD_STORE")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let left = std::fs::read_dir(disk.path()).unwrap().count();
        assert_eq!(left, 0, "nothing is left behind: {output:?}");
        output
    };
    until_enough(run, |rows| {
        for over in ["session", "unary"] {
            for workload in ["handover", "queue"] {
                let handovers = count(rows, [workload, over, "handover", "ok"]);
                let waits = count(rows, [workload, over, "wait", "ok"]);
                demand(handovers > 0 && handovers <= waits + 4, workload)?;
            }
            demand(count(rows, ["failover", over, "grant", "ok"]) == 1, "one grant for a kill")?;
            demand(count(rows, ["failover", over, "lease", "ok"]) == 10, "ten leases live on")?;
            demand(count(rows, ["failover", over, "lease", "lost"]) == 0, "none was lost")?;
        }
        Ok(())
    })
    .await;
}
