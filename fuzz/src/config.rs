//! Config files of the lease server and of the store. What is accepted is within every bound, and says
//! the same when every one of its keys is written down and read again; what is refused is refused with
//! a reason.

use std::time::Duration;

use leasehold_server::Config;
use leasehold_store::Config as StoreConfig;
use leasehold_store::fuzz::parse_config;

/// The first byte says whose file the text is.
pub fn check(bytes: &[u8]) {
    let Some((whose, text)) = bytes.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    match whose % 2 {
        0 => server(text),
        _ => store(text),
    }
}

fn server(text: &str) {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    within_bounds(&config);
    let again = Config::parse(&spelled_out(&config)).expect("what was accepted is accepted again");
    assert_eq!(again, config);
}

fn within_bounds(config: &Config) {
    assert!(config.members.contains_key(&config.node_id) && config.node_id > 0);
    assert!((1..=9).contains(&config.members.len()));
    assert!((1..=256).contains(&config.cluster_id.len()));
    assert!(config.client_listen != config.peer_listen && config.client_listen.port() > 0);
    assert!((1..=64).contains(&config.runtime_threads));
    let timing = &config.timing;
    assert!(
        timing.heartbeat * 3 <= timing.election_min && timing.election_min < timing.election_max
    );
    assert!(timing.election_max <= Duration::from_secs(60) && !timing.heartbeat.is_zero());
    assert!(config.cluster.check().is_ok());
    assert!(config.snapshots.keep <= config.snapshots.entries);
    assert!(config.limits.queue_bytes_max >= config.limits.batch_bytes_max);
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn lasting(duration: Duration) -> String {
    quoted(&humantime::format_duration(duration).to_string())
}

fn lasting_ms(ms: u64) -> String {
    lasting(Duration::from_millis(ms))
}

/// Every key.
fn spelled_out(config: &Config) -> String {
    let Config {
        cluster_id,
        node_id,
        data_dir,
        members,
        timing,
        limits,
        snapshots,
        cluster,
        log,
        ..
    } = config;
    let mut text = format!(
        "cluster_id = {}\nnode_id = {node_id}\ndata_dir = {}\nclient_listen = \"{}\"\n\
         peer_listen = \"{}\"\nruntime_threads = {}\n",
        quoted(cluster_id),
        quoted(&data_dir.display().to_string()),
        config.client_listen,
        config.peer_listen,
        config.runtime_threads,
    );
    text += &format!(
        "[timing]\nheartbeat = {}\nelection_min = {}\nelection_max = {}\ndrain = {}\n\
         client_keepalive = {}\nclient_keepalive_timeout = {}\nwatch_progress = {}\n",
        lasting(timing.heartbeat),
        lasting(timing.election_min),
        lasting(timing.election_max),
        lasting(timing.drain),
        lasting(timing.client_keepalive),
        lasting(timing.client_keepalive_timeout),
        lasting(timing.watch_progress),
    );
    text += "[limits]\n";
    for (key, value) in [
        ("connections_max", limits.connections_max),
        ("streams_per_connection_max", limits.streams_per_connection_max as usize),
        ("message_bytes_max", limits.message_bytes_max),
        ("waiting_calls_max", limits.waiting_calls_max),
        ("sessions_max", limits.sessions_max),
        ("session_attempts_max", limits.session_attempts_max),
        ("session_renewals_max", limits.session_renewals_max),
        ("session_reply_bytes_max", limits.session_reply_bytes_max),
        ("watches_max", limits.watches_max),
        ("events_retained_max", limits.events_retained_max),
        ("batch_commands_max", limits.batch_commands_max),
        ("batch_bytes_max", limits.batch_bytes_max),
        ("batches_in_flight_max", limits.batches_in_flight_max),
        ("queue_commands_max", limits.queue_commands_max),
        ("queue_bytes_max", limits.queue_bytes_max),
    ] {
        text += &format!("{key} = {value}\n");
    }
    text += &format!(
        "[snapshots]\nentries = {}\nbytes = {}\nkeep = {}\n",
        snapshots.entries, snapshots.bytes, snapshots.keep
    );
    text += &format!(
        "[cluster]\nclaims_max = {}\nwaiters_per_resource_max = {}\nttl_min = {}\nttl_max = {}\n\
         ended_memory = {}\nended_memory_max = {}\nstamp_interval = {}\n\
         ends_per_entry = {}\n",
        cluster.claims_max,
        cluster.waiters_per_resource_max,
        lasting(cluster.ttl_min.as_duration()),
        lasting(cluster.ttl_max.as_duration()),
        lasting_ms(cluster.ended_memory_ms),
        cluster.ended_memory_max,
        lasting_ms(cluster.stamp_interval_ms),
        cluster.ends_per_entry,
    );
    let format = format!("{:?}", log.format).to_lowercase();
    text += &format!("[log]\nformat = \"{format}\"\nfilter = {}\n", quoted(&log.filter));
    for member in members.values() {
        text += &format!(
            "[[members]]\nnode_id = {}\nclient_address = {}\npeer_address = {}\n",
            member.node_id,
            quoted(&member.client_address),
            quoted(&member.peer_address),
        );
    }
    text
}

fn store(text: &str) {
    let config = match parse_config(text) {
        Ok(config) => config,
        Err(error) => return assert!(error.starts_with("store.toml"), "{error}"),
    };
    assert!(!config.data_dir.as_os_str().is_empty());
    assert!((1..=1_000_000_000).contains(&config.resources_max));
    assert!((1..=65_536).contains(&config.queue_max));
    assert!((1..=256).contains(&config.runtime_threads));
    let again = parse_config(&store_spelled_out(&config));
    assert_eq!(again, Ok(config));
}

fn store_spelled_out(config: &StoreConfig) -> String {
    format!(
        "data_dir = {}\nlisten = \"{}\"\nfloor = {}\ncluster_id = {}\nresources_max = {}\n\
         queue_max = {}\nverify_on_open = {}\nruntime_threads = {}\n\
         [log]\nformat = \"{}\"\nfilter = {}\n",
        quoted(&config.data_dir.display().to_string()),
        config.listen,
        config.floor.get(),
        quoted(config.cluster_id.as_deref().unwrap_or_default()),
        config.resources_max,
        config.queue_max,
        config.verify_on_open,
        config.runtime_threads,
        format!("{:?}", config.log.format).to_lowercase(),
        quoted(&config.log.filter),
    )
}
