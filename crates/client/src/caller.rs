//! Unary calls that follow the leader and try again until a definite answer or their deadline.
//!
//! Every request to the cluster can be repeated: claims have request ids, releases name a token,
//! reads change nothing. So a call whose outcome is unknown is simply asked again, elsewhere.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leasehold_api::Problem;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_types::Fault;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::backoff::Backoff;
use crate::channel::Channels;
use crate::config::{Address, CheckedConfig};
use crate::random::Random;

/// The first attempt may take this long, each further one twice as long as the one before.
const ATTEMPT_FIRST: Duration = Duration::from_secs(1);
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
}

impl Caller {
    pub(crate) fn new(config: &CheckedConfig) -> Self {
        Self {
            endpoints: config.endpoints.clone(),
            channels: Channels::new(config.connect_timeout),
            request_timeout: config.request_timeout,
            random: Arc::clone(&config.random),
            preferred: AtomicUsize::new(0),
        }
    }

    /// Asks until there is a definite answer or the request timeout passes.
    ///
    /// The fault in the end is the first after which the request may have been applied, if any was.
    pub(crate) async fn call<T, Fut>(
        &self,
        ask: impl Fn(LeaseServiceClient<Channel>) -> Fut,
    ) -> Result<T, Problem>
    where
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.request_timeout;
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut attempt_timeout = ATTEMPT_FIRST;
        let mut at = self.preferred.load(Ordering::Relaxed);
        let mut hint: Option<Address> = None;
        let mut unknown: Option<Fault> = None;
        loop {
            let hinted = hint.take();
            let address = hinted.as_ref().unwrap_or(&self.endpoints[at % self.endpoints.len()]);
            let client = LeaseServiceClient::new(self.channels.to(address));
            let until = deadline.min(Instant::now() + attempt_timeout);
            let fault = match timeout_at(until, ask(client)).await {
                Ok(Ok(response)) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(response.into_inner());
                }
                Ok(Err(status)) => match Problem::from(&status) {
                    Problem::Fault(fault) => fault,
                    definite => return Err(definite),
                },
                Err(_) => {
                    attempt_timeout *= 2;
                    Fault::OutcomeUnknown { why: format!("{address} did not answer in time") }
                }
            };
            tracing::debug!(%address, %fault, "a call is tried again");
            hint = match &fault {
                Fault::NoLeader { leader_address: Some(text) } => {
                    Address::new("leader_address", text).ok()
                }
                _ => None,
            };
            if hinted.is_some() || hint.is_none() {
                at = at.wrapping_add(1);
            }
            if !fault.surely_not_applied() && unknown.is_none() {
                unknown = Some(fault.clone());
            }
            let again = Instant::now() + backoff.pause(&*self.random);
            if again >= deadline {
                return Err(unknown.unwrap_or(fault).into());
            }
            tokio::time::sleep_until(again).await;
        }
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }
}
