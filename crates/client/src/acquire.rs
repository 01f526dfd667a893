//! Asking for a lease: a builder that is awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use leasehold_types::{Acquire, Fault, Holder, LeaseTtl, RequestId, ResourceName, WaitLimit};
use tokio::sync::{mpsc, oneshot};

use crate::session::{Ask, ClaimKey, Ending};
use crate::{AcquireError, Client, LeaseGuard};

const TTL_DEFAULT: Duration = Duration::from_secs(30);

/// A lease being asked for: set what differs from the defaults, then `.await` it.
///
/// Cancel safe: dropping the future, at any point, cancels the claim in the background.
#[derive(Debug)]
#[must_use = "nothing is asked for until it is awaited"]
pub struct AcquireBuilder {
    client: Client,
    resource: String,
    ttl: Duration,
    wait: Duration,
    holder: Option<String>,
}

impl AcquireBuilder {
    pub(crate) fn new(client: Client, resource: &str) -> Self {
        let resource = resource.to_owned();
        Self { client, resource, ttl: TTL_DEFAULT, wait: Duration::ZERO, holder: None }
    }

    /// How long the lease lives without renewal: 1 ms to 24 h, clamped to the cluster's settings.
    /// Default: 30 s. It is renewed every third of it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long to queue when the resource is taken: 0 to 24 h. Default: do not queue.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Who claims, for people, instead of the client's own `holder`.
    pub fn holder(mut self, holder: &str) -> Self {
        self.holder = Some(holder.to_owned());
        self
    }

    async fn run(self) -> Result<LeaseGuard, AcquireError> {
        let config = self.client.config();
        let ask = Acquire {
            resource: ResourceName::new(&self.resource)?,
            holder: match &self.holder {
                Some(holder) => Holder::new(holder)?,
                None => config.holder.clone(),
            },
            request: RequestId::from_bytes(config.random.draw()),
            ttl: LeaseTtl::from_duration(self.ttl)?,
            wait: WaitLimit::from_duration(self.wait)?,
        };
        let (reply, answer) = oneshot::channel();
        let session = self.client.session();
        let key = self.client.next_key();
        let endings = session.endings.clone();
        let asked = session.asks.send(Ask { key, ask, reply, endings: endings.clone() }).await;
        if asked.is_err() {
            return Err(client_stopped().into());
        }
        let mut pending = PendingClaim { key, endings: Some(endings) };
        let outcome = answer.await.unwrap_or_else(|_| Err(client_stopped().into()));
        pending.endings = None;
        outcome
    }
}

impl IntoFuture for AcquireBuilder {
    type Output = Result<LeaseGuard, AcquireError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

fn client_stopped() -> Fault {
    Fault::OutcomeUnknown { why: "the client's runtime was shut down".into() }
}

/// Cancels the claim when dropped before its answer was taken. An answer that is on its way then
/// carries a guard, and dropping that releases.
struct PendingClaim {
    key: ClaimKey,
    endings: Option<mpsc::UnboundedSender<Ending>>,
}

impl Drop for PendingClaim {
    fn drop(&mut self) {
        if let Some(endings) = self.endings.take() {
            // Nobody listens once the runtime is gone, and then nobody keeps the claim alive.
            let _ = endings.send(Ending::Release(self.key, None));
        }
    }
}
