//! How long a client believes: the client library's own rule, on clocks that show what we say.

use std::time::Duration;

use leasehold_client::{Moment, proven_until};
use leasehold_clock::Reading;

use crate::config::Config;
use crate::mutant::Mutant;

/// What an answer proves, in ns from now, when its attempt was sent `elapsed_ms` ago.
pub(crate) fn proven_ns(config: &Config, valid_for_ms: u64, elapsed_ms: u64) -> u64 {
    let valid_for = Duration::from_millis(valid_for_ms);
    let sent = reading(0);
    let until = match config.mutant {
        Mutant::NoDriftMargin => Moment::new(sent, valid_for),
        _ => proven_until(sent, valid_for),
    };
    let now = match config.mutant {
        Mutant::TtlFromReceipt => sent,
        _ => reading(elapsed_ms),
    };
    nanos(until.remaining(&now))
}

/// What is left of it when the client's clock shows `passed_ms` more.
pub(crate) fn left_ns(trusted_ns: u64, passed_ms: u64) -> u64 {
    let until = Moment::new(reading(0), Duration::from_nanos(trusted_ns));
    nanos(until.remaining(&reading(passed_ms)))
}

fn reading(ms: u64) -> Reading {
    let shown = Duration::from_millis(ms);
    Reading { monotonic: shown, raw: shown, boot: shown }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a lease of the model is short")
}
