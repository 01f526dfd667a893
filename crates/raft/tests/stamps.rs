//! A batch is stamped when it is closed, after its last command arrived, and never earlier.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use leasehold_clock::{Clock, Reading};
use leasehold_raft::{Proposal, TokioNode};
use support::{BOUND, Cluster, Options, acquire, ask};

/// A clock during whose every reading a command arrives: later than what is read, earlier than the
/// next reading. A stamp that was read before the batch was closed is older than a command in it.
#[derive(Debug, Default)]
struct BusyClock {
    turns: AtomicU64,
    node: OnceLock<Probe>,
    /// When each command arrived, and what became of it.
    arrived: Mutex<Vec<(u64, Proposal)>>,
}

struct Probe(TokioNode);

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

const ARRIVALS: u64 = 200;
const STEP_MS: u64 = 10;

impl Clock for BusyClock {
    fn read(&self) -> Reading {
        if let Some(Probe(node)) = self.node.get()
            && self.turns.load(Ordering::Relaxed) < ARRIVALS
        {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed);
            let command = acquire(&format!("r/{turn}"), 60_000);
            let proposal = node.propose(command).expect("the queue has room");
            let between = turn * STEP_MS + STEP_MS / 2;
            self.arrived.lock().expect("nobody panics with it").push((between, proposal));
            return at(turn * STEP_MS);
        }
        at(self.turns.load(Ordering::Relaxed) * STEP_MS)
    }
}

fn at(ms: u64) -> Reading {
    let now = Duration::from_millis(ms);
    Reading { monotonic: now, raw: now, boot: now }
}

#[tokio::test]
async fn no_stamp_is_older_than_a_command_it_covers() {
    let clock = Arc::new(BusyClock::default());
    let options = Options { nodes: 1, clock: clock.clone(), ..Options::default() };
    let cluster = Cluster::start(options).await;
    let node = cluster.node(1);
    ask(node, acquire("first", 60_000)).await;
    clock.node.set(Probe(node.clone())).expect("set once");
    ask(node, acquire("wakes the proposer", 60_000)).await;
    let all_arrived = async {
        for n in 0.. {
            if clock.turns.load(Ordering::Relaxed) == ARRIVALS {
                return;
            }
            ask(node, acquire(&format!("more/{n}"), 60_000)).await;
        }
    };
    tokio::time::timeout(BOUND, all_arrived).await.expect("the clock is read again and again");
    // The clock stands still from here, so one more stamp tells what lease time is on it.
    let last = ask(node, acquire("last", 60_000)).await.at.0;
    let ahead = ARRIVALS * STEP_MS - last;
    let arrived = std::mem::take(&mut *clock.arrived.lock().expect("nobody panics with it"));
    assert_eq!(arrived.len() as u64, ARRIVALS);
    for (at, proposal) in arrived {
        let stamp = proposal.await.expect("committed").at.0 + ahead;
        assert!(stamp >= at, "arrived at {at}, stamped {stamp}");
    }
    cluster.shutdown().await;
}
