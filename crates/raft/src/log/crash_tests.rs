//! What is read back after a crash at any moment: everything acknowledged, and nothing that never was.

use std::time::Duration;

use bytes::Bytes;
use leasehold_disk::fake::FakeDisk;
use leasehold_disk::{DiskId, Reached, StreamOptions};
use openraft::entry::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft_rt::{AsyncRuntime, Oneshot};
use openraft_rt_tokio::{TokioOneshot, TokioRuntime};

use super::memory::{MemoryLog, log_id};
use super::recover::{RecoverError, Recovered};
use super::{LogStore, recover};
use crate::Execution;
use crate::roster::Roster;
use crate::type_config::{Entry, LogData, LogId, Vote};

type Store = LogStore<TokioRuntime>;

/// One thing the consensus library does, each waited for.
#[derive(Clone, Copy, Debug)]
enum Step {
    Vote(u64),
    /// Entries of a term, from an index up to before another.
    Append(u64, u64, u64),
    TruncateAfter(u64, u64),
    Purge(u64, u64),
    Committed(u64, u64),
}

const SCRIPT: [Step; 14] = [
    Step::Vote(1),
    Step::Append(1, 0, 1),
    Step::Append(1, 1, 6),
    Step::Vote(2),
    Step::TruncateAfter(1, 3),
    Step::Append(2, 4, 7),
    Step::Committed(2, 5),
    Step::Append(2, 7, 12),
    Step::Purge(2, 5),
    Step::Append(2, 12, 15),
    Step::Vote(3),
    Step::Purge(2, 12),
    Step::Append(3, 15, 16),
    Step::Vote(4),
];

/// What can be seen of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: Vec<LogId>,
}

fn seen(log: &MemoryLog) -> Seen {
    let entries = log.range(..).map(|entry| entry.log_id).collect();
    Seen { vote: log.vote, purged: log.purged(), entries }
}

fn entry(term: u64, index: u64) -> Entry {
    let data = LogData::Batch(Bytes::from(vec![index as u8; 300]));
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(data) }
}

/// Everything a log goes through, one record at a time, from nothing to the end of the script; and at
/// which of these moments each step is complete.
fn history() -> (Vec<Seen>, Vec<usize>) {
    let mut log = MemoryLog::default();
    let (mut moments, mut complete) = (vec![seen(&log)], Vec::new());
    for step in SCRIPT {
        match step {
            Step::Vote(term) => log.vote = Some(Vote::new(term, 1)),
            Step::Append(term, from, to) => {
                for index in from..to {
                    log.append(entry(term, index)).expect("consecutive");
                    moments.push(seen(&log));
                }
            }
            Step::TruncateAfter(term, index) => log.truncate_after(Some(log_id(term, index))),
            Step::Purge(term, index) => log.purge(log_id(term, index)),
            Step::Committed(..) => {}
        }
        moments.push(seen(&log));
        complete.push(moments.len() - 1);
    }
    (moments, complete)
}

fn open(disk: &FakeDisk) -> Result<Recovered, RecoverError> {
    let options = StreamOptions {
        segment_bytes: 2048,
        step_bytes: 1024,
        ..StreamOptions::new(DiskId([3; 16]))
    };
    recover(disk.mount(), options)
}

async fn perform(store: &mut Store, step: Step) -> std::io::Result<()> {
    match step {
        Step::Vote(term) => store.save_vote(&Vote::new(term, 1)).await,
        Step::Append(term, from, to) => {
            let (flushed, durable) = TokioOneshot::channel();
            let entries: Vec<_> = (from..to).map(|index| entry(term, index)).collect();
            store.append(entries, IOFlushed::signal(flushed)).await?;
            durable.await.map_err(std::io::Error::other)?
        }
        Step::TruncateAfter(term, index) => store.truncate_after(Some(log_id(term, index))).await,
        Step::Purge(term, index) => store.purge(log_id(term, index)).await,
        Step::Committed(term, index) => store.save_committed(Some(log_id(term, index))).await,
    }
}

/// Runs the script until it ends or the power does; returns how many steps were acknowledged as
/// durable. Truncations, purges and the committed position are durable with what follows them.
async fn run(disk: &FakeDisk) -> usize {
    run_steps(disk, &SCRIPT).await
}

async fn run_steps(disk: &FakeDisk, steps: &[Step]) -> usize {
    let Ok(recovered) = open(disk) else { return 0 };
    let execution = Execution::Tasks { sync: Duration::from_micros(1) };
    let (mut store, ended) =
        Store::start(recovered, 1 << 20, execution, Roster::default(), Reached::default())
            .expect("a writer");
    let mut durable = 0;
    for (place, step) in steps.iter().copied().enumerate() {
        match perform(&mut store, step).await {
            Ok(()) if matches!(step, Step::Vote(_) | Step::Append(..)) => durable = place + 1,
            Ok(()) => {}
            Err(_) => break,
        }
    }
    drop(store);
    let _ = ended.await;
    durable
}

#[test]
fn a_crash_at_any_moment_keeps_what_was_acknowledged_and_invents_nothing() {
    let (moments, complete) = history();
    TokioRuntime::run(async {
        let mut at = 1;
        loop {
            let disk = FakeDisk::new(at);
            disk.lose_power_at(at);
            let durable = run(&disk).await;
            let all = durable == SCRIPT.len();
            disk.crash();
            let recovered = open(&disk).unwrap_or_else(|error| panic!("crash at {at}: {error}"));
            let found = seen(&recovered.memory);
            let least = durable.checked_sub(1).map_or(0, |step| complete[step]);
            assert!(
                moments[least..].contains(&found),
                "crash at {at}, {durable} steps durable: {found:?}"
            );
            if all {
                assert!(at > 40, "the script is long enough to be interrupted often");
                return;
            }
            at += 1;
        }
    });
}

#[test]
fn a_vote_outlives_the_segment_it_was_written_to() {
    let steps = [
        Step::Vote(7),
        Step::Append(7, 0, 6),
        Step::Purge(7, 4),
        Step::Append(7, 6, 12),
        Step::Purge(7, 10),
        Step::Append(7, 12, 18),
        Step::Purge(7, 16),
        Step::Append(7, 18, 19),
    ];
    TokioRuntime::run(async {
        let disk = FakeDisk::new(9);
        let first = |disk: &FakeDisk| disk.names().iter().any(|name| name.ends_with("0001"));
        assert_eq!(run_steps(&disk, &steps[..2]).await, 2);
        assert!(first(&disk), "the vote is in here: {:?}", disk.names());
        disk.crash();
        assert_eq!(run_steps(&disk, &steps[2..]).await, steps.len() - 2);
        assert!(!first(&disk), "it was removed: {:?}", disk.names());
        disk.crash();
        let recovered = open(&disk).expect("a crash is no damage");
        assert_eq!(recovered.memory.vote, Some(Vote::new(7, 1)));
    });
}

#[test]
fn segments_whose_entries_are_purged_are_removed_and_the_rest_reads_back() {
    TokioRuntime::run(async {
        let disk = FakeDisk::new(9);
        assert_eq!(run(&disk).await, SCRIPT.len());
        let segments = disk.names().len();
        assert!(segments <= 5, "{:?}", disk.names());
        disk.kill_process();
        let recovered = open(&disk).expect("it was closed in order");
        assert_eq!(Some(&seen(&recovered.memory)), history().0.last());
        assert_eq!(recovered.memory.committed, Some(log_id(2, 5)));
    });
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    TokioRuntime::run(async {
        let disk = FakeDisk::new(5);
        let execution = Execution::Tasks { sync: Duration::from_micros(1) };
        let (mut store, _) = Store::start(
            open(&disk).expect("an empty disk"),
            1 << 20,
            execution,
            Roster::default(),
            Reached::default(),
        )
        .expect("a writer");
        perform(&mut store, Step::Vote(1)).await.expect("the disk works");
        disk.fail_sync_at(1);
        assert!(perform(&mut store, Step::Append(1, 0, 3)).await.is_err());
        assert!(perform(&mut store, Step::Append(1, 3, 4)).await.is_err());
        assert!(perform(&mut store, Step::Vote(2)).await.is_err());
    });
}
