//! What a client is told, checked once.

use std::sync::Arc;
use std::time::Duration;

use leasehold_clock::{Clock, MachineClock};
use leasehold_net::{Connector, TcpConnector};
use leasehold_types::{BadField, Holder};

use crate::random::{Random, SystemRandom};

/// How to reach a cluster, and as whom.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Nodes, any of them, `host:port` or `http://host:port`: 1 to 64. The leader is found from
    /// there. Any node also forwards to it, so these alone must be reachable.
    pub endpoints: Vec<String>,
    /// Who claims, for people: `host/pid/name`. At most 256 bytes. Default: `pid/` and the process id.
    pub holder: String,
    /// How long a request may go without a definite answer before it fails as a fault; an acquire
    /// that waits has this on top of its wait. 1 ms to 1 h. Default: 10 s.
    pub request_timeout: Duration,
    /// How long to try one node before the next. 1 ms to 1 min. Default: 1 s.
    pub connect_timeout: Duration,
    /// Where readings come from. Default: the machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// Where request ids and jitter come from. Default: the operating system.
    pub random: Arc<dyn Random>,
    /// How connections are made. Default: over TCP.
    pub connector: Arc<dyn Connector>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            holder: format!("pid/{}", std::process::id()),
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(1),
            clock: Arc::new(MachineClock),
            random: Arc::new(SystemRandom),
            connector: Arc::new(TcpConnector),
        }
    }
}

/// A checked [`ClientConfig`].
#[derive(Clone, Debug)]
pub(crate) struct CheckedConfig {
    pub(crate) endpoints: Vec<Address>,
    pub(crate) holder: Holder,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) connector: Arc<dyn Connector>,
}

const ENDPOINTS_MAX: usize = 64;

impl TryFrom<ClientConfig> for CheckedConfig {
    type Error = BadField;

    fn try_from(raw: ClientConfig) -> Result<Self, BadField> {
        let ClientConfig {
            endpoints,
            holder,
            request_timeout,
            connect_timeout,
            clock,
            random,
            connector,
        } = raw;
        if !(1..=ENDPOINTS_MAX).contains(&endpoints.len()) {
            let got = format!("{} endpoints", endpoints.len());
            return Err(BadField::new("endpoints", got, "1 to 64"));
        }
        let endpoints = endpoints
            .iter()
            .enumerate()
            .map(|(at, text)| Address::new(&format!("endpoints[{at}]"), text))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            endpoints,
            holder: Holder::new(&holder)?,
            request_timeout: request_timeout_within(request_timeout)?,
            connect_timeout: connect_timeout_within(connect_timeout)?,
            clock,
            random,
            connector,
        })
    }
}

pub(crate) fn request_timeout_within(got: Duration) -> Result<Duration, BadField> {
    within("request_timeout", got, Duration::from_secs(3_600), "1 ms to 1 h")
}

pub(crate) fn connect_timeout_within(got: Duration) -> Result<Duration, BadField> {
    within("connect_timeout", got, Duration::from_secs(60), "1 ms to 1 min")
}

fn within(
    field: &'static str,
    got: Duration,
    max: Duration,
    allowed: &'static str,
) -> Result<Duration, BadField> {
    match got >= Duration::from_millis(1) && got <= max {
        true => Ok(got),
        false => Err(BadField::new(field, format!("{got:?}"), allowed)),
    }
}

/// Where a node or a store listens: `host:port`, checked, without a scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(Arc<str>);

impl Address {
    /// Takes `host:port`, with or without `http://` before it. An IPv6 host stands in brackets.
    pub(crate) fn new(field: &str, text: &str) -> Result<Self, BadField> {
        const ALLOWED: &str = "host:port or http://host:port, with a port of 1 to 65535";
        let complaint = || BadField::new(field.to_owned(), format!("{text:?}"), ALLOWED);
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        let (host, port) = bare.rsplit_once(':').ok_or_else(complaint)?;
        let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                !host.is_empty() && host.bytes().all(fits)
            }
        };
        // Beyond 65535 the gRPC library would silently dial port 80.
        match port.parse::<u16>() {
            Ok(port) if port > 0 && host_fits => Ok(Self(format!("{host}:{port}").into())),
            _ => Err(complaint()),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
