//! Takes a lease, counts up a number in the fenced store under it, and releases it.
//!
//! ```text
//! leasehold dev -- cargo run -p leasehold-client --example lock_and_write
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use leasehold_client::{Client, ClientConfig, Mutation, StoreClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoints = env::var("LEASEHOLD_ENDPOINTS")?;
    let store = StoreClient::new(&env::var("LEASEHOLD_STORE")?)?;
    let client = Client::new(ClientConfig {
        endpoints: endpoints.split(',').map(str::to_owned).collect(),
        ..ClientConfig::default()
    })?;

    let lease = client
        .acquire("examples/counter")
        .ttl(Duration::from_secs(10))
        .wait(Duration::from_secs(60))
        .await?;
    println!("held with token {}", lease.token());

    let fenced = store.fenced(&lease);
    // Reading under the lease raises the mark: nobody with an older token can write from here on.
    let (count, version) = match fenced.get("count").await? {
        Some(entry) => (std::str::from_utf8(&entry.value)?.parse::<u64>()?, entry.version),
        None => (0, 0),
    };
    let next = Mutation::put("count", (count + 1).to_string()).expecting(version);
    let written = fenced.write(vec![next]).await?;
    println!("count is {} at revision {}", count + 1, written.revision);

    lease.release().await?;
    Ok(())
}
