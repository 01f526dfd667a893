//! The config file as it is spelled, with every default.

use std::path::PathBuf;
use std::time::Duration;

use leasehold_core::Settings;
use leasehold_raft::{SnapshotPolicy, Timing};
use leasehold_types::LeaseTtl;
use serde::Deserialize;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) cluster_id: String,
    pub(super) node_id: u64,
    pub(super) data_dir: PathBuf,
    pub(super) client_listen: String,
    pub(super) peer_listen: String,
    #[serde(default = "one_thread")]
    pub(super) runtime_threads: usize,
    pub(super) members: Vec<RawMember>,
    #[serde(default)]
    pub(super) timing: TimingSection,
    #[serde(default)]
    pub(super) limits: LimitsSection,
    #[serde(default)]
    pub(super) snapshots: RawSnapshots,
    #[serde(default)]
    pub(super) cluster: RawCluster,
    #[serde(default)]
    pub(super) log: LogSection,
}

/// One thread is the fastest for streams as long as the state machine is one task; many unary
/// clients gain from a second.
const fn one_thread() -> usize {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMember {
    pub(super) node_id: u64,
    pub(super) client_address: String,
    pub(super) peer_address: String,
}

/// Durations of one node. None is part of a decision about leases.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimingSection {
    /// How often the leader shows that it lives: 5 ms to a third of `election_min`.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// Shortest time before a follower stands for election once it stopped trusting the leader:
    /// 15 ms and more.
    #[serde(with = "humantime_serde")]
    pub election_min: Duration,
    /// Longest such time, and for how long a silent leader is trusted: above `election_min`, up to
    /// 60 s.
    #[serde(with = "humantime_serde")]
    pub election_max: Duration,
    /// How long a node that was told to stop waits for the calls under way: 0 to 5 min.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// A client connection idle for this long is probed: 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub client_keepalive: Duration,
    /// A probe unanswered for this long ends the connection, and with it the renewals on behalf of
    /// its waiting calls: 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub client_keepalive_timeout: Duration,
    /// A watch to which nothing happens is told this often how far it has come: 10 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub watch_progress: Duration,
}

impl Default for TimingSection {
    fn default() -> Self {
        let Timing { heartbeat, election_min, election_max, .. } = Timing::default();
        Self {
            heartbeat,
            election_min,
            election_max,
            drain: Duration::from_secs(5),
            client_keepalive: Duration::from_secs(5),
            client_keepalive_timeout: Duration::from_secs(5),
            watch_progress: Duration::from_secs(5),
        }
    }
}

/// How much one node takes on. What is above is answered at once, with `QUEUE_FULL` where it was a
/// request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// Connections of clients at one time; more wait in the system's backlog.
    pub connections_max: usize,
    /// Calls and streams on one connection at one time.
    pub streams_per_connection_max: u32,
    /// Bytes of one message from a client.
    pub message_bytes_max: usize,
    /// Unary acquires that wait, at one time.
    pub waiting_calls_max: usize,
    /// Session streams at one time.
    pub sessions_max: usize,
    /// Attempts of one session, renewals apart, not answered yet.
    pub session_attempts_max: usize,
    /// Renewals of one session not answered yet.
    pub session_renewals_max: usize,
    /// Bytes of answers of one session that its client has not read yet; a stream that exceeds it is
    /// ended.
    pub session_reply_bytes_max: usize,
    /// Watches at one time.
    pub watches_max: usize,
    /// Events kept so that a watch can resume; the oldest are forgotten first.
    pub events_retained_max: usize,
    /// Commands in one batch: one log entry, one sync.
    pub batch_commands_max: usize,
    /// Bytes of one batch.
    pub batch_bytes_max: usize,
    /// Batches under way at one time.
    pub batches_in_flight_max: usize,
    /// Commands that wait for a batch, in each of the two lanes (renewals, everything else).
    pub queue_commands_max: usize,
    /// Bytes that wait for a batch, in each lane.
    pub queue_bytes_max: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let raft = leasehold_raft::Limits::default();
        Self {
            connections_max: 10_000,
            streams_per_connection_max: 10_000,
            message_bytes_max: MIB,
            waiting_calls_max: 100_000,
            sessions_max: 10_000,
            session_attempts_max: 4_096,
            session_renewals_max: 64,
            session_reply_bytes_max: 16 * MIB,
            watches_max: 1_000,
            events_retained_max: 100_000,
            batch_commands_max: raft.batch_commands_max,
            batch_bytes_max: raft.batch_bytes_max,
            batches_in_flight_max: raft.batches_in_flight_max,
            queue_commands_max: raft.queue_commands_max,
            queue_bytes_max: raft.queue_bytes_max,
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSnapshots {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) keep: u64,
}

impl Default for RawSnapshots {
    fn default() -> Self {
        let SnapshotPolicy { entries, bytes, keep } = SnapshotPolicy::default();
        Self { entries, bytes, keep }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCluster {
    pub(super) claims_max: u64,
    pub(super) waiters_per_resource_max: u64,
    #[serde(with = "humantime_serde")]
    pub(super) ttl_min: Duration,
    #[serde(with = "humantime_serde")]
    pub(super) ttl_max: Duration,
    #[serde(with = "humantime_serde")]
    pub(super) ended_memory: Duration,
    pub(super) ended_memory_max: u64,
    #[serde(with = "humantime_serde")]
    pub(super) stamp_interval: Duration,
    pub(super) ends_per_entry: u64,
}

impl Default for RawCluster {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            claims_max: settings.claims_max,
            waiters_per_resource_max: settings.waiters_per_resource_max,
            ttl_min: LeaseTtl::as_duration(settings.ttl_min),
            ttl_max: LeaseTtl::as_duration(settings.ttl_max),
            ended_memory: Duration::from_millis(settings.ended_memory_ms),
            ended_memory_max: settings.ended_memory_max,
            stamp_interval: Duration::from_millis(settings.stamp_interval_ms),
            ends_per_entry: settings.ends_per_entry,
        }
    }
}

/// What is logged and how. The caller of [`crate::serve()`] sets it up.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
    /// Which lines, in the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// The consensus library tells its whole state at `info`, and at `warn` each single heartbeat that was not
/// answered; this node says itself which peer is silent.
const FILTER: &str = "info,openraft=warn,openraft::core::heartbeat=error";

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: FILTER.to_owned() }
    }
}

/// See [`LogSection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}
