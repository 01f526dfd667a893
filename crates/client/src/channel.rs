//! One gRPC channel for each address: how it is dialled and kept alive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leasehold_net::Connector;
use tonic::transport::{Channel, Endpoint};

use crate::config::Address;

/// How often an idle connection is probed, and how long a probe may take: a peer that vanished
/// without closing is noticed within the sum, where no attempt's own timeout notices it sooner.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How an address is dialled.
pub(crate) fn endpoint(address: &Address, connect_timeout: Duration) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("a checked address makes a URI")
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}

/// Channels for unary calls, each made when first used. The lock covers a look-up in a map, never a
/// wait.
#[derive(Debug)]
pub(crate) struct Channels {
    connector: Arc<dyn Connector>,
    connect_timeout: Duration,
    open: Mutex<BTreeMap<Address, Channel>>,
}

/// More addresses than the most endpoints a client may have: what is above came from leader hints.
const CHANNELS_MAX: usize = 128;

impl Channels {
    pub(crate) fn new(connector: Arc<dyn Connector>, connect_timeout: Duration) -> Self {
        Self { connector, connect_timeout, open: Mutex::default() }
    }

    pub(crate) fn to(&self, address: &Address) -> Channel {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CHANNELS_MAX && !open.contains_key(address) {
            open.clear();
        }
        open.entry(address.clone())
            .or_insert_with(|| {
                self.connector.connect_lazily(endpoint(address, self.connect_timeout))
            })
            .clone()
    }
}
