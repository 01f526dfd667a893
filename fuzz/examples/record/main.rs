//! Records the seeds that `corpus/` starts from: a cluster, a lease server, a store and a client do what
//! they do, and what passes between them, and what lies on their disks, is written down.
//!
//! `cargo run --release --example record` replaces every `corpus/TARGET/recorded-*`.

mod cluster;
mod disks;
mod peers;
mod seeds;
mod services;
mod texts;

// Built with the fuzzer's flags, this needs what they call; otherwise it takes nothing from there.
use libfuzzer_sys as _;

use seeds::Seeds;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = Seeds::default();
    texts::record(&seeds)?;
    cluster::record(&seeds).await;
    services::record(&seeds).await?;
    seeds.write()?;
    Ok(())
}
