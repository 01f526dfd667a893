//! Unary calls that follow the leader and try again until a definite answer or their deadline.
//!
//! Every request can be repeated: claims have request ids, releases name a token, writes have a
//! sequence, reads change nothing. So a call whose outcome is unknown is simply asked again,
//! elsewhere where there is an elsewhere.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_types::Fault;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::backoff::Backoff;
use crate::channel::Channels;
use crate::config::{Address, CheckedConfig};
use crate::random::Random;
use crate::timeouts::Timeouts;

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Caller {
    endpoints: Vec<Address>,
    channels: Channels,
    request_timeout: Duration,
    random: Arc<dyn Random>,
    /// Position of the endpoint that answered last: a hint, so relaxed ordering is enough.
    preferred: AtomicUsize,
    /// Round trips of all calls; locked for a copy or a sample, never across a wait.
    timeouts: Mutex<Timeouts>,
}

impl Caller {
    pub(crate) fn new(
        endpoints: Vec<Address>,
        channels: Channels,
        request_timeout: Duration,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            endpoints,
            channels,
            request_timeout,
            random,
            preferred: AtomicUsize::new(0),
            timeouts: Mutex::default(),
        }
    }

    pub(crate) fn of_cluster(config: &CheckedConfig) -> Self {
        Self::new(
            config.endpoints.clone(),
            Channels::new(Arc::clone(&config.connector), config.connect_timeout),
            config.request_timeout,
            Arc::clone(&config.random),
        )
    }

    /// Asks the lease cluster until there is a definite answer or the request timeout passes.
    pub(crate) async fn ask<T, Fut>(
        &self,
        ask: impl Fn(LeaseServiceClient<Channel>) -> Fut,
    ) -> Result<T, Problem>
    where
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.call(|channel| ask(LeaseServiceClient::new(channel)), |_| true).await
    }

    /// Asks until there is a definite answer, the request timeout passes, or `keep_on` says no after
    /// a fault.
    ///
    /// The fault in the end is the first after which the request may have been applied, if any was.
    pub(crate) async fn call<T, Fut>(
        &self,
        ask: impl Fn(Channel) -> Fut,
        keep_on: impl Fn(&Fault) -> bool,
    ) -> Result<T, Problem>
    where
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.request_timeout;
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut timeouts = self.timeouts().clone();
        let mut route = Route::new(self.preferred.load(Ordering::Relaxed));
        let mut unknown: Option<Fault> = None;
        loop {
            let address = route.address(&self.endpoints);
            let sent = Instant::now();
            let until = deadline.min(sent + timeouts.current());
            let fault = match timeout_at(until, ask(self.channels.to(&address))).await {
                Ok(Ok(response)) => {
                    self.timeouts().answered(sent.elapsed());
                    self.preferred.store(route.at, Ordering::Relaxed);
                    return Ok(response.into_inner());
                }
                Ok(Err(status)) => match Problem::from(&status) {
                    Problem::Fault(fault) => fault,
                    definite => return Err(definite),
                },
                Err(_) => {
                    timeouts.timed_out();
                    Fault::OutcomeUnknown { why: format!("{address} did not answer in time") }
                }
            };
            tracing::debug!(%address, %fault, "a call went wrong");
            route.after(&fault);
            if !fault.surely_not_applied() && unknown.is_none() {
                unknown = Some(fault.clone());
            }
            let again = Instant::now() + backoff.pause(&*self.random);
            if again >= deadline || !keep_on(&fault) {
                return Err(unknown.unwrap_or(fault).into());
            }
            sleep_until(again).await;
        }
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    fn timeouts(&self) -> std::sync::MutexGuard<'_, Timeouts> {
        self.timeouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which node one call asks next: the leader where somebody named it, else the endpoints in turn.
struct Route {
    at: usize,
    leader: Option<Address>,
    asked_leader: bool,
}

impl Route {
    const fn new(at: usize) -> Self {
        Self { at, leader: None, asked_leader: false }
    }

    fn address(&mut self, endpoints: &[Address]) -> Address {
        let leader = self.leader.take();
        self.asked_leader = leader.is_some();
        leader.unwrap_or_else(|| endpoints[self.at % endpoints.len()].clone())
    }

    /// A node that names the leader is followed once; then, or without a name, it is the next one's turn.
    fn after(&mut self, fault: &Fault) {
        if let (Fault::NoLeader { leader_address: Some(text) }, false) = (fault, self.asked_leader)
        {
            self.leader = Address::new("leader_address", text).ok();
        }
        if self.leader.is_none() {
            self.at = self.at.wrapping_add(1);
        }
    }
}
