//! The consensus library's own suite for stores, on a machine's disk and on the fake one.

use std::sync::Arc;

use leasehold_clock::MachineClock;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{Disk, DiskId, MachineDisk, Reached, StreamOptions};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft_rt::AsyncRuntime;
use openraft_rt_tokio::TokioRuntime;
use tokio::sync::broadcast;

use super::{LogStore, recover};
use crate::Execution;
use crate::progress::Progress;
use crate::roster::Roster;
use crate::snapshot::SnapshotFile;
use crate::state_machine::{Outlets, StateMachine};
use crate::type_config::{Listed, Types};
use crate::watched::watched;

type Store = LogStore<TokioRuntime>;
type Machine = StateMachine<TokioRuntime>;
type Built<G> = Result<(G, Store, Machine), StorageError<Types<TokioRuntime>>>;

fn build_on(disk: Arc<dyn Disk>, execution: Execution) -> (Store, Machine) {
    let recovered =
        recover(disk.clone(), StreamOptions::new(DiskId([7; 16]))).expect("an empty disk");
    let (store, _) =
        LogStore::start(recovered, 1 << 20, execution, Roster::default(), Reached::default())
            .expect("a writer");
    let (progress, feed) = (watched(Progress::default()).0, broadcast::channel(16).0);
    let outlets = Outlets { progress, feed, roster: Roster::default() };
    let machine =
        StateMachine::open(SnapshotFile::new(disk), outlets, Arc::new(MachineClock), execution);
    (store, machine.expect("an empty disk"))
}

/// The suite makes members up.
impl Default for Listed {
    fn default() -> Self {
        let (client_address, peer_address) = (String::new(), String::new());
        Self { client_address, peer_address, disk_id: DiskId([0; 16]) }
    }
}

struct OnFake(Execution);

impl StoreBuilder<Types<TokioRuntime>, Store, Machine> for OnFake {
    async fn build(&self) -> Built<()> {
        let (store, machine) = build_on(FakeDisk::new(1).mount(), self.0);
        Ok(((), store, machine))
    }
}

struct OnMachine;

impl StoreBuilder<Types<TokioRuntime>, Store, Machine, tempfile::TempDir> for OnMachine {
    async fn build(&self) -> Built<tempfile::TempDir> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = MachineDisk::open(folder.path()).expect("a data directory");
        let (store, machine) = build_on(Arc::new(disk), Execution::Threads);
        Ok((folder, store, machine))
    }
}

#[test]
fn the_store_conforms_on_a_fake_disk_with_a_writer_thread() {
    let suite = async { Suite::test_all(OnFake(Execution::Threads)).await };
    TokioRuntime::run(suite).expect("conforms");
}

#[test]
fn the_store_conforms_on_a_fake_disk_with_a_writer_task() {
    let execution = Execution::Tasks { sync: std::time::Duration::from_micros(1) };
    let suite = async { Suite::test_all(OnFake(execution)).await };
    TokioRuntime::run(suite).expect("conforms");
}

#[test]
fn the_store_conforms_on_the_machines_disk() {
    TokioRuntime::run(async { Suite::test_all(OnMachine).await }).expect("conforms");
}
