//! The load generator: which client does its next operation when.
//!
//! A **closed** loop has as many operations under way as there are clients, and each waits for its
//! answer before it sends the next: a slow server is asked less often, and what would have been asked
//! meanwhile is in no figure. An **open** loop asks at instants fixed beforehand, whoever is slow. Any
//! client that is free takes the next instant, and the operation counts from *that instant*, not from
//! when somebody was free to begin it. An instant that nobody could take before the run was over is an
//! operation too: missed, with the time it had waited by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::time::Clock;

/// What makes the next operation due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The answer to the one before.
    Closed,
    /// The clock: that many a second from all clients together.
    Open(f64),
}

/// The part of a run that counts: operations due from `from` on and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first instant that counts; what is before it warms up.
    pub from: Duration,
    /// The first instant that does not. Nothing is begun from here on.
    pub until: Duration,
}

impl Window {
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.until.saturating_sub(self.from)
    }

    /// Whether an operation due at this instant counts.
    pub fn counts(&self, due: Duration) -> bool {
        (self.from..self.until).contains(&due)
    }
}

/// One client: does one operation after the other.
pub trait Client: Send + 'static {
    /// One operation, which was due at `due`. It records itself.
    fn operate(&mut self, due: Duration) -> impl Future<Output = ()> + Send;

    /// An operation was due at `due` and nobody was free to begin it before the run was over, after
    /// it had waited for `waited`.
    fn missed(&mut self, due: Duration, waited: Duration);
}

/// Lets the clients work, from now until the window is over and every answer is there, or `patience`
/// after it. Returns how many operations were still under way then.
pub async fn drive<C: Clock>(
    clock: &C,
    pace: Pace,
    window: Window,
    patience: Duration,
    clients: impl IntoIterator<Item = impl Client>,
) -> u64 {
    let instants = Arc::new(Instants {
        pace,
        begun: clock.now(),
        until: window.until,
        taken: AtomicU64::new(0),
    });
    let mut working = JoinSet::new();
    for mut client in clients {
        let (clock, instants) = (clock.clone(), Arc::clone(&instants));
        working.spawn(async move {
            loop {
                let now = clock.now();
                let Some(due) = instants.take(now) else { break };
                if now >= window.until {
                    client.missed(due, now.saturating_sub(due));
                } else {
                    clock.until(due).await;
                    client.operate(due).await;
                }
            }
        });
    }
    let too_late = clock.until(window.until.saturating_add(patience));
    tokio::pin!(too_late);
    loop {
        tokio::select! {
            ended = working.join_next() => match ended {
                Some(Ok(())) => {}
                Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                None => return 0,
            },
            () = &mut too_late => return u64::try_from(working.len()).unwrap_or(u64::MAX),
        }
    }
}

/// The instants at which operations are due.
struct Instants {
    pace: Pace,
    begun: Duration,
    until: Duration,
    taken: AtomicU64,
}

impl Instants {
    /// The next one, or `None` when it is not before the end.
    fn take(&self, now: Duration) -> Option<Duration> {
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Open(per_second) => {
                let number = self.taken.fetch_add(1, Ordering::Relaxed);
                // Exact up to 2^53, which is a run of centuries.
                self.begun + Duration::from_secs_f64(number as f64 / per_second)
            }
        };
        (due < self.until).then_some(due)
    }
}
