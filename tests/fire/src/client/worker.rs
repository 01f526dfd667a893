//! The application: takes a lease on a counter, increments it a few times, gives the lease back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leasehold_client::{AcquireError, Client, LeaseGuard, StoreClient};
use leasehold_sim::history::record::{
    Acquire, Belief, Outcome as Answer, Record, Refused, Release, Released, Standing,
};

use super::ClientArgs;
use super::increments::{Manner, Tenure};
use super::journal::Journal;
use crate::Outcome;

/// Longer than a lease lives: who waits gets the resource of a holder that died.
const WAIT: Duration = Duration::from_secs(4);
/// After something failed, before the next try: nobody is to spin.
const BREATH: Duration = Duration::from_millis(20);
/// Counters that nothing fences: the control.
const CONTROLS: u64 = 2;

/// One application.
pub(super) struct Worker {
    args: ClientArgs,
    /// Nobody else's, of all workers of a run.
    name: String,
    client: Client,
    stores: Vec<StoreClient>,
    journal: Journal,
    random: fastrand::Rng,
    asked: u64,
    increments: u64,
}

impl Worker {
    pub(super) fn new(
        args: ClientArgs,
        lane: u32,
        client: Client,
        stores: Vec<StoreClient>,
        journal: Journal,
    ) -> Self {
        let random = fastrand::Rng::with_seed(args.seed ^ (u64::from(lane) << 16));
        let name = format!("{}n{lane}", args.name);
        Self { args, name, client, stores, journal, random, asked: 0, increments: 0 }
    }

    /// Increments this and that until it is told to end.
    pub(super) async fn work(mut self, ending: Arc<AtomicBool>) -> Outcome<()> {
        while !ending.load(Ordering::Relaxed) {
            // The control has few counters: where many increments are wanted, few go there.
            let unfenced = if self.args.increments_only { 2 } else { 20 };
            let manner = match self.random.u8(..100) {
                draw if draw < unfenced => Manner::Unfenced,
                ..60 => Manner::Library,
                _ => Manner::Explicit,
            };
            let counters = if manner == Manner::Unfenced { CONTROLS } else { self.args.counters };
            let counter = self.random.u64(..counters);
            let times = self.random.u32(1..=self.args.increments_per_lease);
            if self.turn(manner, counter, times).await? == 0 {
                tokio::time::sleep(BREATH).await;
            }
        }
        Ok(())
    }

    /// Increments every counter once. Nobody is there any more to wake one who stops itself.
    pub(super) async fn close(mut self) -> Outcome<()> {
        self.args.stops_one_in = 0;
        for number in 0..self.args.counters {
            while self.turn(Manner::Library, number, 1).await? == 0 {
                tokio::time::sleep(BREATH).await;
            }
        }
        Ok(())
    }

    /// One lease, and up to so many increments under it. Gives how many were acknowledged.
    async fn turn(&mut self, manner: Manner, number: u64, times: u32) -> Outcome<u32> {
        let (resource, store) = place(manner, number, self.stores.len());
        let Some(guard) = self.acquire(&resource).await? else { return Ok(0) };
        let from_ns = self.journal.begin();
        let fenced = self.stores[store].fenced(&guard);
        let mut tenure = Tenure {
            journal: &self.journal,
            store_name: format!("store-{}", store + 1),
            store: &self.stores[store],
            fenced,
            guard: &guard,
            manner,
            writes: 0,
            increments_only: self.args.increments_only,
            believed_ns: from_ns,
        };
        let mut acknowledged = 0;
        for _ in 0..times {
            self.increments += 1;
            let id = format!("{}.{}", self.name, self.increments);
            // The control is to lose something even on a machine that is slow.
            let stops_one_in = match manner {
                Manner::Unfenced => self.args.stops_one_in.min(600) / 6,
                Manner::Library | Manner::Explicit => self.args.stops_one_in,
            };
            let stops = stops_one_in > 0 && self.random.u32(..stops_one_in) == 0;
            if !tenure.increment(&id, stops).await? {
                break;
            }
            acknowledged += 1;
        }
        self.journal.write(&Record::Belief(Belief {
            client: self.journal.client(),
            resource: resource.clone(),
            token: guard.token().into(),
            from_ns,
            until_ns: tenure.believed_ns,
        }))?;
        let believed_ns = tenure.believed_ns;
        // Now and then it is left to the library: that, too, must give the resource back.
        if self.random.u8(..10) > 0 {
            self.release(guard, resource, believed_ns).await?;
        }
        Ok(acknowledged)
    }

    async fn acquire(&mut self, resource: &str) -> Outcome<Option<LeaseGuard>> {
        self.asked += 1;
        let mut call = Acquire {
            client: self.journal.client(),
            request_id: format!("{}-{}", self.name, self.asked),
            resource: resource.to_owned(),
            wait_ms: WAIT.as_millis().try_into()?,
            retried: true,
            invoked_ns: self.journal.begin(),
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.journal.write(&Record::Acquire(call.clone()))?;
        let ttl = Duration::from_millis(self.args.ttl_ms);
        let answer = self.client.acquire(resource).ttl(ttl).wait(WAIT).await;
        call.answered_ns = Some(self.journal.now());
        let (outcome, guard) = match answer {
            Ok(guard) => {
                let token = Some(guard.token().into());
                (Answer::Ok(Standing { token, ..Standing::default() }), Some(guard))
            }
            Err(AcquireError::Refused(no)) => {
                (Answer::Refused(Refused::because(no.reason())), None)
            }
            Err(AcquireError::Fault(_)) => (Answer::Unknown, None),
            Err(AcquireError::BadField(bad)) => return Err(bad.into()),
        };
        call.outcome = outcome;
        self.journal.write(&Record::Acquire(call))?;
        Ok(guard)
    }

    /// What the library has lost it gives back by itself: then the release began when the lease was last
    /// believed in, or later.
    async fn release(&self, guard: LeaseGuard, resource: String, believed_ns: u64) -> Outcome<()> {
        let now_ns = self.journal.begin();
        let mut call = Release {
            client: self.journal.client(),
            resource,
            token: guard.token().into(),
            invoked_ns: if guard.check().is_ok() { now_ns } else { believed_ns },
            answered_ns: None,
            outcome: Answer::Unknown,
        };
        self.journal.write(&Record::Release(call.clone()))?;
        let answer = guard.release().await;
        call.answered_ns = Some(self.journal.now());
        if let Ok(was_held) = answer {
            call.outcome = Answer::Ok(Released { was_held, revision: None });
        }
        Ok(self.journal.write(&Record::Release(call))?)
    }
}

/// The resource of a counter, and the position of its store.
fn place(manner: Manner, number: u64, stores: usize) -> (String, usize) {
    let store = usize::try_from(number).unwrap_or_default() % stores;
    match manner {
        Manner::Unfenced => (control(number), store),
        Manner::Library | Manner::Explicit => (counter(number), store),
    }
}

/// The resource that guards a counter, and under which the store keeps it.
pub(crate) fn counter(number: u64) -> String {
    format!("counter/{number}")
}

/// The same of the counters that nothing fences.
pub(crate) fn control(number: u64) -> String {
    format!("control/{number}")
}

/// All resources with a counter, each with the position of its store.
pub(crate) fn places(counters: u64, stores: usize) -> Vec<(String, usize)> {
    let fenced = (0..counters).map(|number| place(Manner::Library, number, stores));
    fenced.chain((0..CONTROLS).map(|number| place(Manner::Unfenced, number, stores))).collect()
}
