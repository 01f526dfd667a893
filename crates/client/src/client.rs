//! The handle: cheap to clone, connects when first used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use leasehold_types::BadField;

use crate::acquire::AcquireBuilder;
use crate::config::CheckedConfig;
use crate::session::{ClaimKey, SessionHandle};
use crate::{ClientConfig, caller::Caller};

/// A client of one lease cluster.
///
/// One task owns all its claims and one stream to the cluster. The task starts with the first
/// acquire and lives until every clone of the client and every guard is dropped and their releases
/// are answered, which takes at most a ttl and the request timeout together. Dropping waits for nothing;
/// a program that must have released before it exits awaits [`LeaseGuard::release`](crate::LeaseGuard::release).
///
/// Use it inside a tokio runtime.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: CheckedConfig,
    session: OnceLock<SessionHandle>,
    next_key: AtomicU64,
    caller: Caller,
}

impl Client {
    /// Checks the configuration. Connects to nothing yet.
    ///
    /// # Errors
    /// [`BadField`] naming the field of [`ClientConfig`] that does not hold what it may.
    pub fn new(config: ClientConfig) -> Result<Self, BadField> {
        let config = CheckedConfig::try_from(config)?;
        let caller = Caller::of_cluster(&config);
        let (session, next_key) = (OnceLock::new(), AtomicU64::new(1));
        Ok(Self { inner: Arc::new(Inner { config, session, next_key, caller }) })
    }

    /// Asks for a lease on `resource`: set ttl and wait on the builder, then `.await` it.
    pub fn acquire(&self, resource: &str) -> AcquireBuilder {
        AcquireBuilder::new(self.clone(), resource)
    }

    pub(crate) fn config(&self) -> &CheckedConfig {
        &self.inner.config
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.inner.caller
    }

    pub(crate) fn session(&self) -> &SessionHandle {
        self.inner.session.get_or_init(|| SessionHandle::start(self.inner.config.clone()))
    }

    pub(crate) fn next_key(&self) -> ClaimKey {
        ClaimKey(self.inner.next_key.fetch_add(1, Ordering::Relaxed))
    }
}
