//! One Session stream: dialled, welcomed, spoken on.

use std::time::Duration;

use futures_util::StreamExt;
use leasehold_api::Problem;
use leasehold_api::pb::lease::v1 as pb;
use leasehold_api::pb::lease::v1::lease_service_client::LeaseServiceClient;
use leasehold_net::Connector;
use leasehold_types::Fault;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::channel::endpoint;
use crate::config::Address;
use crate::message::Command;
use crate::unary::{NodeStatus, unreadable};
use crate::wire::{self, Said, Welcome};

/// Messages that may wait for the connection. When they are many the node or the network is slow, and
/// the attempts' own timeouts say so.
const OUTGOING_MAX: usize = 256;

/// A stream that was welcomed.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) address: Address,
    outgoing: mpsc::Sender<pb::SessionRequest>,
    incoming: Streaming<pb::SessionResponse>,
}

impl Connection {
    /// Dials a node and waits for its welcome: each step for at most `connect_timeout`.
    pub(crate) async fn dial(
        connector: &dyn Connector,
        address: Address,
        connect_timeout: Duration,
    ) -> Result<(Self, Welcome), Fault> {
        let late = || unknown(format!("{address} did not welcome in time"));
        let endpoint = endpoint(&address, connect_timeout);
        let channel = timeout(connect_timeout, connector.connect(endpoint))
            .await
            .map_err(|_| late())?
            .map_err(|error| unknown(format!("{address}: {error}")))?;
        let (outgoing, requests) = mpsc::channel(OUTGOING_MAX);
        let greet = async {
            let mut client = LeaseServiceClient::new(channel);
            let answer = client.session(ReceiverStream::new(requests)).await;
            let mut incoming = answer.map_err(|status| fault(&status))?.into_inner();
            let first = incoming.next().await;
            Ok((incoming, first))
        };
        let (incoming, first) = timeout(connect_timeout, greet).await.map_err(|_| late())??;
        match read(first)? {
            Said::Welcome(welcome) => Ok((Self { address, outgoing, incoming }, welcome)),
            Said::Answered(..) | Said::Pushed(_) => {
                Err(unknown(format!("{address} did not begin with a welcome")))
            }
        }
    }

    /// The next thing the node says. After an error the stream is of no more use. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Said, Fault> {
        read(self.incoming.next().await)
    }

    /// How many messages can be sent now.
    pub(crate) fn room(&self) -> usize {
        self.outgoing.capacity()
    }

    /// As [`next`](Self::next), or `None` as soon as a message can be sent. Cancel safe.
    pub(crate) async fn next_or_room(&mut self) -> Option<Result<Said, Fault>> {
        let Self { incoming, outgoing, .. } = self;
        tokio::select! {
            message = incoming.next() => Some(read(message)),
            // The permit is given back at once: this task is the only sender.
            _ = outgoing.reserve() => None,
        }
    }

    /// Sends, within the [`room`](Self::room) there is. What does not get out is an attempt that goes
    /// unanswered; the reader learns why.
    pub(crate) fn send(&self, attempt: u64, command: Command) {
        if let Err(error) = self.outgoing.try_send(wire::request(attempt, command)) {
            tracing::debug!(address = %self.address, %error, "a message was not sent");
        }
    }
}

/// Asks one node for its welcome.
pub(crate) async fn node_status(
    connector: &dyn Connector,
    address: &Address,
    limit: Duration,
) -> Result<NodeStatus, Fault> {
    let (_connection, welcome) = Connection::dial(connector, address.clone(), limit).await?;
    let Welcome { cluster_id, node_id, leader_id, leader_address, request_memory } = welcome;
    Ok(NodeStatus { cluster_id, node_id, leader_id, leader_address, request_memory })
}

fn read(message: Option<Result<pb::SessionResponse, tonic::Status>>) -> Result<Said, Fault> {
    match message {
        Some(Ok(response)) => wire::said(response).map_err(unreadable),
        Some(Err(status)) => Err(fault(&status)),
        None => Err(unknown("the node closed the stream".into())),
    }
}

/// A stream cannot be refused, only fail.
fn fault(status: &tonic::Status) -> Fault {
    match Problem::from(status) {
        Problem::Fault(fault) => fault,
        other => unknown(other.to_string()),
    }
}

fn unknown(why: String) -> Fault {
    Fault::OutcomeUnknown { why }
}
