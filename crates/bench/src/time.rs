//! When operations are due, to some tens of microseconds.
//!
//! A runtime's timers are good to a millisecond, which is more than a commit takes: an open loop paced
//! by them would measure the timers. One thread that sleeps on its own is enough for all clients.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Time since the run began, and a way to wait for it.
pub trait Clock: Clone + Send + Sync + 'static {
    /// How long the run has taken so far.
    fn now(&self) -> Duration;

    /// Completes when that much has passed; at once if it has.
    fn until(&self, at: Duration) -> impl Future<Output = ()> + Send;
}

/// The machine's own.
#[derive(Clone, Debug)]
pub struct MachineClock {
    started: Instant,
    alarms: mpsc::Sender<Alarm>,
}

#[derive(Debug)]
struct Alarm {
    at: Duration,
    ring: oneshot::Sender<()>,
}

impl MachineClock {
    /// Starts at zero, with a thread that ends when the last clone is gone.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start() -> std::io::Result<Self> {
        let started = Instant::now();
        let (alarms, set) = mpsc::channel();
        std::thread::Builder::new()
            .name("alarms".into())
            .spawn(move || ring_in_time(&set, started))?;
        Ok(Self { started, alarms })
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn until(&self, at: Duration) {
        if at <= self.now() {
            return;
        }
        let (ring, rings) = oneshot::channel();
        // The thread lives as long as this end of the channel does.
        if self.alarms.send(Alarm { at, ring }).is_ok() {
            let _ = rings.await;
        }
    }
}

fn ring_in_time(set: &Receiver<Alarm>, started: Instant) {
    let mut waiting: BinaryHeap<Reverse<Alarm>> = BinaryHeap::new();
    loop {
        let now = started.elapsed();
        while let Some(first) = waiting.peek_mut()
            && first.0.at <= now
        {
            // Whoever waited may have stopped waiting.
            let _ = PeekMut::pop(first).0.ring.send(());
        }
        let next = match waiting.peek() {
            Some(first) => set.recv_timeout(first.0.at - now),
            None => set.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(alarm) => waiting.push(Reverse(alarm)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn alarms_ring_in_the_order_of_their_times_and_never_early() {
        let clock = MachineClock::start().expect("a thread");
        let now = clock.now();
        let (late, early) = (now + Duration::from_millis(8), now + Duration::from_millis(4));
        let order = std::sync::Mutex::new(Vec::new());
        let wait = async |at: Duration| {
            clock.until(at).await;
            order.lock().expect("whole").push((at, clock.now()));
        };
        tokio::join!(wait(late), wait(early), wait(Duration::ZERO));
        let order = order.into_inner().expect("whole");
        let due: Vec<_> = order.iter().map(|(at, _)| *at).collect();
        assert_eq!(due, [Duration::ZERO, early, late]);
        assert!(order.iter().all(|(at, rang)| rang >= at), "{order:?}");
    }
}
