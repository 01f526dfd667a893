//! Holds a lease until Ctrl-C and prints every change of its state: stop the cluster's nodes, or this
//! process, and see what it believes.
//!
//! ```text
//! leasehold dev -- cargo run -p leasehold-client --example watch_the_lease
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use leasehold_client::{Client, ClientConfig, LeaseState};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::new(ClientConfig {
        endpoints: env::var("LEASEHOLD_ENDPOINTS")?.split(',').map(str::to_owned).collect(),
        ..ClientConfig::default()
    })?;
    let lease = client.acquire("examples/watched").ttl(Duration::from_secs(5)).await?;
    println!("held with token {}", lease.token());

    let mut changes = lease.changes();
    loop {
        tokio::select! {
            changed = changes.changed() => changed?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                println!("released: {}", lease.release().await?);
                return Ok(());
            }
        }
        match *changes.borrow_and_update() {
            LeaseState::Held { remaining } => println!("held, {remaining:?} left"),
            LeaseState::Uncertain { remaining } => println!("uncertain, {remaining:?} left"),
            LeaseState::Lost { reason } => {
                println!("lost: {reason}");
                return Ok(());
            }
        }
    }
}
