//! What a node is told at its start.

use std::collections::BTreeMap;

use leasehold_core::Settings;
use leasehold_disk::{DiskId, StreamOptions};
use leasehold_types::BadField;

use crate::{Execution, Timing};

/// A member of the cluster, as every node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id, never reused.
    pub node_id: u64,
    /// Where clients reach it, `host:port`.
    pub client_address: String,
    /// Where its peers reach it, `host:port`.
    pub peer_address: String,
}

/// How many and how much a node takes on. Everything is bounded; a full queue answers at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Commands in one batch. One batch is one log entry and one sync.
    pub batch_commands_max: usize,
    /// Bytes of one batch.
    pub batch_bytes_max: usize,
    /// Batches proposed and not yet applied. Four keep disk and network busy at once.
    pub batches_in_flight_max: usize,
    /// Commands waiting in each of the two lanes (renewals, everything else).
    pub queue_commands_max: usize,
    /// Bytes waiting in each of the two lanes.
    pub queue_bytes_max: usize,
    /// Batches sent to the leader and not yet answered, on a follower.
    pub forwards_in_flight_max: usize,
    /// Bytes of entries in one append message.
    pub append_bytes_max: usize,
    /// Bytes of one snapshot chunk.
    pub snapshot_chunk_bytes: usize,
    /// Largest message a peer may send. Above `append_bytes_max` plus one batch, and above the answers
    /// to a batch of renewals, which name what they renew.
    pub message_bytes_max: usize,
    /// Largest snapshot a peer may send: it is gathered in memory before it is installed.
    pub snapshot_bytes_max: u64,
    /// Applied batches that a slow listener of [`crate::Node::applied`] may lag behind.
    pub feed_lag_max: usize,
    /// Bytes of one file of the log: what would grow above goes into the next. Small ones let a
    /// simulator see files roll and go.
    pub segment_bytes: u64,
    /// Bytes by which a file of the log is zero-filled ahead.
    pub segment_step_bytes: u64,
    /// Groups by which the log of a peer may grow until this node notes so, durably: so far back an old
    /// copy of that peer's disk, made while it ran, is believed after this node was started again. A note
    /// is one small file; at a thousand groups a second, the default makes one in four seconds.
    pub groups_unnoted_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_commands_max: 4096,
            batch_bytes_max: 256 * KIB,
            batches_in_flight_max: 4,
            queue_commands_max: 65_536,
            queue_bytes_max: 16 * MIB,
            forwards_in_flight_max: 4,
            append_bytes_max: MIB,
            snapshot_chunk_bytes: 256 * KIB,
            message_bytes_max: 8 * MIB,
            snapshot_bytes_max: 4 << 30,
            feed_lag_max: 4096,
            segment_bytes: DISK_DEFAULTS.segment_bytes,
            segment_step_bytes: DISK_DEFAULTS.step_bytes,
            groups_unnoted_max: 4096,
        }
    }
}

/// Only the sizes count.
const DISK_DEFAULTS: StreamOptions = StreamOptions::new(DiskId([0; 16]));

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// When a snapshot is taken and how much of the log stays behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Taken when this many entries were applied since the last.
    pub entries: u64,
    /// Taken when the log in memory holds this many bytes.
    pub bytes: u64,
    /// Entries kept behind a snapshot, so that a follower a little behind needs no snapshot.
    pub keep: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 64 << 20, keep: 1_000 }
    }
}

/// Everything a node is told at its start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The cluster it belongs to.
    pub cluster_id: String,
    /// Its own id; a key of `members`.
    pub node_id: u64,
    /// The members a new cluster is founded with. Once the cluster exists, the replicated list of
    /// members counts; the addresses in here, where there are any, count before the replicated ones.
    pub members: BTreeMap<u64, Member>,
    /// Durations.
    pub timing: Timing,
    /// Bounds.
    pub limits: Limits,
    /// When snapshots are taken.
    pub snapshots: SnapshotPolicy,
    /// Where syncs and snapshot encoding run.
    pub execution: Execution,
    /// The settings a new cluster is founded with: its first leader's count, and they travel through
    /// the log, so that every node has the same whatever its own config says.
    pub settings: Settings,
}

impl NodeConfig {
    /// Whether the values fit together.
    ///
    /// # Errors
    /// [`BadField`] naming the first that does not.
    pub fn check(&self) -> Result<(), BadField> {
        if self.cluster_id.is_empty() {
            return Err(BadField::new("cluster_id", "nothing", "1 byte or more"));
        }
        if !self.members.contains_key(&self.node_id) {
            return Err(BadField::new("node_id", self.node_id.to_string(), "a key of `members`"));
        }
        for (id, member) in &self.members {
            if *id == 0 || member.node_id != *id {
                let got = format!("node {} under key {id}", member.node_id);
                return Err(BadField::new("members", got, "each under its own id, 1 or more"));
            }
        }
        self.settings.check().map_err(|bad| bad.inside("settings"))?;
        self.limits.check()?;
        if self.snapshots.entries == 0 {
            return Err(BadField::new("snapshots.entries", "0", "1 or more"));
        }
        self.timing.check()
    }
}

impl Limits {
    /// Whether the bounds fit together.
    ///
    /// # Errors
    /// [`BadField`] naming the first that does not.
    pub fn check(&self) -> Result<(), BadField> {
        let least = [
            ("batch_commands_max", self.batch_commands_max, 1),
            ("batch_bytes_max", self.batch_bytes_max, 4 * KIB),
            ("batches_in_flight_max", self.batches_in_flight_max, 1),
            ("queue_commands_max", self.queue_commands_max, 1),
            ("queue_bytes_max", self.queue_bytes_max, self.batch_bytes_max),
            ("forwards_in_flight_max", self.forwards_in_flight_max, 1),
            ("append_bytes_max", self.append_bytes_max, self.batch_bytes_max),
            ("snapshot_chunk_bytes", self.snapshot_chunk_bytes, KIB),
            (
                "message_bytes_max",
                self.message_bytes_max,
                self.append_bytes_max + self.batch_bytes_max,
            ),
            ("feed_lag_max", self.feed_lag_max, 1),
        ];
        for (field, got, least) in least {
            if got < least {
                let allowed = format!("{least} or more");
                return Err(BadField::new(field, got.to_string(), allowed).inside("limits"));
            }
        }
        let (segment, step) = (self.segment_bytes, self.segment_step_bytes);
        let least = [
            ("segment_step_bytes", step, 4 * KIB as u64),
            ("segment_bytes", segment, step),
            ("groups_unnoted_max", self.groups_unnoted_max, 1),
        ];
        for (field, got, least) in least {
            if got < least {
                let allowed = format!("{least} or more");
                return Err(BadField::new(field, got.to_string(), allowed).inside("limits"));
            }
        }
        Ok(())
    }
}
