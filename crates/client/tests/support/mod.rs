//! What the tests with a network share.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by test crates")]

pub mod fake_lease;
pub mod fake_store;
pub mod model;
pub mod plain;

use std::sync::Arc;
use std::time::Duration;

use leasehold_client::{Client, ClientConfig};
pub use plain::{ManualClock, ms};

/// Waits until something is so, with a bound; it is looked at often.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "never seen: {what}");
        tokio::time::sleep(ms(2)).await;
    }
}

/// Waits for an answer, with a bound.
pub async fn within<T>(answer: impl IntoFuture<Output = T>) -> T {
    let answer = tokio::time::timeout(Duration::from_secs(30), answer.into_future());
    answer.await.expect("answered within the bound")
}

/// As [`until`], while the clock moves on by `step` at each look.
pub async fn until_as_time_passes<T>(
    what: &str,
    clock: &ManualClock,
    step: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    until(what, || {
        clock.advance(step);
        look()
    })
    .await
}

/// A client of these addresses that reads this clock.
pub fn client(endpoints: Vec<String>, clock: &Arc<ManualClock>) -> Client {
    let config = ClientConfig {
        endpoints,
        holder: "test".into(),
        clock: clock.clone(),
        ..ClientConfig::default()
    };
    Client::new(config).expect("a good configuration")
}
