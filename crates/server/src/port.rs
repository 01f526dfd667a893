//! A port and the task that serves it.

use std::time::Duration;

use leasehold_net::{Incoming, incoming};
use tokio::task::JoinSet;
use tonic::transport::server::Router;

use crate::error::ServeError;
use crate::stopping::{Stopper, stopping};

/// A port that is served until it is left or dropped.
#[derive(Debug)]
pub(crate) struct Port {
    name: &'static str,
    leave: Stopper,
    // A set of one, because dropping a set ends its task.
    task: JoinSet<Result<(), tonic::transport::Error>>,
}

impl Port {
    /// Serves at most `connections_max` connections at one time.
    pub(crate) fn open(
        name: &'static str,
        router: Router,
        connections: impl Incoming,
        connections_max: usize,
    ) -> Self {
        let (leave, leaving) = stopping();
        let incoming = incoming(connections, connections_max);
        let mut task = JoinSet::new();
        task.spawn(router.serve_with_incoming_shutdown(incoming, async move {
            leaving.begun().await;
        }));
        Self { name, leave, task }
    }

    /// Returns when the port is not served any more, which is never meant to happen by itself.
    pub(crate) async fn ended(&mut self) -> ServeError {
        let source = match self.task.join_next().await {
            Some(Ok(Err(source))) => Some(source),
            Some(Ok(Ok(()))) | None => None,
            Some(Err(panicked)) => {
                tracing::error!(%panicked, port = self.name, "the task that serves a port died");
                None
            }
        };
        ServeError::Port { port: self.name, source }
    }

    /// Accepts nothing new and waits for the calls under way. False when they took too long.
    pub(crate) async fn leave(mut self, within: Duration) -> bool {
        self.leave.begin();
        tokio::time::timeout(within, self.task.join_next()).await.is_ok()
    }
}
