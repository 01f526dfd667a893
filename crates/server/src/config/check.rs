//! Every bound of the config file, and how its values relate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use leasehold_core::Settings;
use leasehold_raft::{Limits, Member, SnapshotPolicy, Timing};
use leasehold_types::{BadField, LeaseTtl};
use tracing_subscriber::EnvFilter;

use super::sections::{Raw, RawCluster, RawMember, RawSnapshots};
use super::{Config, LimitsSection, LogSection, TimingSection, address};

const MEMBERS_MAX: usize = 9;
const CLUSTER_ID_BYTES_MAX: usize = 256;
/// The leader's answer to a forwarded renewal of 5,000 claims with the longest names has 3 MiB.
const PEER_MESSAGE_BYTES_MAX: usize = 16 << 20;

impl TryFrom<Raw> for Config {
    type Error = BadField;

    fn try_from(raw: Raw) -> Result<Self, BadField> {
        let Raw {
            cluster_id,
            node_id,
            data_dir,
            client_listen,
            peer_listen,
            runtime_threads,
            members,
            timing,
            limits,
            snapshots,
            cluster,
            log,
        } = raw;
        let client_listen = address::listen("client_listen", &client_listen)?;
        let peer_listen = address::listen("peer_listen", &peer_listen)?;
        if client_listen == peer_listen {
            let allowed = "an address other than client_listen";
            return Err(BadField::new("peer_listen", peer_listen.to_string(), allowed));
        }
        timing.check()?;
        limits.check()?;
        Ok(Self {
            cluster_id: checked_cluster_id(cluster_id)?,
            members: checked_members(members, node_id)?,
            node_id,
            data_dir: checked_data_dir(data_dir)?,
            client_listen,
            peer_listen,
            runtime_threads: within("runtime_threads", runtime_threads, 1, 64)?,
            timing,
            limits,
            snapshots: checked_snapshots(snapshots)?,
            cluster: checked_cluster(cluster)?,
            log: checked_log(log)?,
        })
    }
}

fn checked_cluster_id(cluster_id: String) -> Result<String, BadField> {
    let good = (1..=CLUSTER_ID_BYTES_MAX).contains(&cluster_id.len())
        && !cluster_id.chars().any(char::is_control);
    match good {
        true => Ok(cluster_id),
        false => Err(BadField::new(
            "cluster_id",
            format!("{} bytes", cluster_id.len()),
            "1 to 256 bytes of UTF-8 without control characters",
        )),
    }
}

fn checked_data_dir(data_dir: PathBuf) -> Result<PathBuf, BadField> {
    let got = format!("{:?}", data_dir.display().to_string());
    if data_dir.as_os_str().is_empty() {
        return Err(BadField::new("data_dir", got, "the path of a directory"));
    }
    if data_dir.exists() && !data_dir.is_dir() {
        return Err(BadField::new("data_dir", got, "a directory, or nothing yet; this is a file"));
    }
    Ok(data_dir)
}

fn checked_members(raw: Vec<RawMember>, own: u64) -> Result<BTreeMap<u64, Member>, BadField> {
    if !(1..=MEMBERS_MAX).contains(&raw.len()) {
        return Err(BadField::new("members", format!("{} members", raw.len()), "1 to 9 members"));
    }
    let mut members = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (at, member) in raw.into_iter().enumerate() {
        let RawMember { node_id, client_address, peer_address } = member;
        let key = |name: &str| format!("members[{at}].{name}");
        if node_id == 0 || members.contains_key(&node_id) {
            let allowed = "1 or more, another for each member";
            return Err(BadField::new(key("node_id"), node_id.to_string(), allowed));
        }
        let client_address = address::reach(key("client_address"), client_address)?;
        let peer_address = address::reach(key("peer_address"), peer_address)?;
        for (name, address) in
            [("client_address", &client_address), ("peer_address", &peer_address)]
        {
            if !taken.insert(address.clone()) {
                let allowed = "an address that no other key of `members` has";
                return Err(BadField::new(key(name), format!("{address:?}"), allowed));
            }
        }
        members.insert(node_id, Member { node_id, client_address, peer_address });
    }
    match members.contains_key(&own) {
        true => Ok(members),
        false => {
            let ids: Vec<String> = members.keys().map(u64::to_string).collect();
            let allowed = format!("the id of one of `members`: {}", ids.join(", "));
            Err(BadField::new("node_id", own.to_string(), allowed))
        }
    }
}

fn checked_snapshots(raw: RawSnapshots) -> Result<SnapshotPolicy, BadField> {
    let RawSnapshots { entries, bytes, keep } = raw;
    let parent = |bad: BadField| bad.inside("snapshots");
    Ok(SnapshotPolicy {
        entries: within("entries", entries, 1, 1_000_000_000).map_err(parent)?,
        bytes: within("bytes", bytes, 1 << 16, 1 << 40).map_err(parent)?,
        keep: within("keep", keep, 0, entries).map_err(parent)?,
    })
}

fn checked_cluster(raw: RawCluster) -> Result<Settings, BadField> {
    let RawCluster {
        claims_max,
        waiters_per_resource_max,
        ttl_min,
        ttl_max,
        ended_memory,
        ended_memory_max,
        stamp_interval,
        ends_per_entry,
    } = raw;
    let ttl = |field, duration| {
        let ms = whole_ms(field, duration)?;
        LeaseTtl::from_ms(ms).map_err(|bad| BadField { field: field.into(), ..bad })
    };
    let build = || {
        let settings = Settings {
            claims_max,
            waiters_per_resource_max,
            ttl_min: ttl("ttl_min", ttl_min)?,
            ttl_max: ttl("ttl_max", ttl_max)?,
            ended_memory_ms: whole_ms("ended_memory", ended_memory)?,
            ended_memory_max,
            stamp_interval_ms: whole_ms("stamp_interval", stamp_interval)?,
            ends_per_entry,
        };
        settings.check().map_err(as_spelled_in_the_file)?;
        Ok(settings)
    };
    build().map_err(|bad: BadField| bad.inside("cluster"))
}

/// The state machine counts in milliseconds and says so in its names; the file has durations.
fn as_spelled_in_the_file(bad: BadField) -> BadField {
    match bad.field.strip_suffix("_ms") {
        None => bad,
        Some(field) => BadField {
            field: field.to_owned().into(),
            got: format!("{} ms", bad.got),
            allowed: format!("{} ms", bad.allowed).into(),
        },
    }
}

fn whole_ms(field: &'static str, duration: Duration) -> Result<u64, BadField> {
    match u64::try_from(duration.as_millis()) {
        Ok(ms) if Duration::from_millis(ms) == duration => Ok(ms),
        _ => Err(BadField::new(field, format!("{duration:?}"), "a whole number of milliseconds")),
    }
}

fn checked_log(log: LogSection) -> Result<LogSection, BadField> {
    const ALLOWED: &str =
        "directives such as \"info\" or \"info,openraft=warn,leasehold_raft=debug\"";
    if log.filter.trim().is_empty() {
        return Err(BadField::new("log.filter", "nothing", ALLOWED));
    }
    match EnvFilter::try_new(&log.filter) {
        Ok(_) => Ok(log),
        Err(error) => {
            Err(BadField::new("log.filter", format!("{:?} ({error})", log.filter), ALLOWED))
        }
    }
}

impl TimingSection {
    /// All of the node's durations that follow from these.
    pub(crate) fn of_raft(&self) -> Timing {
        Timing::new(self.heartbeat, self.election_min, self.election_max)
    }

    fn check(&self) -> Result<(), BadField> {
        // First this one: the others are bounded by it, and would be blamed for it.
        let election_min_least = Duration::from_millis(15);
        if self.election_min < election_min_least {
            let allowed = format!("{election_min_least:?} or more");
            let got = format!("{:?}", self.election_min);
            return Err(BadField::new("timing.election_min", got, allowed));
        }
        self.of_raft().check()?;
        let hour = Duration::from_secs(3_600);
        let keepalive_min = Duration::from_millis(100);
        let bounds = [
            ("drain", self.drain, Duration::ZERO, Duration::from_secs(300)),
            ("client_keepalive", self.client_keepalive, keepalive_min, hour),
            ("client_keepalive_timeout", self.client_keepalive_timeout, keepalive_min, hour),
            ("watch_progress", self.watch_progress, Duration::from_millis(10), hour),
        ];
        for (field, got, least, most) in bounds {
            if got < least || got > most {
                let allowed = format!("{least:?} to {most:?}");
                return Err(BadField::new(field, format!("{got:?}"), allowed).inside("timing"));
            }
        }
        Ok(())
    }
}

impl LimitsSection {
    /// The node's bounds that these say something about; the rest as they come.
    pub(crate) fn of_raft(&self) -> Limits {
        Limits {
            batch_commands_max: self.batch_commands_max,
            batch_bytes_max: self.batch_bytes_max,
            batches_in_flight_max: self.batches_in_flight_max,
            queue_commands_max: self.queue_commands_max,
            queue_bytes_max: self.queue_bytes_max,
            message_bytes_max: PEER_MESSAGE_BYTES_MAX,
            ..Limits::default()
        }
    }

    fn check(&self) -> Result<(), BadField> {
        const KIB: usize = 1 << 10;
        const GIB: usize = 1 << 30;
        const MANY: usize = 10_000_000;
        let streams = self.streams_per_connection_max as usize;
        let bounds = [
            ("connections_max", self.connections_max, 1, 1_000_000),
            ("streams_per_connection_max", streams, 1, 1_000_000),
            // A renewal of 5,000 request ids must pass.
            ("message_bytes_max", self.message_bytes_max, 256 * KIB, 64 << 20),
            ("waiting_calls_max", self.waiting_calls_max, 1, MANY),
            ("sessions_max", self.sessions_max, 1, MANY),
            ("session_attempts_max", self.session_attempts_max, 1, MANY),
            ("session_renewals_max", self.session_renewals_max, 1, 10_000),
            // The answer to a renewal of 5,000 claims with the longest names must fit.
            ("session_reply_bytes_max", self.session_reply_bytes_max, 8 << 20, GIB),
            ("watches_max", self.watches_max, 1, MANY),
            ("events_retained_max", self.events_retained_max, 1, 100_000_000),
            ("batch_commands_max", self.batch_commands_max, 1, 1_000_000),
            // A command with the longest names and a renewal of 5,000 request ids must fit.
            ("batch_bytes_max", self.batch_bytes_max, 256 * KIB, 1 << 20),
            ("batches_in_flight_max", self.batches_in_flight_max, 1, 64),
            ("queue_commands_max", self.queue_commands_max, 1, MANY),
            ("queue_bytes_max", self.queue_bytes_max, self.batch_bytes_max, GIB),
        ];
        for (field, got, least, most) in bounds {
            within(field, got, least, most).map_err(|bad| bad.inside("limits"))?;
        }
        self.of_raft().check()
    }
}

fn within<T>(field: &'static str, got: T, least: T, most: T) -> Result<T, BadField>
where
    T: PartialOrd + std::fmt::Display + Copy,
{
    match got >= least && got <= most {
        true => Ok(got),
        false => Err(BadField::new(field, got.to_string(), format!("{least} to {most}"))),
    }
}
