//! Putting a node together: recover what the disk holds, wire the parts, take part.

use std::sync::Arc;

use futures_util::FutureExt;
use leasehold_clock::Clock;
use leasehold_disk::{
    ADVICE, Disk, DiskId, Identity, PeerMemory, Reached, StreamOptions, remove_temporaries,
};
use leasehold_types::BadField;
use openraft::{Config, Raft};
use openraft_rt::AsyncRuntime;
use tokio::sync::{broadcast, mpsc};

use crate::barrier::{self, ReadPoints};
use crate::directory::Directory;
use crate::founder::Founder;
use crate::log::{LogReader, LogStore, Sealer, recover};
use crate::node::{Inner, Node};
use crate::observer::Observer;
use crate::peers::{Gatekeeper, Handler, NetworkFactory, Peers, QuorumGate};
use crate::progress::Progress;
use crate::proposer::{Intake, Proposer, Queue, TurnState};
use crate::roster::Roster;
use crate::snapshot::SnapshotFile;
use crate::standing::{LeaderHeard, StandingWatch};
use crate::state_machine::{Outlets, StateMachine};
use crate::transport::Transport;
use crate::type_config::Types;
use crate::watched::{Watched, watched};
use crate::{Change, NodeConfig, SnapshotPolicy, Timing};

/// Why a node does not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// A configured value is not allowed.
    #[error(transparent)]
    Config(#[from] BadField),
    /// The disk cannot be read, or what it holds is not what was written.
    #[error("{why}")]
    Storage {
        /// What the disk said, and what to do where there is something to do.
        why: String,
    },
}

fn storage(error: impl std::error::Error) -> StartError {
    StartError::Storage { why: crate::chain::one_line(&error) }
}

/// Log and snapshot are each as they were written, and the library cannot make one state of them: one
/// of the two is from another time or another node.
fn misfit(error: &dyn std::error::Error) -> StartError {
    let why = crate::chain::one_line(error);
    StartError::Storage {
        why: format!(
            "the log and the file snapshot do not make one state: {why}; unless the disk failed, {ADVICE}"
        ),
    }
}

impl<RT: AsyncRuntime> Node<RT> {
    /// Recovers what the disk holds and takes part in the cluster. `identity` was claimed on `disk`.
    ///
    /// On empty disks the member with the smallest id founds the cluster as soon as all members are
    /// up, and the others wait for it: so there is one list of members and of their disks in the log,
    /// whatever the others were configured with.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: NodeConfig,
        identity: Identity,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        let (feed, _) = broadcast::channel(config.limits.feed_lag_max);
        Self::start_telling(feed, config, identity, disk, clock, transport).await
    }

    /// [`Node::start`], for a listener that must not miss what the log replays: who subscribes to
    /// `feed` beforehand hears of the snapshot that the state starts from, if there is one, and of
    /// every batch after it, as far as the feed's own bound allows.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_telling(
        feed: broadcast::Sender<Arc<Change>>,
        config: NodeConfig,
        mut identity: Identity,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        config.check()?;
        check_identity(&config, &identity)?;
        remove_temporaries(&*disk).map_err(storage)?;
        let memory = PeerMemory::open(disk.clone()).map_err(storage)?;
        let roster = Roster::default();
        let disk_id = identity.start.disk_id;

        let (progress, told) = watched(Progress::default());
        let outlets = Outlets { progress, feed: feed.clone(), roster: roster.clone() };
        let file = SnapshotFile::new(disk.clone());
        let machine =
            StateMachine::open(file, outlets, clock.clone(), config.execution).map_err(storage)?;

        let options = StreamOptions {
            segment_bytes: config.limits.segment_bytes,
            step_bytes: config.limits.segment_step_bytes,
            ..StreamOptions::new(disk_id)
        };
        let recovered = recover(disk.clone(), options).map_err(storage)?;
        tracing::info!(report = ?recovered.report, "the log was read back");
        let reached = Reached::new(recovered.stream.synced_group());
        identity.opened(&*disk, reached.get()).map_err(storage)?;
        let note_every = config.limits.groups_unnoted_max;
        let gatekeeper =
            Gatekeeper::new(identity, reached.clone(), memory, roster.clone(), note_every);
        let gatekeeper = Arc::new(gatekeeper);
        let (append_bytes_max, execution) = (config.limits.append_bytes_max, config.execution);
        let (store, ended) =
            LogStore::<RT>::start(recovered, append_bytes_max, execution, roster.clone(), reached)
                .map_err(storage)?;
        let (log, sealer) = (store.reader(), store.sealer());

        let peers = Arc::new(Peers::new(transport, gatekeeper.clone()));
        let gate = Arc::new(QuorumGate::new(&config.timing));
        let directory = Directory::new(config.members.clone());
        let network = NetworkFactory::new(
            peers.clone(),
            gate.clone(),
            directory.clone(),
            log.clone(),
            &config,
        );
        let library = library_config(&config).map_err(storage)?;
        let raft = Raft::build(config.node_id, Arc::new(library), network, store, machine);
        let raft = raft.await.map_err(|error| misfit(&error))?;
        gate.watch(raft.metrics());

        let parts = Parts {
            config,
            directory,
            raft,
            log,
            sealer,
            peers,
            gatekeeper,
            roster,
            disk_id,
            clock,
            progress: told,
            feed,
        };
        Ok(parts.assemble(ended.map(|_| ()).boxed().shared()))
    }
}

/// What a node is assembled from.
struct Parts<RT: AsyncRuntime> {
    config: NodeConfig,
    directory: Directory,
    raft: Raft<Types<RT>, StateMachine<RT>>,
    log: LogReader,
    sealer: Sealer<RT>,
    peers: Arc<Peers>,
    gatekeeper: Arc<Gatekeeper>,
    roster: Roster,
    disk_id: DiskId,
    clock: Arc<dyn Clock>,
    progress: Watched<RT, Progress>,
    feed: broadcast::Sender<Arc<Change>>,
}

impl<RT: AsyncRuntime> Parts<RT> {
    /// Starts the node's tasks: the library's own, the proposer, the barriers, the observer.
    fn assemble(self, log_ended: crate::node::Ended) -> Node<RT> {
        let Self { config, directory, raft, log, sealer, peers, gatekeeper, .. } = self;
        let Self { roster, disk_id, clock, progress, feed, .. } = self;
        let heard = Arc::new(LeaderHeard::new(config.timing.election_max));
        let standing = StandingWatch::new(raft.server_metrics(), heard.clone(), directory);
        let (stop, stopped) = watched(false);
        let queue = Arc::new(Queue::new(config.limits.clone()));
        let intake = Intake { queue: queue.clone() };
        let read_points = ReadPoints {
            raft: raft.clone(),
            standing: standing.clone(),
            peers: peers.clone(),
            timing: config.timing.clone(),
        };
        let handler = Handler {
            raft: raft.clone(),
            gatekeeper: gatekeeper.clone(),
            heard,
            sealer,
            intake: intake.clone(),
            read_points: read_points.clone(),
            limits: config.limits.clone(),
            execution: config.execution,
        };
        let (observer, status) = Observer::new(
            &raft,
            standing.clone(),
            log.clone(),
            gatekeeper.clone(),
            progress.clone(),
            stopped.clone(),
            &config,
        );
        let first = config.members.keys().next() == Some(&config.node_id);
        let founder = first.then(|| Founder {
            raft: raft.clone(),
            peers: peers.clone(),
            roster,
            members: config.members.clone(),
            node_id: config.node_id,
            disk_id,
            timing: config.timing.clone(),
            stop: stopped.clone(),
        });
        let proposer = Proposer {
            raft: raft.clone(),
            queue,
            standing,
            progress: progress.clone(),
            stop: stopped,
            peers,
            clock,
            timing: config.timing.clone(),
            limits: config.limits.clone(),
            settings: config.settings.clone(),
            state: TurnState::default(),
        };
        let (barriers, waiting) = mpsc::channel(barrier::WAITERS_MAX);

        raft.run();
        let proposer = RT::spawn(proposer.run()).map(|_| ()).boxed().shared();
        drop(RT::spawn(barrier::serve(read_points, progress, waiting)));
        drop(RT::spawn(observer.run()));
        if let Some(founder) = founder {
            drop(RT::spawn(founder.run()));
        }
        let handler = Arc::new(handler);
        let inner = Inner {
            config,
            raft,
            intake,
            barriers,
            status,
            feed,
            stop,
            handler,
            proposer,
            log_ended,
        };
        Node { inner: Arc::new(inner) }
    }
}

fn check_identity(config: &NodeConfig, identity: &Identity) -> Result<(), BadField> {
    if identity.cluster_id != config.cluster_id {
        let allowed = format!("{:?}, which the disk belongs to", identity.cluster_id);
        return Err(BadField::new("cluster_id", format!("{:?}", config.cluster_id), allowed));
    }
    if identity.node_id != config.node_id {
        let allowed = format!("{}, which the disk belongs to", identity.node_id);
        return Err(BadField::new("node_id", config.node_id.to_string(), allowed));
    }
    Ok(())
}

/// The library's configuration. What is not set here has the library's default.
fn library_config(config: &NodeConfig) -> Result<Config, openraft::ConfigError> {
    let NodeConfig { timing, snapshots, .. } = config;
    let ms =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let Timing { heartbeat, election_min, election_max, .. } = timing;
    let SnapshotPolicy { entries, keep, .. } = snapshots;
    let library = Config {
        cluster_name: config.cluster_id.clone(),
        heartbeat_interval: ms(*heartbeat),
        election_timeout_min: ms(*election_min),
        election_timeout_max: ms(*election_max),
        install_snapshot_timeout: ms(timing.snapshot_whole),
        snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(*entries),
        max_in_snapshot_log_to_keep: *keep,
        // A follower further behind than this is sent a snapshot. Above what one snapshot leaves, so
        // that sending one always helps.
        replication_lag_threshold: entries.saturating_mul(2).saturating_add(*keep),
        // A node that cannot win must not depose a leader (Ongaro, PhD thesis, 9.6).
        enable_pre_vote: Some(true),
        // A leadership never outlives its process: its lease clock is gone.
        enable_leader_restore: Some(false),
        quorum_loss_probe_interval: Some(ms(timing.quorum_loss_phase)),
        // Tried again at once, then slower, but never slower than an election.
        backoff: format!("{}ms ...{}ms", ms(*heartbeat), ms(*election_max)),
        ..Config::default()
    };
    library.validate()
}
