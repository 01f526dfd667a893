//! Whether a request got no answer because it went to the wrong kind of server.
//!
//! Asked afterwards, of the server itself: what gRPC says to a method that is not there cannot be told
//! from other trouble once a client has tried for a while.

use std::future::Future;
use std::time::Duration;

use leasehold_client::{StoreClient, StoreConfig};

use crate::args::Common;
use crate::exit::{Exit, Failure, OTHER, UNAVAILABLE};
use crate::supervise::node;

/// How long a server has to say what it is.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs a verb that asks the cluster; says so if all its endpoints are stores.
pub(crate) async fn of_cluster(
    common: &Common,
    verb: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let failure = match verb.await {
        Err(failure) if failure.code == UNAVAILABLE => failure,
        ended => return ended,
    };
    let asked = common.endpoints.iter().map(|address| is_store(address));
    let stores = futures_util::future::join_all(asked).await;
    let wrong = stores.iter().all(|is_store| *is_store).then(|| common.endpoints.first());
    Err(match wrong.flatten() {
        Some(address) => wrong_server(format!(
            "{address} is a store, it does not speak leasehold.lease.v1.LeaseService; is it a lease \
             node's address?"
        )),
        None => failure,
    })
}

/// Runs a verb that asks the store; says so if its address is a lease node's.
pub(crate) async fn of_store(
    common: &Common,
    verb: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let failure = match verb.await {
        Err(failure) if failure.code == UNAVAILABLE => failure,
        ended => return ended,
    };
    let Some(address) = &common.store else { return Err(failure) };
    Err(match node::ask(address, PATIENCE).await {
        Ok(node) => wrong_server(format!(
            "{address} is lease node {}, it does not speak leasehold.store.v1.StoreService; is it the \
             store's address?",
            node.node_id
        )),
        Err(_) => failure,
    })
}

/// Trying again cannot help, so not 69.
fn wrong_server(message: String) -> Failure {
    Failure::new(OTHER, "WRONG_SERVER", message)
}

async fn is_store(address: &str) -> bool {
    let config = StoreConfig {
        endpoint: address.to_owned(),
        request_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..StoreConfig::default()
    };
    match StoreClient::with(config) {
        Ok(client) => client.status().await.is_ok(),
        Err(_) => false,
    }
}
