//! Every verb of the command against a running cluster: what it prints, and its exit status.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use harness::{Cluster, binary, text, wait_for};

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

fn json(output: &Output) -> serde_json::Value {
    let text = text(output);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn every_verb_prints_what_a_script_wants_and_exits_as_documented() {
    let cluster = Cluster::start(3).await;
    let run = async |arguments: &[&str]| cluster.cli(arguments).await;

    let acquired = run(&["acquire", "jobs/nightly", "--ttl", "60s"]).await;
    assert_eq!(code(&acquired), 0, "{acquired:?}");
    let token = text(&acquired);
    assert!(token.parse::<u64>().is_ok_and(|token| token > 0), "the token alone: {token:?}");

    let held = run(&["acquire", "jobs/nightly", "--ttl", "60s"]).await;
    assert_eq!(code(&held), 75, "not acquired in time: {held:?}");
    assert!(text(&held).is_empty() && !held.stderr.is_empty(), "why goes to stderr: {held:?}");
    assert_eq!(code(&run(&["acquire", "jobs/nightly", "--wait", "300ms"]).await), 75);

    assert_eq!(code(&run(&["renew", "jobs/nightly", "--token", &token]).await), 0);
    let got = run(&["--output", "json", "get", "jobs/nightly"]).await;
    assert_eq!((code(&got), json(&got)["token"].to_string()), (0, token.clone()), "{got:?}");
    let listed = run(&["list", "jobs/"]).await;
    assert_eq!(code(&listed), 0);
    assert!(text(&listed).contains("jobs/nightly"));
    assert!(!text(&run(&["list", "elsewhere/"]).await).contains("jobs/nightly"));

    assert_eq!(code(&run(&["release", "jobs/nightly", "--token", &token]).await), 0);
    assert_eq!(
        code(&run(&["renew", "jobs/nightly", "--token", &token]).await),
        76,
        "the lease is lost"
    );
    let next = text(&run(&["acquire", "jobs/nightly"]).await);
    assert!(next.parse::<u64>().unwrap() > token.parse::<u64>().unwrap());

    let status = run(&["status"]).await;
    assert_eq!(code(&status), 0, "{status:?}");
    assert!(text(&status).contains("leader"), "{status:?}");
    assert_eq!(code(&run(&["--output", "json", "status"]).await), 0);
    let completions = run(&["completions", "bash"]).await;
    assert!(code(&completions) == 0 && text(&completions).contains("leasehold"));
}

#[tokio::test]
async fn the_data_verbs_are_fenced() {
    let cluster = Cluster::start(1).await;
    let run = async |arguments: &[&str]| cluster.cli(arguments).await;
    let put = async |token: &str, value: &str| {
        run(&["data", "put", "r", "k", value, "--token", token]).await
    };
    assert_eq!(code(&put("2", "new").await), 0);
    let stale = put("1", "stale").await;
    assert_eq!(code(&stale), 73, "a stale write: {stale:?}");
    assert!(!stale.stderr.is_empty());
    assert_eq!(text(&run(&["data", "get", "r", "k"]).await), "new", "it changed nothing");
    assert!(text(&run(&["data", "list", "r"]).await).contains('k'));
    assert_eq!(code(&run(&["data", "fence", "r", "--token", "5"]).await), 0);
    assert_eq!(code(&put("4", "stale").await), 73, "fenced off");
    assert_eq!(code(&run(&["data", "delete", "r", "k", "--token", "4"]).await), 73);
    assert_eq!(code(&run(&["data", "delete", "r", "k", "--token", "5"]).await), 0);
    assert_ne!(code(&run(&["data", "get", "r", "k"]).await), 0, "there is nothing to print");
}

#[tokio::test]
async fn watch_prints_events_as_they_come() {
    let cluster = Cluster::start(1).await;
    let mut watch = cluster
        .command(&["--output", "json", "watch", "seen/"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(watch.stdout.take().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    // Until the watch has started it sees nothing, so events are made until one is seen.
    let mut at = 0;
    let line = loop {
        at += 1;
        let acquired = cluster.cli(&["acquire", &format!("seen/{at}"), "--ttl", "60s"]).await;
        assert_eq!(code(&acquired), 0);
        if let Ok(line) = receiver.recv_timeout(std::time::Duration::from_millis(200)) {
            break line;
        }
        assert!(at < 200, "the watch saw nothing");
    };
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(event["resource"].as_str().unwrap().starts_with("seen/"), "{event}");
    assert!(event["revision"].as_u64().unwrap() > 0, "{event}");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[tokio::test]
async fn bad_usage_exits_2_and_a_missing_cluster_69() {
    let run =
        |arguments: &[&str]| std::process::Command::new(binary()).args(arguments).output().unwrap();
    for arguments in [
        &["acquire"][..],
        &["no-such-verb"],
        &["renew", "r", "--token", "zero"],
        &["acquire", "r", "--ttl", "soon"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {output:?}");
    }
    let nobody = run(&["--endpoints", "127.0.0.1:9", "acquire", "r", "--timeout", "1s"]);
    assert_eq!(code(&nobody), 69, "{nobody:?}");
}

#[tokio::test]
async fn a_bad_config_exits_78_and_names_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bad.toml");
    for verb in ["server", "store"] {
        std::fs::write(&config, "no_such_key = 1\n").unwrap();
        let output = std::process::Command::new(binary())
            .args([verb, "--check", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        assert_eq!(code(&output), 78, "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no_such_key"), "{output:?}");
    }
}

#[tokio::test]
async fn dev_runs_a_command_against_a_cluster_and_exits_with_its_status() {
    let run = |script: &str| {
        std::process::Command::new(binary())
            .args(["dev", "--", "sh", "-c", script])
            .env("LEASEHOLD", binary())
            .output()
            .unwrap()
    };
    let output = run("\"$LEASEHOLD\" acquire from/dev && exit 7");
    assert_eq!(code(&output), 7, "{output:?}");
    assert!(
        text(&output).lines().last().is_some_and(|line| line.parse::<u64>().is_ok()),
        "{output:?}"
    );
    let two = run(
        "first=$(\"$LEASEHOLD\" acquire a) && second=$(\"$LEASEHOLD\" acquire b) && test \"$second\" -gt \"$first\" && \
         \"$LEASEHOLD\" data put a k v2 --token $second && \"$LEASEHOLD\" data put a k v1 --token $first; \
         test $? -eq 73 && test \"$(\"$LEASEHOLD\" data get a k)\" = v2",
    );
    assert_eq!(code(&two), 0, "{two:?}");
}

#[tokio::test]
async fn tokens_grow_over_full_restarts_of_a_dev_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut last = 0;
    for _ in 0..3 {
        let output = std::process::Command::new(binary())
            .args(["dev", "--data-dir"])
            .arg(&data)
            .args(["--", "sh", "-c", "exec \"$LEASEHOLD\" acquire r --ttl 1s --wait 30s"])
            .env("LEASEHOLD", binary())
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        let printed = text(&output);
        let token: u64 = printed
            .lines()
            .last()
            .and_then(|line| line.parse().ok())
            .unwrap_or_else(|| panic!("{output:?}"));
        assert!(token > last, "{token} after {last}");
        last = token;
    }
}

#[tokio::test]
async fn dev_without_a_command_leaves_nothing_behind_when_it_is_killed() {
    let mut dev = std::process::Command::new(binary())
        .arg("dev")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut printed = harness::lines(&mut dev);
    let line =
        printed.find(|line| line.contains("LEASEHOLD_ENDPOINTS=")).expect("says what to type next");
    let endpoints = line.split_once("LEASEHOLD_ENDPOINTS=").unwrap().1;
    let endpoints = endpoints.trim_matches(|c| c == '"' || c == '\'').to_owned();
    let ports: Vec<&str> = endpoints.split(',').collect();
    assert_eq!(ports.len(), 3);
    dev.kill().unwrap();
    dev.wait().unwrap();
    for address in ports {
        wait_for("the nodes to end with their parent", || {
            std::net::TcpStream::connect(address).is_err().then_some(())
        });
    }
}
