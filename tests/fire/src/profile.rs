//! How long a run is, what it is made of, and how much must have happened for it to mean something.

use std::time::Duration;

use crate::rig::cluster::Size;

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) counters: u64,
    /// Workers in each client process.
    pub(crate) lanes: u32,
    pub(crate) ttl: Duration,
    pub(crate) stops_one_in: u32,
    pub(crate) increments_per_lease: u32,
    pub(crate) increments_only: bool,
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// Eight minutes of everything
    Ci,
    /// Two hours of everything
    Long,
    /// As many increments as the machine gives, while kills and pauses go on
    Increments,
}

/// At least so much, in a run of the profile's own length.
pub(crate) type Least = &'static [(&'static str, u64)];

impl Profile {
    pub(crate) fn minutes(self) -> f64 {
        match self {
            Self::Ci => 8.0,
            Self::Long => 120.0,
            Self::Increments => 15.0,
        }
    }

    /// The clusters that are set on fire one after the other. Of the clients of each one watches, and two probe.
    pub(crate) fn sizes(self) -> Vec<Size> {
        let three = Size { nodes: 3, stores: 1, clients: 11, snapshot_entries: 400 };
        let five = Size { nodes: 5, stores: 2, clients: 11, snapshot_entries: 400 };
        match self {
            Self::Ci | Self::Long => vec![three, five],
            Self::Increments => vec![three],
        }
    }

    pub(crate) fn workload(self) -> Workload {
        let everything = Workload {
            counters: 6,
            lanes: 1,
            ttl: Duration::from_millis(1_500),
            stops_one_in: 60,
            increments_per_lease: 12,
            increments_only: false,
        };
        match self {
            Self::Ci | Self::Long => everything,
            Self::Increments => Workload {
                counters: 64,
                lanes: 6,
                stops_one_in: 20_000,
                increments_per_lease: 2_000,
                increments_only: true,
                ..everything
            },
        }
    }

    /// How long the cluster is left alone between two faults, at most.
    pub(crate) fn breath(self) -> Duration {
        match self {
            Self::Ci | Self::Long => Duration::from_millis(400),
            Self::Increments => Duration::from_secs(4),
        }
    }

    pub(crate) fn least(self) -> Least {
        match self {
            Self::Ci => &[
                ("sigkills", 200),
                ("pauses", 60),
                ("partitions", 60),
                ("dates set", 20),
                ("years in the logs", 4),
                ("leader changes", 30),
                ("acknowledged increments", 1_500),
                ("grants", 400),
                ("expiries", 30),
                ("stale refused", 15),
                ("lost by the control", 1),
            ],
            Self::Long => &[
                ("sigkills", 2_500),
                ("pauses", 700),
                ("partitions", 700),
                ("dates set", 300),
                ("years in the logs", 10),
                ("leader changes", 500),
                ("acknowledged increments", 30_000),
                ("grants", 6_000),
                ("expiries", 500),
                ("stale refused", 250),
                ("lost by the control", 10),
            ],
            Self::Increments => &[
                ("sigkills", 40),
                ("pauses", 20),
                ("dates set", 5),
                ("years in the logs", 2),
                ("acknowledged increments", 100_000),
                ("grants", 100),
                ("lost by the control", 1),
            ],
        }
    }
}
