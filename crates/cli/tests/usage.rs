//! What can be known of the command line without a cluster: help, usage, configs, completions.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::process::{Command, Output, Stdio};

const VERBS: [&str; 15] = [
    "acquire",
    "renew",
    "release",
    "get",
    "list",
    "watch",
    "lock",
    "data",
    "status",
    "dev",
    "demo",
    "bench",
    "server",
    "store",
    "completions",
];

fn leasehold(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .args(arguments)
        .env_remove("LEASEHOLD_ENDPOINTS")
        .env_remove("LEASEHOLD_STORE")
        .env_remove("LEASEHOLD_TOKEN")
        .env_remove("LEASEHOLD_RESOURCE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_names_every_verb_and_every_exit_code() {
    let output = leasehold(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), Some(0));
    for word in VERBS.iter().chain(&["69", "73", "75", "76", "78"]) {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
    for hidden in ["watchdog", "gate", "actor", "stop-with-stdin"] {
        assert!(!help.contains(hidden), "{hidden} is nobody's business");
    }
}

#[test]
fn every_verb_explains_itself_with_an_example() {
    for verb in VERBS {
        let output = leasehold(&[verb, "--help"]);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(code(&output), Some(0), "{verb}");
        assert!(
            help.contains("Examples:") && help.contains(&format!("leasehold {verb}")),
            "{help}"
        );
    }
}

#[test]
fn bad_usage_exits_2_and_says_what_is_missing() {
    let table: [(&[&str], &str); 27] = [
        (&[], "Usage"),
        (&["no-such-verb"], "no-such-verb"),
        (&["acquire"], "<NAME>"),
        (&["acquire", "r", "--ttl", "soon"], "30s"),
        (&["renew", "r"], "--token"),
        (&["renew", "r", "--token", "zero"], "zero"),
        (&["lock", "r"], "<CMD>"),
        (&["acquire", "r"], "LEASEHOLD_ENDPOINTS"),
        (&["data", "get", "r", "k"], "LEASEHOLD_STORE"),
        (&["--store", "127.0.0.1:9", "data", "put", "r", "k", "v"], "--token"),
        (&["dev", "--nodes", "0"], "1..=9"),
        (&["renew", "r", "--token", "-1"], "--token <TOKEN>"),
        (&["data", "put", "r", "k", "v", "--sequence", "-1"], "--sequence <SEQUENCE>"),
        (&["watch", "--after", "-1"], "--after <REVISION>"),
        (&["acquire", "r", "--ttl", "-5s"], "--ttl <DURATION>"),
        (&["bench"], "<WORKLOAD>"),
        (&["bench", "no-such-workload"], "failover"),
        (&["bench", "pair", "--over", "telepathy"], "unary"),
        (&["bench", "pair", "--clients", "0"], "--clients"),
        (&["bench", "pair", "--rate", "fast"], "--rate"),
        (&["bench", "pair", "--duration", "0s"], "more than 0"),
        (&["bench", "pair", "failover", "--rate", "10"], "failover: has no open loop"),
        (&["bench", "pair", "--resources", "3"], "--resources: pair: 64 clients"),
        (&["bench", "floor", "--data-dir", "/no/such/folder"], "--data-dir /no/such/folder"),
        (&["bench", "floor", "--json", "/no/such/folder/file"], "--json /no/such/folder/file"),
        (&["--endpoints", "127.0.0.1:9", "bench", "failover"], "unset LEASEHOLD_ENDPOINTS"),
        (&["--output", "csv", "status"], "only bench"),
    ];
    for (arguments, named) in table {
        let output = leasehold(arguments);
        assert_eq!(code(&output), Some(2), "{arguments:?}: {output:?}");
        assert!(said(&output).contains(named), "{arguments:?} does not name {named}: {output:?}");
    }
}

#[test]
fn a_value_that_its_field_does_not_allow_exits_2_and_names_the_field() {
    let long = "n".repeat(257);
    let table: [(&[&str], &str); 6] = [
        (&["--endpoints", "127.0.0.1:9", "acquire", ""], "resource"),
        (&["--endpoints", "127.0.0.1:9", "acquire", &long], "resource"),
        (&["--endpoints", "127.0.0.1:9", "acquire", "r", "--ttl", "25h"], "ttl"),
        (&["--endpoints", "127.0.0.1:9", "renew", "r", "--token", "0"], "token"),
        (&["--endpoints", "nowhere", "get", "r"], "endpoints"),
        (&["--endpoints", "nowhere", "bench", "pair"], "endpoints"),
    ];
    for (arguments, field) in table {
        let output = leasehold(arguments);
        assert_eq!(code(&output), Some(2), "{arguments:?}: {output:?}");
        assert!(said(&output).contains(field), "{arguments:?} does not name {field}: {output:?}");
    }
}

#[test]
fn a_cluster_that_is_not_there_exits_69_within_the_timeout() {
    let lock = ["lock", "r", "--", "true"];
    for verb in
        [&["acquire", "r"][..], &["get", "r"], &["status"], &lock, &["bench", "pair", "floor"]]
    {
        let common = ["--endpoints", "127.0.0.1:9", "--timeout", "300ms"];
        let output = leasehold(&[&common, verb].concat());
        assert_eq!(code(&output), Some(69), "{verb:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{verb:?}");
    }
    let output =
        leasehold(&["--store", "127.0.0.1:9", "--timeout", "300ms", "data", "get", "r", "k"]);
    assert_eq!(code(&output), Some(69), "{output:?}");
}

#[test]
fn in_json_a_failure_is_an_object_too() {
    let output = leasehold(&[
        "--output",
        "json",
        "--endpoints",
        "127.0.0.1:9",
        "renew",
        "r",
        "--token",
        "0",
    ]);
    let object: serde_json::Value = serde_json::from_str(said(&output).trim()).unwrap();
    assert_eq!((object["exit"].as_i64(), object["reason"].as_str()), (Some(2), Some("BAD_FIELD")));
}

#[test]
fn a_good_config_is_good_and_binds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = format!(
        "cluster_id = \"t\"\nnode_id = 1\ndata_dir = \"{0}\"\nclient_listen = \"127.0.0.1:1\"\n\
         peer_listen = \"127.0.0.1:2\"\n[[members]]\nnode_id = 1\nclient_address = \"127.0.0.1:1\"\n\
         peer_address = \"127.0.0.1:2\"\n",
        data.display()
    );
    let store = format!("data_dir = \"{}\"\nlisten = \"127.0.0.1:1\"\n", data.display());
    for (verb, text) in [("server", server), ("store", store)] {
        let config = folder.path().join(format!("{verb}.toml"));
        std::fs::write(&config, text).unwrap();
        // Port 1 could not be bound by a test.
        let output = leasehold(&[verb, "--config", config.to_str().unwrap(), "--check"]);
        assert_eq!(code(&output), Some(0), "{output:?}");
        assert!(!data.exists(), "{verb} only looked");
    }
}

#[test]
fn a_bad_config_exits_78_and_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bad.toml");
    for verb in ["server", "store"] {
        for text in ["no_such_key = 1\n", "runtime_threads = 0\n", "[log]\nfilter = 7\n"] {
            std::fs::write(&config, text).unwrap();
            for check in [&["--check"][..], &[]] {
                let arguments = [&[verb, "--config", config.to_str().unwrap()], check].concat();
                let output = leasehold(&arguments);
                assert_eq!(code(&output), Some(78), "{verb} {text}: {output:?}");
            }
        }
        std::fs::write(&config, "no_such_key = 1\n").unwrap();
        let output = leasehold(&[verb, "--config", config.to_str().unwrap()]);
        assert!(said(&output).contains("no_such_key"), "{output:?}");
        assert!(said(&output).contains(config.to_str().unwrap()), "{output:?}");
        let output = leasehold(&[verb, "--config", "/no/such/file.toml"]);
        assert_eq!(code(&output), Some(78), "{output:?}");
        assert!(said(&output).contains("/no/such/file.toml"), "{output:?}");
    }
}

/// A node's config, on ports that no test can bind or on those given.
fn server_config(data_dir: &str, ports: [u16; 2]) -> String {
    let [client, peer] = ports;
    format!(
        "cluster_id = \"t\"\nnode_id = 1\ndata_dir = {data_dir:?}\n\
         client_listen = \"127.0.0.1:{client}\"\npeer_listen = \"127.0.0.1:{peer}\"\n\
         members = [{{ node_id = 1, client_address = \"a:1\", peer_address = \"a:2\" }}]\n"
    )
}

#[test]
fn a_node_that_cannot_start_exits_1_and_says_every_cause() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("node.toml");
    let run = |data_dir: &str, ports: [u16; 2]| {
        std::fs::write(&config, server_config(data_dir, ports)).unwrap();
        let output = leasehold(&["server", "--config", config.to_str().unwrap()]);
        assert_eq!(code(&output), Some(1), "{output:?}");
        said(&output)
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let complaint = run(folder.path().to_str().unwrap(), [port, 1]);
    assert!(complaint.contains("client_listen") && complaint.contains("in use"), "{complaint}");

    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("identity"), "not an identity").unwrap();
    let complaint = run(data.to_str().unwrap(), [free(), free()]);
    for word in
        [data.to_str().unwrap(), "identity is damaged", "a new id and an empty data directory"]
    {
        assert!(complaint.contains(word), "{word}: {complaint}");
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = leasehold(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(code(&output), Some(0), "{shell}");
        assert!(script.contains("leasehold") && script.contains("acquire"), "{shell}");
    }
}
