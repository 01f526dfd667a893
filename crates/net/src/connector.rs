//! How a caller reaches another end.

use std::fmt::Debug;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tonic::transport::{Channel, Endpoint, Error};

/// A connection being made.
pub type Connecting = BoxFuture<'static, Result<Channel, Error>>;

/// Makes connections. An [`Endpoint`] says where to and on what terms.
pub trait Connector: Debug + Send + Sync + 'static {
    /// Connects now.
    fn connect(&self, endpoint: Endpoint) -> Connecting;

    /// Connects when first used, and again when the connection was lost.
    fn connect_lazily(&self, endpoint: Endpoint) -> Channel;
}

/// Over TCP, names looked up by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        async move { endpoint.connect().await }.boxed()
    }

    fn connect_lazily(&self, endpoint: Endpoint) -> Channel {
        endpoint.connect_lazy()
    }
}
