//! Somebody who watches everything from the first revision on, through whichever node lets it.
//!
//! With all events in the history the checks can tell much more: what was answered as granted or released
//! must have been seen, and what was seen must be one grant and one end after the other. It also makes
//! every test one of watching: a stream that breaks is taken up again behind the last revision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use leasehold_api::pb::lease::v1::WatchRequest;
use tonic::{Code, Status};

use super::super::wire::{channel, reason};
use super::{History, LeaseClient};

/// How long the witness may take, when all is over, to see what was answered. It is at once where a node
/// runs; where none does there is nothing to see, and this bounds the wait.
const LAST_LOOK: Duration = Duration::from_secs(3);

/// See the module. Dropped, it looks for what it has not yet seen, and goes.
pub struct Witness {
    history: Arc<History>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub fn start(addresses: Vec<String>, history: &Arc<History>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a thread of its own");
        let (seen, over) = (Arc::clone(history), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            // Its connections live on this runtime: the test's stands still while it waits in drop.
            let _inside = runtime.enter();
            let nodes = addresses.iter().map(|node| LeaseClient::new(channel(node), &seen));
            let nodes = nodes.collect();
            runtime.block_on(watch_everything(nodes, &seen, &over));
        });
        Self { history: Arc::clone(history), is_over, thread: Some(thread) }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_LOOK;
        while self.history.has_unseen_effects() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the witness of this cluster panicked");
        }
    }
}

impl History {
    fn has_unseen_effects(&self) -> bool {
        self.state().effects.are_unseen()
    }
}

async fn watch_everything(nodes: Vec<LeaseClient>, history: &History, is_over: &AtomicBool) {
    let mut after = Some(0);
    for mut node in nodes.into_iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        if let Err(status) = watch(&mut node, &mut after, history, is_over).await
            && status.code() == Code::OutOfRange
        {
            // A node that is behind knows less than we saw; one that has gone on may have dropped it.
            let is_dropped = reason(&status) == "REVISION_NOT_RETAINED";
            after = if is_dropped { None } else { after };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Watches through one node until its stream breaks, or it is silent about what others have answered.
async fn watch(
    node: &mut LeaseClient,
    after: &mut Option<u64>,
    history: &History,
    is_over: &AtomicBool,
) -> Result<(), Status> {
    const PATIENCE: Duration = Duration::from_millis(200);
    let request = WatchRequest { prefix: String::new(), after_revision: *after };
    let opened = tokio::time::timeout(5 * PATIENCE, node.watch(request)).await;
    let Ok(stream) = opened else { return Ok(()) };
    let mut stream = stream?;
    while !is_over.load(Ordering::Relaxed) {
        match tokio::time::timeout(PATIENCE, stream.message()).await {
            Ok(Ok(Some(message))) => *after = Some(message.revision),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(status),
            Err(_) if history.has_unseen_effects() => return Ok(()),
            Err(_) => {}
        }
    }
    Ok(())
}
