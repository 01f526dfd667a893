//! Starting and killing what runs on the machines of a world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leasehold_client::Random;
use leasehold_core::Settings;
use leasehold_disk::{BootId, Disk, RecordStream, StreamOptions};
use leasehold_raft::{Execution, Limits, Member, NodeConfig};
use tokio::sync::mpsc;

use super::application::Application;
use super::lying_disk::LyingDisk;
use super::plan::{FaultClass, Plan, Plant};
use super::process;
use super::random::{self, PoorRandom, SeededRandom};
use super::session::{Parts, Session};
use super::world::{CLUSTER, Machine, PowerCut, World};
use super::{machine, store};

impl World {
    pub(crate) fn start_node(&mut self, id: u64) {
        let (plan, reporter, network) = (&self.plan, self.reporter.clone(), self.network.clone());
        let Some(machine) = self.machines.get_mut(&id).filter(|machine| machine.pid.is_none())
        else {
            return;
        };
        machine.boots += 1;
        let pid = process::new_process();
        machine.pid = Some(pid);
        if machine.boots > 1 && tears(machine, &plan.limits) {
            self.figures.count("torn tails cut");
        }
        let lies = plan.plant == Some(Plant::SyncLies);
        let mount = machine.disk.mount();
        let disk: Arc<dyn Disk> = if lies { Arc::new(LyingDisk(mount)) } else { mount };
        let boot = machine::Boot {
            pid,
            config: node_config(plan, id),
            boot: BootId((u128::from(id) << 64 | u128::from(machine.boots)).to_le_bytes()),
            fresh_disk: machine.disk_id,
            disk,
            clocks: machine.clocks.clone(),
            network,
            reporter,
            plant: plan.plant,
            started_before: machine.boots > 1,
            look_every: plan.look_every,
        };
        process::spawn_in(pid, machine::run(boot));
    }

    /// SIGKILL, or a power cut.
    pub(crate) fn kill_node(&mut self, id: u64, power: bool) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let Some(pid) = machine.pid.take() else { return };
        machine.node = None;
        self.network.detach(id);
        process::kill(pid);
        match (std::mem::take(&mut machine.power_fails), power) {
            (Some(PowerCut::Tearing), _) => machine.disk.tear(),
            (Some(PowerCut::AnyHow), _) | (None, true) => machine.disk.crash(),
            (None, false) => machine.disk.kill_process(),
        }
    }

    pub(crate) fn start_store(&mut self) {
        if self.store.pid.is_some() {
            return;
        }
        let pid = process::new_process();
        self.store.pid = Some(pid);
        let boot = store::Boot {
            pid,
            disk: self.store.disk.mount(),
            network: self.network.clone(),
            reporter: self.reporter.clone(),
            sync: self.plan.sync,
            plant: self.plan.plant,
        };
        process::spawn_in(pid, store::run(boot));
    }

    pub(crate) fn kill_store(&mut self) {
        if let Some(pid) = self.store.pid.take() {
            process::kill(pid);
            self.store.disk.crash();
        }
    }

    pub(crate) fn start_client(&mut self, id: u64) {
        let (plan, stop_at) = (&self.plan, self.plan.faults_last + Duration::from_secs(5));
        let Some(machine) = self.clients.get_mut(&id).filter(|machine| machine.pid.is_none())
        else {
            return;
        };
        machine.lives += 1;
        let life = machine.lives;
        let pid = process::new_process();
        machine.pid = Some(pid);
        let stream = |what: &str| random::stream(plan.seed, &format!("{what} {id} {life}"));
        let poor = plan.plant == Some(Plant::RequestIdsRepeat);
        let ids: Arc<dyn Random> = match poor {
            true => Arc::new(PoorRandom::default()),
            false => Arc::new(SeededRandom::new(stream("ids"))),
        };
        let session = Session::new(Parts {
            client: id,
            nodes: plan.nodes,
            clock: machine.clocks.clone(),
            network: self.network.clone(),
            reporter: self.reporter.clone(),
            random: ids,
            chance: stream("session"),
            request_memory: Duration::from_millis(plan.settings.ended_memory_ms),
            plant: plan.plant,
            prefers_leader: false,
        });
        let (asks, asked) = mpsc::unbounded_channel();
        process::spawn_in(pid, session.run(asked));
        for job in 0..plan.jobs {
            let application = Application {
                client: id,
                asks: asks.clone(),
                network: self.network.clone(),
                reporter: self.reporter.clone(),
                nodes: plan.nodes,
                resources: plan.resources,
                long_names: plan.long_names,
                ttl_ms: plan.ttl_ms,
                numbers: self.numbers.clone(),
                random: stream(&format!("job {job}")),
                pauses: plan.has(FaultClass::ClientPause),
                plant: plan.plant,
                poor_ids: poor,
            };
            process::spawn_in(pid, application.run(stop_at));
        }
    }

    pub(crate) fn kill_client(&mut self, id: u64) {
        if let Some(pid) = self.clients.get_mut(&id).and_then(|machine| machine.pid.take()) {
            process::kill(pid);
        }
    }
}

/// Whether the node will find a torn tail: looked at on a copy.
fn tears(machine: &Machine, limits: &Limits) -> bool {
    let copy = machine.disk.image().mount();
    let options = StreamOptions {
        segment_bytes: limits.segment_bytes,
        step_bytes: limits.segment_step_bytes,
        ..StreamOptions::new(machine.disk_id)
    };
    let opened = RecordStream::open(copy, options);
    opened.is_ok_and(|(_, _, report)| report.torn.is_some())
}

fn node_config(plan: &Plan, id: u64) -> NodeConfig {
    NodeConfig {
        cluster_id: CLUSTER.to_owned(),
        node_id: id,
        members: members(plan.nodes),
        timing: plan.timing.clone(),
        limits: plan.limits.clone(),
        snapshots: plan.snapshots.clone(),
        execution: Execution::Tasks { sync: plan.sync },
        settings: match plan.plant {
            Some(Plant::EndedIdsStay) => {
                Settings { ended_memory_ms: 3_600_000, ..plan.settings.clone() }
            }
            _ => plan.settings.clone(),
        },
    }
}

/// So many members, each at an address of its own.
pub(super) fn members(nodes: u64) -> BTreeMap<u64, Member> {
    let member = |id| Member {
        node_id: id,
        client_address: format!("client-{id}:1"),
        peer_address: format!("peer-{id}:1"),
    };
    (1..=nodes).map(|id| (id, member(id))).collect()
}
