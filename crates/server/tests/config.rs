//! The config file: what the example says is what a short file gets, and what is wrong is named.

use std::path::Path;
use std::time::Duration;

use leasehold_server::{Config, ConfigError};

const SHORT: &str = r#"
cluster_id = "example"
node_id = 1
data_dir = "/var/lib/leasehold"
client_listen = "127.0.0.1:7100"
peer_listen = "127.0.0.1:7200"
"#;

const MEMBERS: &str = r#"
[[members]]
node_id = 1
client_address = "127.0.0.1:7100"
peer_address = "127.0.0.1:7200"

[[members]]
node_id = 2
client_address = "127.0.0.1:7101"
peer_address = "127.0.0.1:7201"

[[members]]
node_id = 3
client_address = "127.0.0.1:7102"
peer_address = "127.0.0.1:7202"
"#;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/leasehold.toml");
    std::fs::read_to_string(path).expect("the example is there")
}

/// The example with one line in place of another.
fn with(line: &str, other: &str) -> Result<Config, ConfigError> {
    let example = example();
    assert!(example.contains(line), "the example has no {line:?}");
    Config::parse(&example.replacen(line, other, 1))
}

#[track_caller]
fn refused_field(line: &str, other: &str) -> String {
    match with(line, other).expect_err(other) {
        ConfigError::BadField(bad) => bad.field.into_owned(),
        error => panic!("{other:?} was refused with {error}"),
    }
}

#[test]
fn the_example_spells_out_the_defaults() {
    let example = Config::parse(&example()).expect("the example is a good config");
    let short = Config::parse(&format!("{SHORT}{MEMBERS}")).expect("the short one as well");
    assert_eq!(example, short);
}

#[test]
fn the_example_names_every_key() {
    let example = example();
    let shape = format!("{:#?}", Config::parse(&example).expect("a good config"));
    let spelled_otherwise = ["ended_memory_ms", "stamp_interval_ms"];
    for line in shape.lines() {
        let Some((key, _)) = line.trim().split_once(':') else { continue };
        let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_key && !key.is_empty() && !spelled_otherwise.contains(&key) {
            assert!(
                example.contains(&format!("\n{key} = ")) || example.contains(&format!("[{key}]")),
                "the example lacks {key}"
            );
        }
    }
}

#[test]
fn the_defaults_are_for_a_cluster_of_machines() {
    let config = Config::parse(&format!("{SHORT}{MEMBERS}")).expect("a good config");
    let ms = Duration::from_millis;
    let timing = &config.timing;
    assert_eq!(
        (timing.heartbeat, timing.election_min, timing.election_max),
        (ms(50), ms(150), ms(300))
    );
    assert_eq!(config.cluster.ttl_min.as_ms(), 1_000);
    assert_eq!(config.runtime_threads, 1);
}

#[test]
fn an_unknown_key_is_refused_by_name_in_every_section() {
    for section in
        ["[timing]", "[limits]", "[snapshots]", "[cluster]", "[log]", "[[members]]", "node_id = 1"]
    {
        let error = with(section, &format!("{section}\nhearbeat = 1")).expect_err(section);
        assert!(matches!(error, ConfigError::Form(_)), "{section}");
        assert!(error.to_string().contains("hearbeat"), "{error}");
    }
}

#[test]
fn a_missing_key_is_named() {
    for key in ["cluster_id", "node_id", "data_dir", "client_listen", "peer_listen"] {
        let short: String = SHORT
            .lines()
            .filter(|line| !line.starts_with(key))
            .map(|line| format!("{line}\n"))
            .collect();
        let error = Config::parse(&format!("{short}{MEMBERS}")).expect_err(key);
        assert!(error.to_string().contains(key), "{error}");
    }
    assert!(Config::parse(SHORT).expect_err("no members").to_string().contains("members"));
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_its_line() {
    let cases = [
        ("heartbeat = \"50ms\"", "heartbeat = 100"),
        ("heartbeat = \"50ms\"", "heartbeat = \"a while\""),
        ("drain = \"5s\"", "drain = \"-5s\""),
        ("node_id = 1", "node_id = -1"),
        ("node_id = 1", "node_id = \"one\""),
        ("runtime_threads = 1", "runtime_threads = 1.5"),
        ("format = \"text\"", "format = \"xml\""),
    ];
    for (line, other) in cases {
        let error = with(line, other).expect_err(other).to_string();
        assert!(error.contains(other), "{error}");
    }
}

#[test]
fn a_value_out_of_its_bounds_is_named_by_its_key() {
    let cases = [
        ("cluster_id = \"example\"", "cluster_id = \"\"", "cluster_id"),
        ("cluster_id = \"example\"", "cluster_id = \"a\\u0007\"", "cluster_id"),
        ("node_id = 1", "node_id = 9", "node_id"),
        ("node_id = 1", "node_id = 0", "node_id"),
        ("data_dir = \"/var/lib/leasehold\"", "data_dir = \"\"", "data_dir"),
        ("data_dir = \"/var/lib/leasehold\"", "data_dir = \"/dev/null\"", "data_dir"),
        (
            "client_listen = \"127.0.0.1:7100\"",
            "client_listen = \"127.0.0.1:65536\"",
            "client_listen",
        ),
        ("client_listen = \"127.0.0.1:7100\"", "client_listen = \"here\"", "client_listen"),
        ("peer_listen = \"127.0.0.1:7200\"", "peer_listen = \"127.0.0.1:7100\"", "peer_listen"),
        ("peer_listen = \"127.0.0.1:7200\"", "peer_listen = \"127.0.0.1:0\"", "peer_listen"),
        ("runtime_threads = 1", "runtime_threads = 0", "runtime_threads"),
        ("node_id = 2", "node_id = 1", "members[1].node_id"),
        ("node_id = 2", "node_id = 0", "members[1].node_id"),
        ("\"127.0.0.1:7201\"", "\"127.0.0.1:7200\"", "members[1].peer_address"),
        ("\"127.0.0.1:7101\"", "\"127.0.0.1:99999\"", "members[1].client_address"),
        ("\"127.0.0.1:7101\"", "\"http://a:1\"", "members[1].client_address"),
        ("heartbeat = \"50ms\"", "heartbeat = \"51ms\"", "timing.heartbeat"),
        ("election_min = \"150ms\"", "election_min = \"300ms\"", "timing.election_min"),
        ("election_min = \"150ms\"", "election_min = \"0s\"", "timing.election_min"),
        ("election_max = \"300ms\"", "election_max = \"2min\"", "timing.election_max"),
        ("drain = \"5s\"", "drain = \"1h\"", "timing.drain"),
        ("client_keepalive = \"5s\"", "client_keepalive = \"1ms\"", "timing.client_keepalive"),
        ("watch_progress = \"5s\"", "watch_progress = \"0s\"", "timing.watch_progress"),
        ("connections_max = 10000", "connections_max = 0", "limits.connections_max"),
        ("message_bytes_max = 1048576", "message_bytes_max = 1000", "limits.message_bytes_max"),
        ("batch_bytes_max = 262144", "batch_bytes_max = 99999999", "limits.batch_bytes_max"),
        ("queue_bytes_max = 16777216", "queue_bytes_max = 1000", "limits.queue_bytes_max"),
        ("entries = 10000", "entries = 0", "snapshots.entries"),
        ("entries = 10000", "entries = 999", "snapshots.keep"),
        ("keep = 1000", "keep = 10001", "snapshots.keep"),
        ("ttl_min = \"1s\"", "ttl_min = \"0s\"", "cluster.ttl_min"),
        ("ttl_min = \"1s\"", "ttl_min = \"100us\"", "cluster.ttl_min"),
        ("ttl_min = \"1s\"", "ttl_min = \"25h\"", "cluster.ttl_min"),
        ("ttl_max = \"1day\"", "ttl_max = \"500ms\"", "cluster.ttl_min"),
        ("ttl_max = \"1day\"", "ttl_max = \"2days\"", "cluster.ttl_max"),
        ("ended_memory = \"1m\"", "ended_memory = \"10ms\"", "cluster.ended_memory"),
        ("claims_max = 2000000", "claims_max = 0", "cluster.claims_max"),
        ("stamp_interval = \"250ms\"", "stamp_interval = \"251ms\"", "cluster.stamp_interval"),
        ("stamp_interval = \"250ms\"", "stamp_interval = \"0s\"", "cluster.stamp_interval"),
        ("ends_per_entry = 256", "ends_per_entry = 0", "cluster.ends_per_entry"),
        (
            "filter = \"info,openraft=warn,openraft::core::heartbeat=error\"",
            "filter = \" \"",
            "log.filter",
        ),
        (
            "filter = \"info,openraft=warn,openraft::core::heartbeat=error\"",
            "filter = \"info,=[\"",
            "log.filter",
        ),
    ];
    for (line, other, field) in cases {
        assert_eq!(refused_field(line, other), field, "{other}");
    }
}

#[test]
fn a_complaint_says_what_came_and_what_is_allowed() {
    let error =
        with("stamp_interval = \"250ms\"", "stamp_interval = \"300ms\"").expect_err("too long");
    assert_eq!(error.to_string(), "cluster.stamp_interval: 300 ms is not allowed: 1 to 250 ms");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/leasehold.toml")).expect_err("not there");
    assert!(error.to_string().contains("/nowhere/leasehold.toml"));
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_the_files_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leasehold.toml");
    for text in ["no_such_key = 1".to_owned(), example().replace("keep = 1000", "keep = 10001")] {
        std::fs::write(&file, text).expect("written");
        let error = Config::load(&file).expect_err("not a good config");
        assert_eq!(error.to_string(), file.display().to_string());
        assert!(matches!(error, ConfigError::File { .. }));
    }
}

#[test]
fn the_compose_cluster_has_good_configs() {
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/compose");
    for node in 1..=3 {
        let config =
            Config::load(&compose.join(format!("node-{node}.toml"))).expect("a good config");
        assert_eq!((config.node_id, config.members.len()), (node, 3));
    }
}
